"""The data folder: its format, its token, and one pipeline at a time."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from skyblend.runtime import folder
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Misconfigured, Settings
from skyblend.runtime.tokens import bearer, is_shown, token


def test_a_new_folder_gets_the_present_format(tmp_path: Path) -> None:
    folder.prepare(tmp_path / "new" / "data")
    assert json.loads((tmp_path / "new" / "data" / "version").read_text()) == {"format": 2}
    folder.prepare(tmp_path / "new" / "data")


def test_a_newer_format_is_refused_and_nothing_touched(tmp_path: Path) -> None:
    (tmp_path / "version").write_text('{"format": 3}')
    with pytest.raises(Misconfigured, match="has format 3, this Skyblend reads up to 2"):
        runtime_for(Settings(data=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["version"]


def test_a_folder_of_format_1_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "version").write_text('{"format": 1}')
    latest = tmp_path / "live" / "bucket" / "latest" / "berlin.pb"
    latest.parent.mkdir(parents=True)
    latest.write_bytes(b"runs")
    folder.prepare(tmp_path)
    assert json.loads((tmp_path / "version").read_text()) == {"format": 2}
    assert latest.read_bytes() == b"runs"


@pytest.mark.parametrize(
    "content",
    [
        "one",
        "",
        "[]",
        "{}",
        '{"format": 0}',
        '{"format": "1"}',
        '{"format": true}',
        '{"format": 1.5}',
    ],
)
def test_an_unreadable_format_is_refused_and_stays(tmp_path: Path, content: str) -> None:
    (tmp_path / "version").write_text(content)
    with pytest.raises(Misconfigured) as refused:
        folder.prepare(tmp_path)
    file = tmp_path / "version"
    assert str(refused.value) == f'{file}: expected {{"format": 2}}, got {content!r}'
    assert file.read_text() == content


@pytest.fixture
def unwritable() -> Iterator[Path]:
    """A folder that this user may read only; root is nobody meanwhile, whom modes stop."""
    user = os.geteuid()
    with TemporaryDirectory() as made:
        Path(made).chmod(0o555)
        if not user:
            os.seteuid(65534)
        try:
            yield Path(made)
        finally:
            os.seteuid(user)
            Path(made).chmod(0o700)


def test_a_folder_that_cannot_be_written_is_named(unwritable: Path) -> None:
    with pytest.raises(Misconfigured) as refused:
        folder.prepare(unwritable)
    assert str(refused.value).startswith(f"the data folder {unwritable} cannot be written by user ")
    with pytest.raises(Misconfigured) as refused:
        folder.prepare(unwritable / "data")
    assert str(refused.value) == (
        f"the data folder {unwritable / 'data'} cannot be made: permission denied"
    )


def test_the_realms_are_apart(tmp_path: Path) -> None:
    live = runtime_for(Settings(data=tmp_path))
    simulated = runtime_for(Settings(data=tmp_path, realm="simulated"))
    live.storage.write("a", b"x")
    assert list(simulated.storage.list("")) == []
    assert live.token == simulated.token
    assert (tmp_path / "live" / "bucket" / "a").is_file()
    live.bus.close()
    simulated.bus.close()


def test_the_token_is_for_its_owner_only_and_stays(tmp_path: Path) -> None:
    first = token(tmp_path)
    assert len(first) >= 43  # 32 random bytes in base64
    assert stat.S_IMODE(os.stat(tmp_path / "token").st_mode) == 0o600
    assert token(tmp_path) == first
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_all_that_make_the_token_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(token, [tmp_path] * 16))) == 1


def test_a_damaged_token_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    with pytest.raises(Misconfigured, match="holds no token"):
        token(tmp_path)


def test_a_token_that_others_may_read_is_narrowed_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = token(tmp_path)
    (tmp_path / "token").chmod(0o644)
    assert token(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert token(tmp_path) == first
    (told,) = caplog.messages
    assert "had mode 0644: now 0600" in told


def test_a_token_of_another_user_is_refused(tmp_path: Path) -> None:
    token(tmp_path)
    if os.geteuid():
        pytest.skip("only root may give a file away")
    os.chown(tmp_path / "token", 12345, -1)
    with pytest.raises(Misconfigured, match="belongs to user 12345"):
        token(tmp_path)


def test_what_shows_the_token() -> None:
    assert is_shown(bearer("s3cret"), "s3cret")
    assert is_shown("bearer s3cret", "s3cret")
    for header in ("", "s3cret", "Basic s3cret", "Bearer", "Bearer s3cre", "Bearer s3cretx", "é ü"):
        assert not is_shown(header, "s3cret")


RUNNING = folder.Running(
    pid=4242, address="http://127.0.0.1:8080", realm="live", started_at="2026-11-20T10:00:00Z"
)


def test_a_second_pipeline_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    with folder.pipeline_lock(tmp_path):
        folder.write_running(tmp_path, RUNNING)
        with (
            pytest.raises(folder.Locked, match=r"process 4242 .* at http://127\.0\.0\.1:8080"),
            folder.pipeline_lock(tmp_path),
        ):
            raise AssertionError("two pipelines")
        assert folder.read_running(tmp_path) == RUNNING
    with folder.pipeline_lock(tmp_path):
        pass


def test_what_a_dead_pipeline_left_is_not_believed(tmp_path: Path) -> None:
    assert folder.read_running(tmp_path) is None
    folder.write_running(tmp_path, RUNNING)
    assert folder.read_running(tmp_path) is None  # nobody holds the lock
    with folder.pipeline_lock(tmp_path):
        assert folder.read_running(tmp_path) == RUNNING
        (tmp_path / "running.json").write_text('{"pid"')
        assert folder.read_running(tmp_path) is None
    folder.clear_running(tmp_path)
    folder.clear_running(tmp_path)


HOLDER = """
import sys
from pathlib import Path
from skyblend.runtime.folder import pipeline_lock
with pipeline_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lock_of_a_killed_pipeline_is_free(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    with holder:
        assert holder.stdout.readline() == "held\n"
        assert folder.is_locked(tmp_path)
        holder.kill()
        holder.wait()
    assert not folder.is_locked(tmp_path)


def test_the_runtime_costs_no_heavy_import() -> None:
    code = (
        "import sys, skyblend.runtime.place, skyblend.runtime.places, skyblend.runtime.guards;"
        "print([m for m in ('duckdb', 'pyarrow', 'numpy', 'requests', 'flask', 'google.api_core',"
        " 'prometheus_client') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_the_tables_are_made_at_their_first_use(tmp_path: Path) -> None:
    runtime = runtime_for(Settings(data=tmp_path))
    assert runtime.tables is runtime.tables
    runtime.bus.close()
