#!/bin/sh
# Worlds of MPI processes that fail: everybody ends in time, the cause is printed once, by the rank that had it, and the
# exit code tells. Usage: mpi_faults.sh PROGRAM MPIEXEC [OPTION...], PROGRAM being comm_faults_test.
#   mpi_faults.sh build/tests/comm_faults_test mpiexec.openmpi --oversubscribe
program=$1
shift
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
passed=0 failed=0

complain() {
    failed=$((failed + 1))
    echo "FAIL $mode on $ranks: $1 (exit code $code); output:"
    sed 's/^/    /' "$out"
}

# run MODE RANKS EXIT_CODE LINES PATTERN: LINES lines of errors, one of them with PATTERN. EXIT_CODE "any": not 0.
run() {
    mode=$1 ranks=$2
    shift 2
    timeout -k 5 30 $launcher -n "$ranks" "$program" "$mode" >"$out" 2>&1
    code=$?
    lines=$(grep -c -E '(rank [0-9]+|error): ' "$out")
    if [ "$code" -ge 124 ] && [ "$code" -le 125 ]; then complain "did not end within 30 s"
    elif [ "$1" = any ] && [ "$code" -eq 0 ]; then complain "expected a failure"
    elif [ "$1" != any ] && [ "$code" -ne "$1" ]; then complain "expected exit code $1"
    elif [ "$2" != any ] && [ "$lines" -ne "$2" ]; then complain "expected $2 lines of errors, got $lines"
    elif [ -n "$3" ] && ! grep -q -E "$3" "$out"; then complain "expected to find: $3"
    else passed=$((passed + 1)); fi
}

launcher="$*"
for n in 2 3 4; do
    run succeeds $n 0 0 ''
    run fails $n 1 1 'rank 1: the disk is full'
    run usage $n 2 1 'rank 1: 3 heads over 2 ranks'
    run hangs $n 1 any 'rank [0-9]: rank [0-9] waited 1.5 s for a message from rank [0-9] \(pp send/recv, microbatch 4, 4 bytes\)'
    run aborts $n 1 1 'rank 1: the loss is not finite'
    run ends $n 1 any 'rank [0-9]: rank [0-9] expects a message from rank 1 .*, but rank 1 has ended'
    run differs $n 1 1 'rank 1: rank 1 expects from rank 0 8 bytes .* which sent (more|32 bytes)'
    run leaves $n 1 1 'rank 1: rank 1 ended with 2 messages under way, the first from rank 0'
    run injected $n 1 1 'rank 1: injected at message 3'
    run killed $n any any ''
    run wrong-number $n 2 1 "error: this run has 17 ranks, but mpiexec started $n processes; start it with: mpiexec -n 17"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
