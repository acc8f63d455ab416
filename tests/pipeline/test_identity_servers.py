"""Headers as they come over the wire: what a server makes of two of a name must let nobody in."""

import socket
from collections.abc import Iterator

import pytest
from identities import CALLER, stripped, token
from stopping import Running, answer, running

MINE = f"Bearer {stripped(email='somebody@x.example')}"  # of one who may not
FORGED = f"Bearer {stripped()}"  # of one who may, made by the former
OTHER = "X-Serverless-Authorization"
MIXED = "X_Serverless_Authorization"  # to some servers the same name


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Serve as its image runs it, told that it stands behind Cloud Run."""
    told = {
        "SKYBLEND_AUTH": "iam",
        "SKYBLEND_CALLERS": CALLER,
        "K_SERVICE": "skyblend-serve",
        "K_REVISION": "skyblend-serve-00001-abc",
    }
    with running("serve", tmp_path_factory.mktemp("iam") / "data", **told) as service:
        yield service


def status(service: Running, *headers: tuple[str, str]) -> int:
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    request = (
        "POST /v1/issue HTTP/1.1\r\nHost: skyblend-serve-abc.a.run.app\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: 2\r\n{head}\r\n{{}}"
    )
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as stream:
        stream.sendall(request.encode())
        return answer(stream)[0]


def test_who_may_is_let_in(serve: Running) -> None:
    assert status(serve, ("Authorization", FORGED)) == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", MINE)],
        [("Authorization", MINE), ("Authorization", FORGED)],
        [("Authorization", FORGED), ("Authorization", MINE)],
        [("Authorization", f"{MINE}, {FORGED}")],
        [("Authorization", MINE), (OTHER, FORGED)],
        [("Authorization", MINE), (MIXED, FORGED)],
        [("Authorization", FORGED), (OTHER, MINE)],
        [(OTHER, MINE), (MIXED, FORGED)],
        [(MIXED, FORGED), (OTHER, MINE)],
        [(OTHER, FORGED)],
        [("Authorization", f"Bearer {token(header={'alg': 'none'})}")],
    ],
)
def test_nobody_borrows_the_name_of_another(serve: Running, headers: list[tuple[str, str]]) -> None:
    assert status(serve, *headers) in (401, 403)
