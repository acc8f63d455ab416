"""One run of cloudbuild/release.sh beside a gcloud that only keeps a service's traffic in a file,
and a curl that answers as told."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "registry.example/skyblend/ingest@sha256:" + "0" * 64
TOKEN = "the-identity-token"
URL, TAGGED = (
    "https://skyblend-ingest.example",
    "https://candidate-abc1234---skyblend-ingest.example",
)

GCLOUD = f'''#!{sys.executable} -SE
import json, os, sys
from pathlib import Path

told, flags = [a for a in sys.argv[1:] if a[0] != "-"], dict(
    a[2:].partition("=")[::2] for a in sys.argv[1:] if a[0] == "-"
)
file = Path(os.environ["STATE"])
state = json.loads(file.read_text())
state["commands"].append(sys.argv[1:])
if told[:2] == ["auth", "print-identity-token"]:
    print("{TOKEN}")
elif told[:2] == ["run", "deploy"]:
    state["tags"][flags["tag"]] = "new"
elif told[:3] == ["run", "services", "update-traffic"]:
    if "to-revisions" in flags:
        revision, _, percent = flags["to-revisions"].partition("=")
        state["traffic"] = {{revision: int(percent)}}
    if "to-latest" in flags:
        state["traffic"] = {{"latest": 100}}
    state["tags"].pop(flags.get("remove-tags"), None)
elif told[:3] == ["run", "services", "describe"]:
    if state["tags"] and "NOT_TOLD" in os.environ:
        sys.exit("the service is not told")
    rows = [
        {{"status.url": "{URL}", "status.traffic.percent": str(percent),
          "status.traffic.revisionName": revision}}
        for revision, percent in state["traffic"].items()
    ]
    rows += [
        {{"status.url": "{URL}", "status.traffic.tag": tag, "status.traffic.revisionName": revision,
          "status.traffic.url": "{TAGGED}"}}
        for tag, revision in state["tags"].items()
    ]
    keys = flags["format"].removeprefix("value(").removesuffix(")").split(",")
    for row in rows:
        print(*(row.get(key, "") for key in keys), sep="\\t")
file.write_text(json.dumps(state))
if told[:2] == ["run", "deploy"] and "NEVER_READY" in os.environ:
    sys.exit("the revision is not ready")
'''

CURL = f"""#!{sys.executable} -SE
import json, os, sys
from pathlib import Path

state = json.loads(Path(os.environ["STATE"]).read_text())
with open(os.environ["CALLS"], "a") as calls:
    print(json.dumps({{
        "arguments": sys.argv[1:], "header": sys.stdin.read().strip(), "traffic": state["traffic"]
    }}), file=calls)
if sys.argv[-1] == os.environ.get("CANCELLED"):
    os.kill(os.getppid(), 15)
sys.exit(22 if sys.argv[-1] == os.environ.get("FAILS") else 0)
"""


class Release:
    """One run of the script: its exit code, the state that it leaves, and what was called."""

    def __init__(
        self, folder: Path, *, traffic: dict[str, int], image: str, **environ: str
    ) -> None:
        for name, text in (("gcloud", GCLOUD), ("curl", CURL)):
            (folder / name).write_text(text)
            (folder / name).chmod(stat.S_IRWXU)
        state, calls = folder / "state.json", folder / "calls.jsonl"
        state.write_text(json.dumps({"traffic": traffic, "tags": {}, "commands": []}))
        calls.touch()
        done = subprocess.run(
            [
                *("bash", ROOT / "cloudbuild" / "release.sh", "skyblend-ingest", image),
                *("europe-west1", "build@example", "candidate-abc1234"),
            ],
            env={
                "PATH": f"{folder}:{os.environ['PATH']}",
                "STATE": str(state),
                "CALLS": str(calls),
                **environ,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        self.code, self.told = done.returncode, done.stdout + done.stderr
        left: dict[str, Any] = json.loads(state.read_text())
        self.traffic, self.tags, self.commands = left["traffic"], left["tags"], left["commands"]
        self.calls = [json.loads(line) for line in calls.read_text().splitlines()]


def release(
    folder: Path, *, traffic: dict[str, int] | None = None, image: str = IMAGE, **environ: str
) -> Release:
    return Release(folder, traffic=traffic or {"old": 100}, image=image, **environ)
