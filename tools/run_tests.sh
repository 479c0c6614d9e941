#!/bin/sh
# The test suite, and beside it the tests of the CUDA kernels in Numba's simulator, which takes the
# place of the GPU for a whole process. The last line printed is the suite's closing line.
python=${PYTHON:-python}
logs=$(mktemp -d) || exit 1
NUMBA_ENABLE_CUDASIM=1 "$python" -m pytest tests/simulator >"$logs/simulator" 2>&1 &
simulator=$!
trap 'kill "$simulator" 2>/dev/null; rm -rf "$logs"' EXIT
trap 'exit 130' INT TERM

{ "$python" -m pytest 2>&1; echo $? >"$logs/status"; } | tee "$logs/suite"
status=$(cat "$logs/status")
if wait "$simulator"; then
    echo "tests/simulator: $(tail -n 1 "$logs/simulator")"
else
    status=1
    cat "$logs/simulator"
fi
tail -n 1 "$logs/suite"
exit "$status"
