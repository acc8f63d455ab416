#!/bin/sh
# Makes the environment of an image in /app: what requirements/IMAGE.txt locks, each file checked against
# its hash, then our own packages that requirements/IMAGE.in names. Neither pip nor a compiler is in it.
# usage: environment.sh IMAGE
set -eu
image=$1

into_app() {
    /build/bin/pip --python /app/bin/python install --no-compile "$@"
}

python -m venv --without-pip /app
into_app --require-hashes --only-binary :all: -r "requirements/$image.txt"

sed -n 's|^\./\([a-z/]*\).*|./\1|p' "requirements/$image.in" \
    | xargs /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels
into_app --no-deps --no-index /wheels/*.whl

# What only those need who work on a library itself: its tests, headers and stubs; of Arrow the network
# protocol Flight, a tenth of the image.
cd "$(/app/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
find . -depth -type d \( -name tests -o -path '*/include' \) -exec rm -r {} +
find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.[ah]' \) -delete
rm -f pyarrow/libarrow_flight.so.* pyarrow/_flight.*

# Compiled here, since no instance could keep what it compiled; unchecked, since nothing changes afterwards.
/app/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash .
