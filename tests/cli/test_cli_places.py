"""Places from tables and from the command line."""

from pathlib import Path

import pytest
from click import ClickException
from click.testing import CliRunner
from skyblend.cli.main import cli
from skyblend.cli.places import read
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime.places import read as read_places
from skyblend.runtime.storage.folder import FolderStorage


def imported(*lines: str) -> list[Place]:
    return list(read(iter([line.split(",") for line in lines]), collect=False))


@pytest.mark.parametrize(
    "header",
    [
        "id,lat,lon,elevation",
        "place_id,latitude,longitude,elevation_m",
        "bulletin_city,lat,lon,elevation_m",
    ],
)
def test_columns_go_by_several_names(header: str) -> None:
    (place,) = imported(header, "ALBANY NY,42.75,-73.8,84.99")
    assert (place.id, place.latitude, place.longitude) == ("ALBANY NY", 42.75, -73.8)
    assert place.elevation == 84.99


def test_a_missing_elevation_stays_missing() -> None:
    (place,) = imported("id,lat,lon,elevation", "Ulm,48.4,9.98,")
    assert not place.HasField("elevation")


def test_other_columns_are_ignored_and_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    imported("id,state,lat,lon,koppen", "A,NY,1,2,Cfb", "B,NY,3,4,Cfb")
    assert capsys.readouterr().err == "ignored columns: state, koppen\n"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("id,lat", "A,1"), "expected a column lon or longitude"),
        (("id,lat,lon,lat", "A,1,2,3"), "twice: lat"),
        (("id,lat,lon", "A,north,2"), "line 2: latitude: expected a number, got 'north'"),
        (("id,lat,lon", "A,91,2"), "line 2: place A: latitude expected from -90 to 90, got 91"),
        (("id,lat,lon", "A,nan,2"), "line 2: place A: latitude expected from -90 to 90"),
        (("id,lat,lon", "A,1,2", "A,3,4"), "line 3: A is on line 2 too"),
        (("id,lat,lon", "../x,1,2"), "line 2: a place id does not begin with a dot"),
        (("id,lat,lon", "a/b,1,2"), "line 2: a place id holds no slash"),
        (("id,lat,lon", "x" * 300 + ",1,2"), "line 2: a place id has 1 to 64 characters"),
        ((), "expected a column id"),
    ],
)
def test_a_bad_table_is_refused_with_its_line(lines: tuple[str, ...], said: str) -> None:
    with pytest.raises(ClickException, match="line") as refused:
        imported(*lines)
    assert said in refused.value.message


def test_one_bad_line_imports_nothing(tmp_path: Path) -> None:
    table = tmp_path / "places.csv"
    table.write_text("id,lat,lon\nA,1,2\nB,1,200\n")
    data = str(tmp_path / "data")
    result = CliRunner().invoke(cli, ["--data", data, "places", "import", str(table)])
    assert result.exit_code == 1
    assert not Path(data).exists()


def test_an_added_place_is_listed_and_can_be_moved(tmp_path: Path) -> None:
    data = ["--data", str(tmp_path)]
    for longitude in ("10", "11"):
        arguments = ["places", "add", "Top", "--lat", "47", "--lon", longitude]
        assert CliRunner().invoke(cli, [*data, *arguments]).exit_code == 0
    (line,) = CliRunner().invoke(cli, [*data, "places", "list"]).output.splitlines()
    assert line.split() == ["Top", "47.0000", "11.0000"]


def test_more_places_than_the_quota_allows_are_refused_with_the_numbers(tmp_path: Path) -> None:
    table = tmp_path / "places.csv"
    rows = [f"P{number},{number / 100},{number / 100}" for number in range(3000)]
    table.write_text("\n".join(["id,lat,lon", *rows]))
    data = ["--data", str(tmp_path / "data"), "places", "import", str(table)]
    refused = CliRunner().invoke(cli, [*data, "--collect"])
    assert refused.exit_code == 1
    assert "3000 places" in str(refused.exception) + refused.output
    assert "10,000" in str(refused.exception) + refused.output
    assert CliRunner().invoke(cli, data).exit_code == 0


def test_a_place_keeps_what_is_not_given_anew(tmp_path: Path) -> None:
    def run(*arguments: str) -> None:
        result = CliRunner().invoke(cli, ["--data", str(tmp_path), "places", *arguments])
        assert result.exit_code == 0, result.output

    def known() -> Place:
        return read_places(FolderStorage(tmp_path / "live" / "bucket"))["Ulm"]

    run("add", "Ulm", "--lat", "48.4", "--lon", "10", "--elevation", "478", "--name", "Ulm (Donau)")
    run("add", "Ulm", "--lat", "48.4", "--lon", "10")
    assert (known().name, known().elevation) == ("Ulm (Donau)", 478)
    run("add", "Ulm", "--lat", "48.5", "--lon", "10")
    # The old elevation is that of the old position.
    assert (known().name, known().HasField("elevation")) == ("Ulm (Donau)", False)


@pytest.mark.parametrize(("mark", "byte"), [(b"", 15), (b"\xef\xbb\xbf", 18)])
def test_a_file_that_is_not_utf_8_is_refused_with_its_byte(
    tmp_path: Path, mark: bytes, byte: int
) -> None:
    file = tmp_path / "places.csv"
    # `id,lat,lon` and its line end are 11 bytes, `Zell` 4.
    file.write_bytes(mark + b"id,lat,lon\nZell\xe4,1,2\n")
    data = tmp_path / "data"
    result = CliRunner().invoke(cli, ["--data", str(data), "places", "import", str(file)])
    assert result.exit_code == 1
    assert result.stderr == f"Error: {file}: expected UTF-8, got 0xe4 at byte {byte}\n"
    assert not data.exists()
