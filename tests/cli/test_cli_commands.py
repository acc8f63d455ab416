"""The commands as a person types them: what they print, and how they end."""

import csv
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from skyblend.cli.main import COMMANDS, cli, read_env_file

Run = Callable[..., Result]

FORECASTS = """\
source,place_id,latitude,longitude,elevation,issued_at,valid_at,temperature_2m
alpha,Ulm,48.4,9.98,478,2024-01-01T00:00:00Z,2024-01-01T06:00:00Z,1.25
alpha,Ulm,48.4,9.98,478,2024-01-01T00:00:00Z,2024-01-01T07:00:00Z,
beta,Ulm,48.4,9.98,478,2024-01-01T00:00:00Z,2024-01-01T06:00:00Z,0.1
"""
OBSERVATIONS = """\
place_id,latitude,longitude,elevation,observed_at,temperature_2m
Ulm,48.4,9.98,478,2024-01-01T06:00:00Z,0.30000000000000004
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a command on a data folder of the test's own."""

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(cli, ["--data", str(tmp_path / "data"), *map(str, arguments)])

    return invoke


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    forecasts, observations = tmp_path / "forecasts.csv", tmp_path / "observations.csv"
    forecasts.write_text(FORECASTS)
    observations.write_text(OBSERVATIONS)
    return forecasts, observations


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 5


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['skyblend', '--help']\n"
        "from skyblend.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'pyarrow', 'flask', 'duckdb', 'requests'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_error_is_one_line_and_no_trace(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "skyblend.cli.main", "--data", str(tmp_path), "status"]
    environ = {**os.environ, "SKYBLEND_PORT": "many"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "skyblend: SKYBLEND_PORT must be a whole number, got 'many'"
    ]


def test_a_wrong_option_is_a_usage_error(run: Run) -> None:
    assert run("forecast", "--place", "Ulm", "--at", "2024-01-01T00:00").exit_code == 2
    assert run("export", "forecasts", "--out", "x.txt").exit_code == 2
    assert run("decode", "--source", "nobody", __file__).exit_code == 2


def test_an_upload_tells_what_became_of_each_file(run: Run, files: tuple[Path, Path]) -> None:
    result = run("upload", *files)
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.output.splitlines()]
    # Of three rows of forecasts one has no value and is no record.
    assert rows[1:] == [
        ["forecasts.csv", "yes", "2", "2", "0", "0", "0"],
        ["observations.csv", "yes", "1", "1", "0", "0", "0"],
    ]


def test_a_second_upload_changes_nothing(run: Run, files: tuple[Path, Path]) -> None:
    run("upload", *files)
    result = run("upload", *files)
    rows = [line.split() for line in result.output.splitlines()]
    assert rows[1:] == [
        ["forecasts.csv", "already", "2", "0", "2", "0", "0"],
        ["observations.csv", "already", "1", "0", "1", "0", "0"],
    ]


def test_a_refused_file_says_why_and_the_good_one_goes_on(
    run: Run, files: tuple[Path, Path], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(FORECASTS.replace("temperature_2m", "temprature_2m"))
    result = run("upload", "--source", "tidy", bad, files[1])
    assert result.exit_code == 1
    assert result.stderr == "Error: 1 of 2 files gave no record: see above\n"
    assert "temprature_2m" in result.output
    assert ["observations.csv", "yes", "1", "1", "0", "0", "0"] in [
        line.split() for line in result.output.splitlines()
    ]
    listed = run("quarantine", "list").output
    assert "temprature_2m" in listed
    entry_id = listed.split()[0]
    shown = run("quarantine", "show", entry_id).output
    assert "expected" in shown
    assert "bad.csv" in shown
    replayed = run("quarantine", "replay", entry_id)
    assert replayed.exit_code == 1
    assert "Error: refused again: at " in replayed.stderr
    assert "temprature_2m" in replayed.stderr
    assert run("quarantine", "list").output == listed


@pytest.mark.parametrize("content", [b"", b"\x00\x01\xff" * 99, b"place_id,wind\nUlm,3\n"])
def test_a_file_without_any_record_fails(run: Run, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    for stored in ("yes", "already"):
        result = run("upload", file)
        assert result.exit_code == 1
        assert result.output.splitlines()[1].split() == ["file.csv", stored, *"00010"]


def test_a_file_of_which_a_row_is_good_is_no_failure(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "observations.csv"
    file.write_text(OBSERVATIONS + "Ulm,91,9.98,478,2024-01-01T07:00:00Z,1\n")
    result = run("upload", file)
    assert result.exit_code == 0
    assert result.output.splitlines()[1].split()[2:] == [*"11010"]


def test_an_upload_counts_what_it_flagged(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "hot.csv"
    more = "".join(f"Ulm,48.4,9.98,478,2024-01-01T0{hour}:00:00Z,75\n" for hour in (7, 8))
    file.write_text(OBSERVATIONS + more)
    for stored in ("yes", "already"):
        _, row, *reasons = run("upload", file).output.splitlines()
        assert row.split()[:3] == ["hot.csv", stored, "3"]
        assert row.split()[-2:] == ["0", "2"]
        (reason,) = reasons
        assert reason.strip().startswith("flagged: 2 values of temperature_2m: expected -")
        assert reason.endswith(", got 75")


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("places", "list"),
        ("forecast", "--place", "Ulm"),
        ("export", "forecasts", "--out", "out.csv"),
        ("quarantine", "list"),
        ("quarantine", "show", "0123456789ab"),
        ("ledger", "verify"),
        ("dead-letters", "list"),
        (*("backtest", "--variable", "temperature_2m", "--from", "2024-01-01"),
         *("--to", "2024-01-01", "--out", "out.csv")),
    ],
)  # fmt: skip
def test_what_only_reads_makes_no_data_folder(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*command)
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.startswith(f"Error: there is no data folder {tmp_path / 'data'}: ")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_quarantine_entry_is_an_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    result = run("quarantine", "show", "0123456789ab")
    assert result.exit_code == 1
    assert "no entry 0123456789ab" in result.output


def test_what_was_uploaded_is_exported_to_the_digit(
    run: Run, files: tuple[Path, Path], tmp_path: Path
) -> None:
    run("upload", *files)
    out = tmp_path / "observations.csv"
    assert run("export", "observations", "--out", out).output.startswith("1 rows")
    (row,) = csv.DictReader(out.read_text().splitlines())
    assert row["observed_at"] == "2024-01-01T06:00:00Z"
    assert float(row["temperature_2m"]) == 0.30000000000000004
    assert (row["place_id"], row["kind"], row["flags"]) == ("Ulm", "station", "")


def test_an_export_reads_back_as_nothing_new(
    run: Run, files: tuple[Path, Path], tmp_path: Path
) -> None:
    run("upload", *files)
    for name in ("forecasts.csv.gz", "forecasts.parquet"):
        out = tmp_path / f"again-{name}"
        assert run("export", "forecasts", "--out", out).exit_code == 0
        result = run("upload", "--source", "tidy", out)
        assert result.output.splitlines()[1].split()[2:] == ["2", "0", "2", "0", "0"], result.output


def test_an_export_of_the_same_records_is_the_same_file(
    run: Run, files: tuple[Path, Path], tmp_path: Path
) -> None:
    run("upload", *files)
    first, second = tmp_path / "first.csv.gz", tmp_path / "second.csv.gz"
    run("export", "forecasts", "--out", first)
    run("export", "forecasts", "--out", second)
    assert first.read_bytes() == second.read_bytes()
    assert gzip.decompress(first.read_bytes()).count(b"\n") == 3


def test_an_export_does_not_depend_on_the_order_of_arrival(run: Run, tmp_path: Path) -> None:
    head = "place_id,latitude,longitude,elevation,observed_at,period,known_at"
    key = "Ulm,48.4,9.98,478,2024-01-01T12:00:00Z,{},2024-01-01T13:00:00Z"
    lows = f"{head},temperature_2m_min\n{key.format(43200)},1.5\n"
    sums = f"{head},precipitation_sum\n{key.format(86400)},2.5\n"
    for number, texts in enumerate([(lows, sums), (sums, lows)]):
        data = tmp_path / str(number)
        for name, text in zip(("one.csv", "two.csv"), texts, strict=True):
            (tmp_path / name).write_text(text)
            run("--data", data, "upload", tmp_path / name)
        run("--data", data, "export", "observations", "--out", tmp_path / f"{number}.csv")
    written = (tmp_path / "0.csv").read_text()
    assert written == (tmp_path / "1.csv").read_text()
    assert [row["period"] for row in csv.DictReader(written.splitlines())] == ["43200", "86400"]


def test_an_export_chooses_sources_and_places(
    run: Run, files: tuple[Path, Path], tmp_path: Path
) -> None:
    run("upload", *files)
    out = tmp_path / "beta.parquet"
    run("export", "forecasts", "--source", "beta", "--place", "Ulm", "--out", out)
    assert pq.read_table(out)["temperature_2m"].to_pylist() == [0.1]


def test_a_corrected_value_is_a_version_and_the_current_one(run: Run, tmp_path: Path) -> None:
    head = "place_id,latitude,longitude,elevation,observed_at,known_at,temperature_2m\n"
    line = "Ulm,48.4,9.98,478,2024-01-01T06:00:00Z,2024-01-01T0{}:00:00Z,{}\n"
    for hour, value in ((7, 1.0), (8, 2.0)):
        file = tmp_path / f"{hour}.csv"
        file.write_text(head + line.format(hour, value))
        run("upload", file)
    every, current = tmp_path / "every.parquet", tmp_path / "current.parquet"
    run("export", "observations", "--out", every)
    run("export", "observations", "--current", "--out", current)
    assert pq.read_table(every)["temperature_2m"].to_pylist() == [1.0, 2.0]
    assert pq.read_table(current)["temperature_2m"].to_pylist() == [2.0]


def test_an_impossible_value_is_flagged_in_the_list_and_in_the_export(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "hot.csv"
    file.write_text(OBSERVATIONS.replace("0.30000000000000004", "98.6"))
    run("upload", file)
    assert "temperature_2m range: expected" in run("quarantine", "list").output
    assert "98.6" not in run("quarantine", "list", "--no-flags").output
    out = tmp_path / "out.csv"
    run("export", "observations", "--out", out)
    (row,) = csv.DictReader(out.read_text().splitlines())
    assert row["temperature_2m"] == "98.6"
    assert row["flags"].startswith("temperature_2m range: expected")


def test_decode_prints_json_lines_with_only_what_is_there(
    run: Run, files: tuple[Path, Path]
) -> None:
    result = run("decode", "--source", "tidy", "--received-at", "2024-01-02T00:00Z", files[0])
    assert result.exit_code == 0
    first, second = map(json.loads, result.output.splitlines())
    assert first["type"] == "forecast"
    assert (first["source"], first["temperature_2m"], first["period"]) == ("alpha", 1.25, 0)
    assert first["valid_at"] == "2024-01-01T06:00:00Z"
    assert "dew_point_2m" not in first
    assert second["source"] == "beta"


def test_decode_of_a_refused_payload_says_why_and_fails(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    file.write_text("<html>maintenance</html>")
    result = run("decode", "--source", "open_meteo", file)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "expected" in result.stderr
    assert "got" in result.stderr


def test_decode_reads_the_status_beside_the_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    file.write_text('{"error": true, "reason": "too many"}')
    file.with_name("answer.json.meta.json").write_text('{"status": 429}')
    result = run("decode", "--source", "open_meteo", file)
    assert result.exit_code == 1
    assert "429" in result.stderr


def test_a_forecast_without_a_source_says_so(run: Run) -> None:
    run("places", "add", "Ulm", "--lat", "48.4", "--lon", "9.98")
    result = run("forecast", "--place", "Ulm")
    assert result.exit_code == 1
    assert "no source" in result.stderr
    assert result.stdout == ""


def test_a_forecast_at_a_past_time_uses_what_was_known(run: Run, files: tuple[Path, Path]) -> None:
    run("upload", *files)
    result = run("forecast", "--place", "Ulm", "--at", "2024-01-01T01:00Z", "--json")
    assert result.exit_code == 0, result.output
    issued = json.loads(result.stdout)
    # No model yet: the mean of 1.25 and 0.1.
    assert issued["series"]["temperature_2m/0"]["mean"] == [pytest.approx(0.675)]
    assert issued["sources"] == ["alpha", "beta"]
    assert issued["attribution"] == ["Uploaded by the user"]
    late = run("forecast", "--place", "Ulm", "--at", "2024-03-01T00:00Z")
    assert late.exit_code == 1
    newest = "no fresh source: the newest forecast is of 2024-01-01T00:00Z"
    assert newest in late.stderr
    assert newest in run("forecast", "--place", "Ulm").stderr
    early = run("forecast", "--place", "Ulm", "--at", "2023-12-31T00:00Z")
    assert "nothing is known" in early.stderr


def test_an_unknown_place_names_a_near_one(run: Run) -> None:
    run("places", "add", "Berlin", "--lat", "52.5", "--lon", "13.4")
    result = run("forecast", "--place", "Berln")
    assert result.exit_code == 1
    assert "perhaps Berlin" in result.stderr


@pytest.mark.parametrize(
    ("has", "asks", "other", "option"),
    [
        ("--simulate", "--live", "simulated", "--simulate"),
        ("--live", "--simulate", "live", "--live"),
    ],
)
def test_a_place_of_the_other_half_is_told(
    run: Run, has: str, asks: str, other: str, option: str
) -> None:
    run(has, "places", "add", "Bad Ems", "--lat", "50.3", "--lon", "7.7")
    result = run(asks, "forecast", "--place", "Bad Ems")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        f"Error: no place Bad Ems: the {other} half has it: "
        f"skyblend {option} forecast --place 'Bad Ems'"
    )


def test_status_counts_what_is_there(run: Run, files: tuple[Path, Path]) -> None:
    run("upload", *files)
    lines = dict(line.split(None, 1) for line in run("status").output.splitlines())
    assert lines["running"].startswith("no")
    assert lines["places"] == "1, 0 asked of providers"
    assert lines["raw"] == "2 objects, 2 recorded"
    assert lines["bus"] == "0 messages, 0 given up"
    assert lines["realm"] == "live"
    assert lines["folder"].endswith("MB on disk")
    assert lines["newest"].startswith("tidy received 20")
    assert (lines["models"], lines["ledger"]) == ("none yet", "empty")


def test_the_simulated_half_is_kept_apart(run: Run, files: tuple[Path, Path]) -> None:
    run("upload", *files)
    lines = dict(line.split(None, 1) for line in run("--simulate", "status").output.splitlines())
    assert lines["raw"] == "0 objects, 0 recorded"


def test_a_backtest_writes_quantiles(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    run("upload", *files)
    out = tmp_path / "q.csv"
    result = run(
        *("backtest", "--variable", "temperature_2m", "--from", "2024-01-01"),
        *("--to", "2024-01-01", "--out", out),
    )
    assert result.exit_code == 0, result.output
    (row,) = csv.DictReader(out.read_text().splitlines())
    assert row["place_id"] == "Ulm"
    assert float(row["q05"]) < float(row["mean"]) < float(row["q95"])


def test_a_backtest_of_nothing_writes_nothing(
    run: Run, files: tuple[Path, Path], tmp_path: Path
) -> None:
    run("upload", *files)
    out = tmp_path / "q.csv"
    out.write_text("as it was")
    before = sorted(tmp_path.iterdir())
    result = run(
        *("backtest", "--variable", "temperature_2m", "--from", "2023-01-01"),
        *("--to", "2023-01-02", "--out", out),
    )
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "Error: no forecast of temperature_2m for 2023-01-01 to 2023-01-02 is known: "
        f"{out} is not written"
    ]
    assert out.read_text() == "as it was"
    assert sorted(tmp_path.iterdir()) == before


def test_settings_of_an_env_file_count(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# ours\nSKYBLEND_PORT = '8123'\nSKYBLEND_CONTACT=\nHOME=/nowhere\n\n")
    assert read_env_file(file) == {"SKYBLEND_PORT": "8123"}
    assert read_env_file(tmp_path / "absent") == {}


def test_a_training_is_never_of_the_future(run: Run) -> None:
    result = run("train", "--at", "2999-01-01T00:00Z")
    assert result.exit_code == 2
    assert "expected a time that is past" in result.stderr


def test_a_time_outside_of_the_calendar_is_refused(run: Run) -> None:
    result = run("train", "--at", "0001-01-01T00:00+14:00")
    assert result.exit_code == 2
    assert "a time of our days" in result.stderr


def test_a_broken_file_of_the_folder_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "bus.sqlite").write_bytes(b"no database" * 1000)
    big = tmp_path / "places.csv"
    big.write_text(f'id,lat,lon\n"{"x" * 200_000}",1,2\n')
    for arguments in (["status"], ["places", "import", str(big)]):
        done = subprocess.run(
            [sys.executable, "-m", "skyblend.cli.main", "--data", str(tmp_path), *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.startswith("skyblend: ")
        assert len(done.stderr.splitlines()) == 1
