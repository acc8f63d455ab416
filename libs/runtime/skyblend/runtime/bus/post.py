"""Ways to post a push: over HTTP, or into a WSGI application of the same process."""

import io
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from skyblend.runtime.bus.delivery import Post, Unreachable

if TYPE_CHECKING:
    from requests import ConnectionError as Broken

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_CONNECT_SECONDS, _ANSWER_SECONDS = 5.0, 3600.0
_LOG = logging.getLogger(__name__)


def over_http(address: Callable[[str], str]) -> Post:
    """Post to `address(path)`, the whole URL. An answer that does not come in an hour is a 504, one
    that breaks off a 502: the endpoint had the message, and it may be what killed it."""
    import requests  # noqa: PLC0415 - heavy, and not needed in one process

    session = requests.Session()
    session.trust_env = False  # our own endpoints are never behind a proxy

    def post(path: str, body: bytes, headers: Mapping[str, str]) -> int:
        try:
            answer = session.post(
                address(path),
                data=body,
                headers=dict(headers),
                allow_redirects=False,
                timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS),
            )
        except requests.ConnectionError as error:
            if isinstance(error, requests.ConnectTimeout) or _is_refused(error):
                raise Unreachable(f"{path}: {type(error).__name__}") from None
            _LOG.warning("%s: the connection ended without an answer", path)
            return 502
        except requests.Timeout:
            return 504
        except requests.RequestException:
            _LOG.exception("%s gave no readable answer", path)
            return 502
        return int(answer.status_code)

    return post


def _is_refused(error: "Broken") -> bool:
    """Whether there was no connection at all: only then urllib3 tells of tries."""
    from urllib3.exceptions import MaxRetryError  # noqa: PLC0415 - comes with requests

    return bool(error.args) and isinstance(error.args[0], MaxRetryError)


def into_wsgi(application: Wsgi) -> Post:
    """Call the application itself. What it raises is our own trouble: logged, and a 500."""

    def post(path: str, body: bytes, headers: Mapping[str, str]) -> int:
        answered: list[str] = []

        def start_response(status: str, *_: object) -> Callable[[bytes], object]:
            answered[:] = [status]
            return lambda _: None

        try:
            for _ in (answer := application(_environ(path, body, headers), start_response)):
                pass
            if close := getattr(answer, "close", None):
                close()
        except Exception:  # noqa: BLE001 - what a server answers 500 to
            _LOG.exception("%s failed", path)
            return 500
        return int(answered[0].split(" ", 1)[0])

    return post


def _environ(path: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    given = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    return given | {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1",
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
