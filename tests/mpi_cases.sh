#!/bin/sh
# Worlds of MPI processes in which something goes wrong in a collective operation: all end in time, with an exit code other
# than 0, and some rank says what it was. Usage: mpi_cases.sh PROGRAM MPIEXEC [OPTION...]
# "PROGRAM cases" prints a line for each: RANKS ARGUMENTS|PATTERN. They run several at once, as they mostly wait.
program=$1
shift
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM OMPI_MCA_rmaps_base_oversubscribe
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
at_once=6 limit_s=60
launcher="$*"

# one NUMBER RANKS ARGUMENTS PATTERN: leaves the file NUMBER.passed or NUMBER.failed.
one() {
    start_s=$(date +%s)
    timeout -k 5 $limit_s $launcher -n "$2" "$program" $3 >"$out/$1" 2>&1
    code=$?
    if [ "$code" -eq 0 ]; then why="expected a failure"
    elif [ $(($(date +%s) - start_s)) -ge $limit_s ]; then why="did not end within $limit_s s"
    elif [ -n "$4" ] && ! grep -q -E "$4" "$out/$1"; then why="expected to find: $4"
    else
        : >"$out/$1.passed"
        return
    fi
    { echo "FAIL $3 on $2: $why (exit code $code); output:"; sed 's/^/    /; 20q' "$out/$1"; } >"$out/$1.failed"
}

"$program" cases >"$out/cases"
number=0
while IFS='|' read -r command pattern; do
    number=$((number + 1))
    one $number "${command%% *}" "${command#* }" "$pattern" </dev/null &
    [ $((number % at_once)) -ne 0 ] || wait
done <"$out/cases"
wait
cat "$out"/*.failed 2>/dev/null
passed=$(find "$out" -name '*.passed' | wc -l)
echo "$passed passed, $((number - passed)) failed"
[ "$number" -gt 0 ] && [ "$passed" -eq "$number" ]
