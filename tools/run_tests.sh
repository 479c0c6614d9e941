#!/bin/sh
# The test suite: rooms of tests/ in processes of their own, two at a time. The CUDA kernels' room
# must be: Numba's simulator takes the place of the GPU for a whole process. Arguments go to pytest
# in all of them. A room is printed when it has ended; the last line printed is the closing line of
# all together. Nothing is left in this folder, and no package is taken from it. A command in $LINT
# runs first, and where it fails, nothing more.
export PYTHON="${PYTHON:-python}" LOGS
LOGS=$(mktemp -d) || exit 1
trap 'rm -rf "$LOGS"' EXIT
trap 'exit 130' INT TERM
start=$(date +%s)

# First what takes one process, beside each other: the checks, and every kernel of the CPU, which the
# rooms then find on disk. Then the longest, so that both processes end together. Rooms on a line
# share a process, whose start takes 3 s; data and package share a build of the extensions.
kernels=tests/kernels/test_every_kernel.py
listed="lint
$kernels
tests/cuda
tests/data tests/package
tests/cuda/simulator
tests/cli
tests/kernels --ignore=$kernels
tests/backends
tests/distributed
tests/docs
tests/autotune tests/explain tests/graph tests/interop
tests/lab tests/saving tests/serving tests/strategies"
rooms=$(find tests -name 'test_*.py' -exec dirname {} + | sort -u)
others=$(echo "$rooms" | grep -vxF "$(echo "$listed" | tr ' ' '\n')")
printf '%s\n' "$listed" "$others" | xargs -P 2 -I {} sh -c '
    room=$1; shift
    case $room in
        lint)
            sh -c "${LINT:-:}" 2>&1 && exit
            printf "FAILED %s\n1 error in 0s\n" "$LINT" >"$LOGS/tests-lint"
            : >"$LOGS/failed"
            exit 255 ;;
        */simulator) export NUMBA_ENABLE_CUDASIM=1 ;;
    esac
    log=$LOGS/$(echo "$room" | tr "/ " "--")
    "$PYTHON" -P -m pytest -p no:cacheprovider --durations=20 "$@" $room >"$log" 2>&1
    # 5: the arguments leave no test of this room.
    status=$?; [ "$status" -eq 0 ] || [ "$status" -eq 5 ] || : >"$LOGS/failed"
    grep -vE "^([0-9.]+s (call|setup|teardown) |=+ slowest |\([0-9]+ durations)" "$log"
' sh {} "$@"

cd "$LOGS" || exit 1
status=0; [ ! -e failed ] || status=1
echo "slowest 20:"
grep -hE '^[0-9.]+s (call|setup|teardown) ' ./tests-* | sort -rn | head -n 20
grep -hE '^(FAILED|ERROR) ' ./tests-*
for log in ./tests-*; do tail -n 1 "$log"; done | awk -v seconds=$(($(date +%s) - start)) '
    / in [0-9.]+s/ {
        gsub(/=+ *| in [0-9.]+s.*/, "")
        n = split($0, parts, ", ")
        for (i = 1; i <= n; i++) { split(parts[i], count, " "); sums[count[2]] += count[1] }
    }
    END {
        n = split("failed passed skipped deselected xfailed xpassed warnings error errors", kinds)
        for (i = 1; i <= n; i++)
            if (sums[kinds[i]]) line = line (line ? ", " : "") sums[kinds[i]] " " kinds[i]
        if (!line) line = "no tests ran"
        printf "================ %s in %d.00s ================\n", line, seconds
    }'
exit "$status"
