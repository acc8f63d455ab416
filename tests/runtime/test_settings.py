"""Settings: defaults, mistakes told all at once, secrets never shown."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from skyblend.runtime.settings import Misconfigured, Settings, declared, variable

EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"


def example() -> dict[str, tuple[str, str]]:
    """Variable -> its value and the comment above it."""
    found, comment = {}, ""
    for line in EXAMPLE.read_text().splitlines():
        if line.startswith("#"):
            comment = line.removeprefix("# ")
        elif line:
            name, _, value = line.partition("=")
            found[name] = (value, comment)
    return found


def test_the_example_file_shows_every_setting_with_its_default_and_a_line_about_it() -> None:
    shown = example()
    for one in declared():
        assert shown.pop(variable(one)) == (one.metadata["default"], one.metadata["about"])
    assert all(name.startswith("SKYBLEND_OPEN_METEO_") for name in shown)


def test_the_example_file_as_it_is_gives_the_defaults() -> None:
    assert Settings.read({name: value for name, (value, _) in example().items()}) == Settings()


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.read({})
    assert settings.data == Path("data")
    assert settings.root == Path("data/live")
    assert settings.port == 8080
    assert settings.nearest_km == 30.0
    assert settings.allowed_hosts == ()


def test_settings_are_read_from_their_variables() -> None:
    settings = Settings.read(
        {
            "SKYBLEND_DATA": "/srv/sky", "SKYBLEND_REALM": "simulated", "SKYBLEND_PORT": " 9000 ",
            "SKYBLEND_ALLOWED_HOSTS": "weather.lan, sky.lan,", "SKYBLEND_UPLOAD_LIMIT": "",
            "PORT": "1",
        }
    )  # fmt: skip
    assert settings.root == Path("/srv/sky/simulated")
    assert settings.port == 9000
    assert settings.allowed_hosts == ("weather.lan", "sky.lan")
    assert settings.upload_limit == 2 * 1024**3


def test_all_mistakes_are_told_at_once() -> None:
    wrong = {
        "SKYBLEND_PORT": "eighty", "SKYBLEND_REALM": "dream", "SKYBLEND_NEAREST_KM": "-3",
        "SKYBLEND_MEMBER_LIMIT": "-1", "SKYBLEND_TABLES_MEMORY": "much",
        "SKYBLEND_UPLAOD_LIMIT": "5", "SKYBLEND_OPENWEATHERMAP_LIMIT": "many",
        "SKYBLEND_OPEN_METEO_FORECAST_URL": "file:///etc/passwd", "SKYBLEND_LOG_LEVEL": "LOUD",
    }  # fmt: skip
    with pytest.raises(Misconfigured) as refused:
        Settings.read(wrong)
    told = str(refused.value)
    for name in wrong:
        assert name in told
    assert "SKYBLEND_OPENWEATHERMAP_LIMIT must be a whole number, got 'many'" in told
    assert "SKYBLEND_UPLAOD_LIMIT is no setting, perhaps SKYBLEND_UPLOAD_LIMIT is meant" in told


@pytest.mark.parametrize("value", ["65536", "-1", "80.5"])
def test_a_port_that_cannot_be(value: str) -> None:
    with pytest.raises(Misconfigured, match="SKYBLEND_PORT must be"):
        Settings.read({"SKYBLEND_PORT": value})


@pytest.mark.parametrize("value", ["nan", "inf", "0", "far"])
def test_a_distance_that_cannot_be(value: str) -> None:
    with pytest.raises(Misconfigured, match="SKYBLEND_NEAREST_KM must be a number greater than 0"):
        Settings.read({"SKYBLEND_NEAREST_KM": value})


@pytest.mark.parametrize(
    ("value", "hours"), [("", ()), ("0,6,12,18", (0, 6, 12, 18)), (" 23, 0,23,", (0, 23))]
)
def test_hours_of_a_day(value: str, hours: tuple[int, ...]) -> None:
    assert Settings.read({"SKYBLEND_TRAIN_HOURS": value}).train_hours == hours


@pytest.mark.parametrize("value", ["24", "0,six", "-1", "0.5", "0 6"])
def test_hours_that_cannot_be(value: str) -> None:
    with pytest.raises(Misconfigured, match="SKYBLEND_TRAIN_HOURS must be "):
        Settings.read({"SKYBLEND_TRAIN_HOURS": value})


def test_a_sources_options_have_short_names_and_no_empty_values() -> None:
    settings = Settings.read(
        {"SKYBLEND_OPEN_METEO_APIKEY": "k", "SKYBLEND_OPEN_METEO_MODELS": "",
         "SKYBLEND_OPENWEATHERMAP_KEY": "other"}
    )  # fmt: skip
    assert settings.source_options("open_meteo") == {"apikey": "k"}


def test_secrets_are_never_shown() -> None:
    settings = Settings.read(
        {"SKYBLEND_OPENWEATHERMAP_KEY": "hidden1", "SKYBLEND_OPEN_METEO_APIKEY": "hidden2",
         "SKYBLEND_FROST_TOKEN": "hidden3", "SKYBLEND_FROST_MODELS": "shown"}
    )  # fmt: skip
    assert settings.secrets() == {"hidden1", "hidden2", "hidden3"}
    assert "hidden" not in repr(settings) + str(settings)


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings.read({}).port = 1  # type: ignore[misc]


def test_a_service_on_cloud_storage_needs_a_bus_that_reaches_others() -> None:
    given = {
        "SKYBLEND_STORAGE": "gcs", "SKYBLEND_TABLES": "bigquery", "SKYBLEND_BUCKET": "b",
        "SKYBLEND_PROJECT": "p", "SKYBLEND_AUTH": "iam",
    }  # fmt: skip
    with pytest.raises(Misconfigured, match="SKYBLEND_BUS must be pubsub"):
        Settings.read(given)
    assert Settings.read({**given, "SKYBLEND_BUS": "pubsub"}).bucket == "b"
    assert Settings.read(given, serves=False).bucket == "b"
