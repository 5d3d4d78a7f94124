#!/bin/bash
# The command line under mpiexec: every message comes once, whichever rank has it; every process ends, whoever fails first;
# the exit code is that of the error. Usage: cli_mpi_test.sh CUBOID OUTPUTS MPIEXEC [FLAG...]
cuboid=${1:?usage: cli_mpi_test.sh CUBOID OUTPUTS MPIEXEC [FLAG...]} looks=${2:?} mpiexec=("${@:3}")
source "$(dirname "$0")/support/cli.sh"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMP_NUM_THREADS=1

# mpi RANKS OPTION...: the small run with these options
mpi() {
    local ranks=$1
    shift
    rc=0
    timeout -k 5 60 "${mpiexec[@]}" -n "$ranks" "$cuboid" "${small[@]}" "$@" >"$out" 2>"$err" || rc=$?
}

# all_refuse CODE MESSAGE RANKS OPTION...: one message, nothing on stdout, no file made
all_refuse() {
    local code=$1 message=$2 before
    shift 2
    before=$(snapshot)
    mpi "$@"
    if [[ $rc == "$code" && $(grep -c "^cuboid: error: " "$err") == 1 && ! -s $out && $(snapshot) == "$before" ]] &&
        has "$err" "$message"; then
        good
    else
        bad "$*: exit code $rc, expected $code and once: $message"
    fi
}

# What all processes find alike.
refuses() {
    all_refuse 2 "dp=2 x tp=1 x pp=1 are 2 ranks, but mpiexec started 3" 3 --dp 2
    all_refuse 2 "dp=2 x tp=1 x pp=1 are 2 ranks, but mpiexec started 3 processes; start them with mpiexec -n 2" 3 --ranks 2
    all_refuse 2 "3 ranks cannot be divided into tp=2 x pp=1" 3 --tp 2
    all_refuse 2 "mpiexec started 2 processes, but --comm threads would train 2 times the same" 2 --comm threads
    all_refuse 2 "--stps is not an option; did you mean '--steps'" 2 --stps 3
    all_refuse 1 "cannot open missing: No such file" 2 --data missing
    all_refuse 1 "--log none/log: there is no directory none" 2 --log none/log
    local whole=("${small[@]}")
    small=(trian)
    all_refuse 2 "'trian' is not a command" 3
    small=("${whole[@]}")
    mpi 2 --init nowhere
    check "no weights: code 1, once" equal "$rc $(grep -c "cuboid: error: nowhere holds neither" "$err")" "1 1"
}

# What one process finds, whichever it is: the others do not wait for it.
one_refuses() {
    local options=("$cuboid" "${small[@]}" --steps 1 --dp 3 --eval-iters 0) which
    for which in 0 1 2; do
        local line=() i
        for i in 0 1 2; do
            [[ $i == 0 ]] || line+=(:)
            line+=(-n 1 "${options[@]}")
            [[ $i == "$which" ]] && line+=(--data missing)
        done
        rc=0
        timeout -k 5 60 "${mpiexec[@]}" "${line[@]}" >"$out" 2>"$err" || rc=$?
        check "rank $which cannot: code 1" equal "$rc" 1
        check "rank $which cannot: one error" equal "$(grep -c "^cuboid: error: " "$err")" 1
        check "rank $which cannot: which one" grep -qE "^cuboid: error: $([[ $which == 0 ]] || echo "rank $which: ")cannot open missing" "$err"
    done
}

# unlike MESSAGE A B C: with these options, text, on ranks 0, 1 and 2 the run ends at once on all, and the message comes once
unlike() {
    local message=$1 line=() i
    shift
    for ((i = 1; i <= $#; i++)); do
        [[ $i == 1 ]] || line+=(:)
        line+=(-n 1 "$cuboid" "${small[@]}" ${!i})
    done
    rc=0
    timeout -k 5 30 "${mpiexec[@]}" "${line[@]}" >"$out" 2>"$err" || rc=$?
    check "$message: code 2" equal "$rc" 2
    check "$message: once" equal "$(grep -cF "cuboid: error: all ranks have to be started alike, but $message" "$err")" 1
    check "$message: the only error" equal "$(grep -c "^cuboid: error: " "$err") $(grep -c "^rank" "$err")" "1 0"
    check "$message: nothing is made" test ! -e saved
}

# Options that differ between ranks are told by name, whatever they would lead to; those of one process alone may.
differs() {
    local whole=("${small[@]}") steps="--steps 2 --eval-iters 0 --dp 3"
    unlike "--seed is 1234 on ranks 0 2 and 2 on rank 1" "$steps" "$steps --seed 2" "$steps"
    unlike "--lr is 0.0006 on rank 0 and 0.001 on rank 1 and 0.00100000000001 on rank 2; --min-lr is" "$steps" "$steps --lr 1e-3" "$steps --lr 0.00100000000001"
    unlike "--dp is 3 on ranks 0 1 and 1 on rank 2; --pp is 1 on ranks 0 1 and 3 on rank 2" "$steps" "$steps" "--steps 2 --eval-iters 0 --pp 3"
    unlike "--schedule is 1f1b on rank 0 and gpipe on ranks 1 2" "--pp 3" "--pp 3 --schedule gpipe" "--pp 3 --schedule gpipe"
    unlike "--steps is 2 on ranks 0 1 and 3 on rank 2" "$steps" "$steps" "$steps --steps 3"
    unlike "--save is left out on ranks 0 1 and saved on rank 2" "$steps" "$steps" "$steps --save saved"
    unlike "--check-messages is yes on rank 0 and no on ranks 1 2" "$steps --check-messages" "$steps" "$steps"
    unlike "--dry-run is no on ranks 0 2 and yes on rank 1" "$steps" "$steps --dry-run" "$steps"
    unlike "--recompute is none on ranks 0 2 and full on rank 1" "$steps" "$steps --recompute full" "$steps"
    mkdir one two
    cp text one/part && random 12000 2 >two/part
    echo '{"n_layer":2,"n_head":4,"n_embd":32,"n_positions":32,"vocab_size":256,"initializer_range":0.02}' >one/config.json
    echo '{"n_layer":2,"n_head":4,"n_embd":32,"n_positions":32,"vocab_size":256,"initializer_range":0.03}' >two/config.json
    echo '{"rules":[{"op":"broadcast","algo":"binomial"}]}' >one/rules && echo '{"rules":[]}' >two/rules
    in_folder "what is in --data is 12000 tokens" --data part --model test-tiny
    in_folder "the model's initializer_range is 0.02 on rank 0 and 0.03 on rank 1" --data ../text --model ./config.json
    in_folder "what is in --algorithms is broadcast binomial" --data ../text --model test-tiny --algorithms rules
    small=("${whole[@]}")
    rc=0
    timeout -k 5 60 "${mpiexec[@]}" -n 1 "$cuboid" "${small[@]}" --steps 2 --log log --deadline 50 : \
        -n 1 "$cuboid" "${small[@]}" --steps 2 --threads-per-rank 1 --no-pin >"$out" 2>"$err" || rc=$?
    check "what is a process's own may differ" equal "$rc" 0
    small=(bench comm)
    unlike "--algo is chosen on ranks 0 2 and tree on rank 1; --sizes is 64 on ranks 0 1 and 64,128 on rank 2" "--sizes 64" "--sizes 64 --algo tree" "--sizes 64,128"
    small=("${whole[@]}")
    rm -r one two log
}
# in_folder MESSAGE OPTION...: rank 0 in one, rank 1 in two, with the same options
in_folder() {
    local message=$1 line=() folder
    shift
    for folder in one two; do
        line+=(-n 1 env -C "$folder" "$cuboid" train --peak-flops 1e11 --eval-iters 0 --dp 2 "$@" :)
    done
    rc=0
    timeout -k 5 30 "${mpiexec[@]}" "${line[@]:0:${#line[@]}-1}" >"$out" 2>"$err" || rc=$?
    check "$message: code 2 and once" equal "$rc $(grep -cF "cuboid: error: all ranks have to be started alike, but $message" "$err")" "2 1"
}

# The same bits as ranks that are threads; one process speaks and writes.
trains() {
    works --dp 2 --tp 2 --steps 3 --micro-batch-size 2 --eval-iters 2 --log threads
    mpi 4 --dp 2 --tp 2 --steps 3 --micro-batch-size 2 --eval-iters 2 --log mpi --save saved --timeline t.svg --logits logits --trace t.json
    check "code 0" equal "$rc" 0
    check "the trace is one" "$looks" events t.json
    check "of all ranks, on one clock" equal "$(grep -c '"process_name"' t.json) $(grep -c '"clock_error_s":0.0,' t.json)" "4 1"
    check "the log" "$looks" log mpi 3
    check "the losses of ranks that are threads" equal "$(losses mpi)" "$(losses threads)"
    check "a progress line for each step" equal "$(grep -c '^step [1-3]/3 ' "$err")" 3
    check "no colours where nobody looks" equal "$(cat "$out" "$err" | grep -c $'\033')" 0
    check "one summary" equal "$(grep -c '^validation loss' "$out") $(grep -c '^3 steps in' "$out")" "1 1"
    check "the weights" equal "$(cd saved && echo *)" "config.json model.safetensors"
    check "the logits" equal "$(stat -c %s logits)" $((8 * 64 * 256 * 4))
    check "the timeline has rows of all ranks" has t.svg "d1 p0 t1"
    mpi 2 --steps 0 --init saved
    check "the weights can be read by 2 ranks" equal "$rc" 0
    rm -r threads mpi saved t.svg t.json logits
}

nonfinite() {
    mpi 4 --lr 1000 --steps 50 --clip-grad 0 --save saved --tp 2 --pp 2
    check "values that are not finite: code 1" equal "$rc" 1
    check "one error" equal "$(grep -c 'value that is not finite' "$err")" 1
    check "the weights are saved" equal "$(cd saved && echo *)" "config.json model.safetensors"
    rm -r saved
}

# The processes of this test's run.
ranks_running() {
    local process
    for process in /proc/[0-9]*; do
        [[ $(readlink "$process/exe" 2>/dev/null) == "$(realpath "$cuboid")" ]] || continue
        tr '\0' '\n' <"$process/cmdline" 2>/dev/null | grep -qxF -- "$scratch/log" && echo "${process#/proc/}"
    done
}
nobody_left() { [[ -z $(ranks_running) ]]; }

start_long() {
    "${mpiexec[@]}" -n 4 "$cuboid" "${small[@]}" --steps 100000 --dp 2 --pp 2 --log "$scratch/log" "$@" >"$out" 2>"$err" </dev/null &
    until_true lines_in "$scratch/log" 2
}

# A rank that is killed takes all others with it.
killed() {
    start_long --save saved
    local victim=$(ranks_running | sort -n | tail -1)
    kill -KILL "$victim"
    local start=$SECONDS
    rc=0
    wait $! || rc=$?
    check "kill -9 of one rank: not code 0" test "$rc" != 0
    check "all end within seconds" test $((SECONDS - start)) -le 10
    check "nobody is left" until_true nobody_left
    check "nothing is saved" test ! -e saved
    rm -f "$scratch/log"
}

# Asked to stop, one rank or all: the step is finished, weights are saved, the summary is printed.
stops() {
    start_long --save saved --eval-iters 1
    kill -TERM "$(ranks_running | sort -n | tail -1)"
    ended_well "SIGTERM to one rank"
    start_long --save saved --eval-iters 1
    kill -USR1 $!
    ended_well "SIGUSR1 to mpiexec"
}
ended_well() {
    rc=0
    wait $! || rc=$?
    check "$1: code 0" equal "$rc" 0
    check "$1: the summary" grep -q "^stopped by a signal" "$out"
    check "$1: the weights are saved" equal "$(cd saved && echo *)" "config.json model.safetensors"
    check "$1: the log is whole" "$looks" log "$scratch/log" $(($(wc -l <"$scratch/log") - 1))
    rm -rf "$scratch/log" saved
}

# `cuboid bench comm` over MPI and against MPI's own collectives. No time is tested.
benches() {
    local whole=("${small[@]}")
    small=(bench comm)
    all_refuse 2 "there is no algorithm 'rings' for all-reduce; did you mean 'ring'? There are: shared, blocks" 2 --algo rings
    all_refuse 2 "all-reduce by 'shared' cannot serve 2 ranks that do not share one memory; these can: blocks" 2 --algo shared
    all_refuse 2 "mpiexec started 2 processes, but --comm threads would measure 2 times the same" 2 --comm threads
    all_refuse 2 "mpiexec started 3 process" 3 --ranks 2
    all_refuse 2 "--comm mpi measures the ranks that mpiexec starts, here one alone; start it as mpiexec -n 2 cuboid bench comm" 1 --comm mpi --algo shared
    all_refuse 2 "--rounds 2: under mpi there is one" 2 --rounds 2
    mpi 3 --op all --algo all --native --sizes 4,1000,20k --repeats 1 --json
    check "one report" equal "$rc $(wc -l <"$out") $(grep -o '"library":"[^"]*[0-9]"' "$out" | wc -l)" "0 1 1"
    check "every result right" equal "$(grep -o '"wrong":0[,}]' "$out" | wc -l)" "$(grep -o '"wrong":' "$out" | wc -l)"
    check "six operations of MPI's own" equal "$(grep -o '"algo":"native"' "$out" | wc -l)" 18
    mpi 2 --op all-reduce,broadcast --native --sizes 64,64k,128k --repeats 1
    check "ours beside MPI's own" equal "$rc $(grep -c "mpi against MPI's own" "$out") $(grep -c 'times the library' "$out")" "0 2 2"
    mpi 3 --op all-gather,reduce-scatter,broadcast --algo all --native --sizes 64k --repeats 1
    check "sizes in blocks count as asked for" equal "$rc $(grep -c '^from 64 KiB up ours take' "$out")" "0 3"
    check "what is chosen stands beside MPI's own" equal "$(grep -A2 'against MPI' "$out" | grep -cE '^ +[0-9]+ (direct|binomial) ')" 3
    mpi 2 --dtype bf16 --native --sizes 64
    check "MPI has no bf16 to sum" has "$err" "MPI's own all-reduce has no bf16; it has f32, f64, i32"
    run bench comm --comm threads --ranks 3 --native --mpiexec "${mpiexec[*]} -n" --sizes 64,64k --repeats 1 --rounds 2
    check "threads against MPI's own" equal "$rc $(grep -c "threads against MPI's own" "$out") $(grep -cE '^ +(64|65536) shared ' "$out")" "0 1 2"
    run bench comm --comm threads --native --mpiexec "no-such-mpiexec -n" --sizes 64
    check "no mpiexec: says so" equal "$rc $(grep -c 'cannot start no-such-mpiexec: No such file' "$err")" "1 1"
    small=("${whole[@]}")
}

for part in ${CLI_TEST_PARTS:-refuses one_refuses differs trains nonfinite killed stops benches}; do
    before=$failed start=$SECONDS
    "$part"
    echo "$([[ $failed == "$before" ]] && echo "ok  " || echo FAIL) $part, $((SECONDS - start)) s"
done
end
