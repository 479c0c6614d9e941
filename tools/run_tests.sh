#!/bin/sh
# The test suite, and beside it the tests of the CUDA kernels in Numba's simulator, which takes the
# place of the GPU for a whole process. Arguments go to pytest in both. The last line printed is the
# suite's closing line. Nothing is left in this folder, and no package is taken from it.
python=${PYTHON:-python}
logs=$(mktemp -d) || exit 1
set -- -P -m pytest -p no:cacheprovider --durations=20 "$@"
NUMBA_ENABLE_CUDASIM=1 "$python" "$@" tests/cuda/simulator >"$logs/simulator" 2>&1 &
simulator=$!
trap 'kill "$simulator" 2>/dev/null; rm -rf "$logs"' EXIT
trap 'exit 130' INT TERM

{ "$python" "$@" 2>&1; echo $? >"$logs/status"; } | tee "$logs/suite"
status=$(cat "$logs/status")
if wait "$simulator"; then
    echo "tests/cuda/simulator:"
    sed -n '/ slowest .* ===/,$p' "$logs/simulator"
else
    status=1
    cat "$logs/simulator"
fi
tail -n 1 "$logs/suite"
exit "$status"
