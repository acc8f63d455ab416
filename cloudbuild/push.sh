#!/usr/bin/env bash
# Pushes an image and writes its name by digest to a file: what is deployed is what was tried, whatever
# is pushed under the same tag afterwards.
# usage: push.sh IMAGE:TAG FILE
set -euo pipefail
docker push "$1"
docker inspect --format '{{index .RepoDigests 0}}' "$1" | tee "$2"
