#!/usr/bin/env bash
# Tries an image before anybody gets it: without network, on a file system that can only be read. A service
# answers /health without being root and ends within ten seconds of SIGTERM with code 0; a job finds
# nothing to do and says so.
# usage: try.sh IMAGE service|job
set -euo pipefail
image=$1 kind=$2
run=(docker run --network none --read-only --tmpfs /tmp --env SKYBLEND_DATA=/tmp/data)

if [[ $kind == job ]]; then
    "${run[@]}" --rm "$image" | grep '"series": \[\]'
    exit
fi

container=$("${run[@]}" --detach "$image")
trap 'docker rm --force "$container" >/dev/null' EXIT
docker exec --interactive "$container" python - <<'PYTHON' || { docker logs "$container" >&2; exit 1; }
import importlib.util, os, shutil, sys, time, urllib.error, urllib.request

url, started = f"http://127.0.0.1:{os.environ['PORT']}/health", time.monotonic()
answer = None
while answer is None:
    try:
        answer = urllib.request.urlopen(url, timeout=10).read().decode()
    except urllib.error.URLError as error:
        if isinstance(error, urllib.error.HTTPError) or time.monotonic() > started + 30:
            sys.exit(f"{url}: {error}")
        time.sleep(0.05)
mistakes = ["it runs as root"] if os.getuid() == 0 else []
mistakes += [f"it has {name}" for name in ("pip", "setuptools", "pytest") if importlib.util.find_spec(name)]
mistakes += [f"it has {name}" for name in ("cc", "gcc", "make") if shutil.which(name)]
sys.exit("; ".join(mistakes) or None)
PYTHON
docker stop --time 10 "$container" >/dev/null
code=$(docker inspect --format '{{.State.ExitCode}}' "$container")
[[ $code == 0 ]] || { echo "$image: expected 0 within ten seconds of SIGTERM, got $code" >&2; exit 1; }
echo "$image: answers, and ends when asked"
