#!/bin/bash
# Who may include whom (docs/architecture.md): every #include "room/..." in src is held against the table, and headers of
# outside libraries against the files that may use them. Usage: layers.sh SOURCE-FOLDER
set -euo pipefail
cd "${1:?usage: layers.sh SOURCE-FOLDER}"

# room: the rooms it may include (itself and base always)
declare -A may=(
    [base]=""
    [device]=""
    [mesh]=""
    [pipeline]="mesh"
    [data]=""
    [model]="mesh"
    [timeline]="mesh pipeline"
    [planner]="mesh model pipeline timeline"
    [comm]="device"
    [trace]="mesh device comm pipeline timeline"
    [collectives]="comm device"
    [compute]="device"
    [tensor_parallel]="mesh device comm collectives compute"
    [transformer]="mesh device comm collectives compute model tensor_parallel"
    [data_parallel]="mesh device comm collectives compute model"
    [optimizer]="mesh device comm collectives compute model"
    [checkpoint]="mesh device comm collectives model"
    [train]="mesh device comm collectives compute model tensor_parallel transformer data_parallel optimizer pipeline
        timeline trace data checkpoint"
    [cli]="mesh device comm collectives compute model tensor_parallel transformer data_parallel optimizer pipeline
        timeline trace data checkpoint train planner"
)
# outside header (extended regular expression): the files that may include it
outside=(
    '^mpi\.h$|^mpi/:^src/comm/mpi[a-z_]*\.[ch]$'
    'dnnl:^src/compute/cpu[a-z_]*\.[ch]$'
    'hwloc:^src/(base/os[a-z_]*\.c|train/.*)$'
    '^omp\.h$:^src/compute/'
)

passed=0
failed=0
bad() {
    echo "$1" >&2
    failed=$((failed + 1))
}

path='[<"]([^<">]*)[">]'
while IFS=: read -r file line text; do
    room=${file#src/}
    room=${room%%/*}
    [[ $text =~ $path ]] || { bad "$file:$line: no header in$text"; continue; }
    header=${BASH_REMATCH[1]}
    before=$failed
    for rule in "${outside[@]}"; do
        if [[ $header =~ ${rule%:*} && ! $file =~ ${rule##*:} ]]; then
            bad "$file:$line: <$header> may only be included in ${rule##*:}"
        fi
    done
    if [[ -z ${may[$room]+known} ]]; then
        bad "$file:$line: src/$room has no row in the table of tests/checks/layers.sh"
    elif [[ $text == *\"* ]]; then
        target=${header%%/*}
        if [[ $header == *..* ]]; then
            bad "$file:$line: \"$header\": write the path from src"
        elif [[ $room/$header == planner/collectives/cost.h ]]; then
            : # pure, and the one place that knows what collectives send
        elif [[ $header == */* && -n ${may[$target]+known} && $target != base && $target != "$room" &&
            " ${may[$room]//$'\n'/ } " != *" $target "* ]]; then
            read -rd '' -a allowed <<<"base ${may[$room]}" || true
            bad "$file:$line: \"$header\": $room may include ${allowed[*]}, not $target"
        elif [[ $header == */* && -z ${may[$target]+known} ]]; then
            bad "$file:$line: \"$header\": src/$target has no row in the table of tests/checks/layers.sh"
        fi
    fi
    [[ $failed == "$before" ]] && passed=$((passed + 1))
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include' src --include='*.[ch]' | sort)

[[ $((passed + failed)) -gt 0 ]] || bad "no #include found in $PWD/src"
echo "$passed passed, $failed failed"
exit $((failed > 0))
