"""The processes of `skyblend services` are run as their images run them."""

import shlex
from collections.abc import Iterable, Iterator

from skyblend.cli.services import GRANIAN, GUNICORN, table
from stopping import image_of


def options(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each option with its value, empty where it has none."""
    given = [*words]
    for word, after in zip(given, [*given[1:], ""], strict=True):
        if word.startswith("--"):
            yield word, "" if after.startswith("--") else after


def test_ingest_and_preprocess_have_the_options_of_their_images() -> None:
    for name in ("ingest", "preprocess"):
        _, environ = image_of(name)
        in_image = dict(options(shlex.split(environ["GUNICORN_CMD_ARGS"])))
        assert in_image.pop("--worker-tmp-dir") == "/dev/shm"  # needs Linux
        assert in_image.pop("--logger-class").endswith("GunicornLogger")  # is for Cloud Run
        assert dict(options(GUNICORN)) == in_image


def test_predict_has_the_options_of_its_image() -> None:
    line, _ = image_of("serve")
    in_image = dict(options(shlex.split(line)))
    assert in_image.pop("--host") == "0.0.0.0"
    assert in_image.pop("--port") == "$PORT"
    assert "granian.json" in in_image.pop("--log-config")
    assert in_image.pop("--factory") == "skyblend.predict.main:create"
    assert dict(options(GRANIAN)) == in_image


def test_an_ipv6_address_stands_in_brackets_where_a_port_follows() -> None:
    for one in table("::1", 8081):
        bound = dict(options(one.arguments))
        where = {"predict": "::1", "ingest": "[::1]:8081", "preprocess": "[::1]:8082"}[one.name]
        assert bound["--host" if one.name == "predict" else "--bind"] == where
