#!/bin/bash
# `cuboid bench`: what it refuses and with which words, what its tables and JSON hold. No time is tested.
# Usage: cli_bench_test.sh CUBOID OUTPUTS   OUTPUTS: the program of support/outputs.c
cuboid=${1:?usage: cli_bench_test.sh CUBOID OUTPUTS} looks=${2:?}
source "$(dirname "$0")/support/cli.sh"

# refuses WORDS ARGUMENTS...: code 2, one line on stderr with the words in it, nothing on stdout
refuses() {
    local words=$1
    shift
    run bench "$@"
    check "bench $*: code 2" equal "$rc $(wc -c <"$out") $(wc -l <"$err")" "2 0 1"
    check "bench $*: says why" has "$err" "$words"
}
# rows_have ROWS NAMES...: the JSON in $out has each name so often
rows_have() {
    local rows=$1 name
    shift
    check "one line of JSON" equal "$(wc -l <"$out")" 1
    for name; do check "$name in $rows rows" equal "$(grep -o "\"$name\":" "$out" | wc -l)" "$rows"; done
}

# counts_whole: what the JSON in $out counts, of bytes, elements, operations or messages, stands in all its digits
counts_whole() {
    check "counts are whole numbers" equal "$(grep -oE '"(flops|messages|count|[a-z_]*bytes(_sent)?)":[0-9]+[.e][0-9e+]*' "$out")" ""
    check "there are counts" grep -qE '"(flops|bytes|bytes_sent)":[0-9]+[,}]' "$out"
}

names() {
    refuses "bench what? there are: step, gemm, comm, tp"
    refuses "bench 'gem' is not known; did you mean 'gemm'? There are: step, gemm, comm, tp" gem
    run --help
    check "100 columns of help, collectives among them" equal "$(grep -cE '.{101}' "$out") $(grep -c '^  bench .*collectives' "$out")" "0 1"
    run bench --help
    check "bench --help lists them" equal "$rc $(grep -cE '^  (step|gemm|comm|tp) ' "$out")" "0 4"
}

# Before anything is measured.
step() {
    refuses "--layouts: 'foo' is not dp, tp, pp or none" step --model test-tiny --seq-length 32 --layouts dp,foo
    refuses "--layouts pp with --ranks 9: pp=9 stages for the 4 layers" step --model test-tiny --seq-length 32 --layouts pp --ranks 9
    refuses "--layouts tp with --ranks 3: tp=3 does not divide the 8 heads" step --model test-tiny --seq-length 32 --ranks 3 \
        --micro-batches 6
    refuses "--layouts dp with --ranks 3: --micro-batches 8 cannot be divided over dp 3" step --model test-tiny --seq-length 32 \
        --ranks 3 --micro-batches 8 --layouts dp
    refuses "there is no schedule '1f1'" step --model test-tiny --seq-length 32 --schedule 1f1
    run bench step --model test-tiny --seq-length 32 --layouts none --repeats 1 --json
    check "steps are timed" equal "$rc" 0
    counts_whole
}

gemm() {
    refuses "--dtype: 'f16' is none of its choices; did you mean 'bf16' or 'f32'? It can be f32 or bf16" gemm --dtype f16
    refuses "tp=3 does not divide the 8 heads" gemm --model test-tiny --tp 1,3
    refuses "--tp: '2,x' is not a list of 1 to 16 whole numbers" gemm --tp 2,x
    refuses "--tp: '2,' is not a list" gemm --tp 2,
    refuses "--m: 0 in '4,0' is out of range; it can be 1 to" gemm --m 4,0 --n 1 --k 1
    refuses "--m, --n and --k go together" gemm --m 4 --k 8
    refuses "--tp: '1.5' is not a list of 1 to 16 whole numbers" gemm --tp 1.5
    refuses "--tp is of the layers of a model; with --m, --n and --k leave it out" gemm --m 4 --n 1 --k 8 --tp 2
    refuses "--model is of the layers of a model" gemm --m 4 --n 1 --k 8 --model test-tiny
    refuses "4 shards over tp=8: the outputs 192 of qkv" gemm --model test-tiny --tp 8 --shards 4 --compute ref
    refuses 'compute backend "gpu" is unknown; known: cpu, ref' gemm --compute gpu
    run bench gemm --model test-tiny --tokens 16 --tp 1,2 --repeats 1 --threads 1 --compute ref
    check "five layers, three products, two sizes" equal "$rc $(grep -cE '^(qkv|projection|fc|fc2|head) ' "$out")" "0 30"
    check "a rank's shape" grep -qE "^fc2 +weight gradient +2 +64 +128 +16 " "$out"
    check "80 columns" equal "$(grep -cE '.{81}' "$out")" 0
    run bench gemm --m 3,5 --n 7 --k 2,4 --repeats 2 --threads 1 --compute ref --dtype bf16 --json
    check "every combination, each with its gradients" equal "$rc $(grep -o '"flops":84,' "$out" | wc -l)" "0 3"
    counts_whole
    rows_have 12 layer product tp m n k flops time_us best_us gflops of_best
    run bench gemm --m 1k,1e1 --n 1e0 --k 2 --repeats 1 --threads 1 --compute ref
    check "sizes as other options take them" equal "$rc $(grep -cE '^given +forward +1 +(1024|10) +1 +2 ' "$out")" "0 2"
}

tensor_parallel() {
    refuses "tp=3 does not divide the 768 inputs, 3072 outputs and 1024 tokens; tp can be 1, 2, 4, 8, 16, 32 or 64" tp --tp 2,3
    refuses "shards=3 is no multiple of tp=2, at most 64 a rank, that divides the 768 inputs and 3072 outputs; it can be 2, 4, 6, 8, 12, 16" \
        tp --tp 2 --shards 3
    refuses "; it can be 4, 8, 12, 16, 24" tp --tp 4 --shards 1
    refuses "--dtype: 'f16' is none of its choices; did you mean 'bf16' or 'f32'? It can be f32 or bf16" tp --dtype f16
    refuses "--cluster x100:8: no device 'x100'" tp --cluster x100:8
    refuses "no model 'gpt5'" tp --cluster-model gpt5
    refuses "--svg draws the passes at --draw 16, which is not in --tp 1,2" tp --tp 1,2 --svg t.svg --draw 16
    refuses 'compute backend "gpu" is unknown' tp --compute gpu
    run bench tp --tokens 16 --in 32 --out 64 --tp 1,2,4 --repeats 1 --compute ref --svg t.svg
    check "only three passes at tp 2 and 4 can hide operations" equal "$(grep -cE '^ +[24] (forward|backward) .* [0-9]+% ' "$out")" 6
    check "five ways, three sizes, two passes" equal "$rc $(grep -cE '^ +[124] (forward|backward) ' "$out")" "0 30"
    check "a picture of each" equal "$(grep -cE '^rank [01] ' "$out") $(grep -o '<g transform' t.svg | wc -l)" "10 4"
    check "the sequence-parallel form's operations" grep -qE "^  step [0-9]+: reduce-scatter, " "$out"
    check "a title with the sizes" has t.svg ">sequence at tp 2: 16 tokens, 32 inputs, 64 outputs, f32</text>"
    check "primitives told apart" equal "$(grep -cE '>(all-reduce|all-gather|reduce-scatter)</text>' t.svg) $(grep -c collective t.svg)" "7 0"
    check "what the numbers are" equal "$(grep -cE '>(forward|backward): [0-9]+ ' t.svg) $(grep -c '>backward: 4 data gradient, 5 weight gradient, 6 GELU, 7 data gradient, 8 all-reduce, 9 weight gradient<' t.svg)" "10 1"
    check "100 columns" equal "$(grep -cE '.{101}' "$out")" 0
    check "tp stays inside a node" grep -qE "^from tp [0-9]+ on the collectives take longer" "$out"
    run bench tp --tokens 16 --in 32 --out 64 --tp 2 --repeats 1 --compute ref --json
    rows_have 10 variant pass error flops bytes_sent messages together_us efficiency hidden
    check "an all-reduce of 16 x 32 numbers, 4 bytes each" grep -q '"bytes_sent":2048,"messages":2,' "$out"
    check "three passes hide operations" equal "$(grep -oE '"hidden":[0-9]' "$out" | wc -l)" 3
    counts_whole
    run bench tp --tokens 16 --in 32 --out 64 --tp 2 --repeats 1 --dtype bf16 --json
    check "and 2 bytes each" grep -q '"bytes_sent":1024,"messages":2,' "$out"
    run bench tp --tokens 64 --in 128 --out 256 --tp 2 --repeats 1 --compute ref --json
    check "seven digits of FLOPs" grep -q '"variant":"column","pass":"forward","tp":2,"error":[0-9.e-]*,"flops":2097152,' "$out"
}

communication() {
    refuses "--op: 'all-reduc' is no operation; did you mean 'all-reduce'? There are: all-reduce, all-gather" comm --op all-reduc
    refuses "--op: 'reduce' is named twice" comm --op reduce,all
    refuses "there is no algorithm 'rings' for all-reduce; did you mean 'ring'? There are: shared, blocks, direct" comm --algo rings
    refuses "there is no algorithm 'rings' for all-reduce" comm --op all --algo ring,rings
    run bench comm --op all --algo ring,binomial --sizes 64 --ranks 2 --repeats 1 --json
    check "operations that have the algorithm" equal "$rc $(sed 's/"left_out":.*//' "$out" | grep -o '"op":"[a-z-]*","algo":"[a-z]*"' | tr '\n' ' ')" \
        '0 "op":"all-reduce","algo":"ring" "op":"all-gather","algo":"ring" "op":"reduce-scatter","algo":"ring" "op":"broadcast","algo":"binomial" "op":"reduce","algo":"binomial" '
    run bench comm --op all-reduce,broadcast,reduce --algo ring,binomial --sizes 64 --ranks 2 --repeats 1
    check "what an operation lacks is said" equal "$rc $(grep -A1 -E '^left out: (all-reduce has no binomial|broadcast has no ring|reduce has no ring)$' "$out" | grep -c '^  there are: shared, ')" "0 3"
    run bench comm --op all-reduce,broadcast --algo ring --sizes 64 --ranks 2 --repeats 1 --json
    check "in the JSON too" equal "$rc $(grep -o '"left_out":.*' "$out")" \
        '0 "left_out":[{"op":"broadcast","algo":"ring","comm":"threads","why":"the operation has no such algorithm","there_are":"shared, binomial, double-tree, scatter-allgather"}]}'
    refuses "there is no algorithm 'ring' for broadcast" comm --op broadcast,reduce --algo ring
    refuses "all-reduce by 'shared' cannot serve a single rank; these can: blocks, direct" comm --algo shared --ranks 1
    refuses "--algo native goes with --comm mpi" comm --algo native
    refuses "--ranks is 300; it can be 1 to 256" comm --ranks 300
    refuses "--sizes: 8 does not come after 8; they have to grow" comm --sizes 8,8
    refuses "--sizes: '8x' is not a whole number" comm --sizes 8x
    refuses "--from 100 is more than --to 8" comm --from 100 --to 8
    refuses "comm 'telegraph' is not known; the nearest are 'threads' and 'mpi'. There are: threads, mpi" comm --comm telegraph
    refuses "--mpiexec: ' @ x' names no program" comm --native --mpiexec ' @ x'
    refuses "--mpiexec: './nothing' is no program that can be run" comm --native --mpiexec 'mpiexec -n @ ./nothing'
    refuses "cannot serve 6 ranks (a power of two is needed); these can: shared, direct, ring, bruck" comm --algo doubling --op all-gather --ranks 6
    run bench comm --op all --algo all --sizes 1,1000,4k --ranks 3 --repeats 1 --warmup 0 --json
    check "every result right" equal "$rc $(grep -o '"wrong":0[,}]' "$out" | wc -l)" "0 $(grep -o '"wrong":' "$out" | wc -l)"
    check "sizes as nccl-tests count them" grep -q '"op":"all-gather","algo":"ring","comm":"threads","ranks":3,"bytes":996,"count":83,' "$out"
    rows_have 84 bytes count dtype redop time_us best_us algbw_GBps busbw_GBps wrong predicted_us floor_us
    check "three sizes are too few for a model" equal "$(grep -o '"predicted_us":null' "$out" | wc -l)" 84
    run bench comm --algo ring,direct --from 1k --to 64k --ranks 2 --repeats 1 --json
    check "models" equal "$(grep -o '"alpha_us":[0-9.e-]*,"alpha_large_us":[0-9.e-]*,"split_bytes":' "$out" | wc -l)" 2
    counts_whole
    check "every row predicted" equal "$(grep -o '"predicted_us":[0-9]' "$out" | wc -l) $(grep -o '"floor_us":[0-9]' "$out" | wc -l)" "14 14"
    run bench comm --algo all --sizes 64k --ranks 2 --repeats 1 --json
    check "one floor, whatever the algorithm" equal "$(grep -o '"floor_us":[0-9.]*' "$out" | sort -u | wc -l)" 1
    run bench comm --table --ranks 6 --comm threads
    check "a row for each algorithm" equal "$rc $(grep -cE '^(all|reduce|broadcast)' "$out") $(grep -cE '.{101}' "$out")" "0 36 0"
    echo '{"rules": [{"op": "all-reduce", "algo": "tree", "counts": [100, 5000]}, {"op": "all-gather", "algo": "bruck"}]}' >rules
    run bench comm --table --ranks 6 --comm threads --algorithms rules
    check "rules go first" grep -qE "^all-reduce +shared below 100, tree below 5001, shared$" "$out"
    run bench comm --sizes 64,4k,64k --ranks 6 --repeats 1 --algorithms rules --json
    check "rules are followed" equal "$(grep -o '"algo":"[a-z]*"' "$out" | tr '\n' ' ')" '"algo":"shared" "algo":"tree" "algo":"shared" '
    echo '{"rules": [{"op": "all-reduce", "algo": "ring"}]}' >rules
    refuses "all-reduce by 'ring' over 2 ranks sums in another order than the balanced tree" comm --ranks 2 --algorithms rules
    refused 2 "these keep it: shared, blocks, direct, doubling, tree" --tp 2 --algorithms rules
    works --steps 1 --eval-iters 0 --algorithms rules # nobody to send to
    echo '{"rules": [{"op": "all-gather", "algo": "halving"}]}' >rules
    refuses "rules:1:33: rule 1: there is no algorithm 'halving' for all-gather; the nearest are 'ring', 'doubling' and 'shared'. There are: shared, direct, ring" comm --algorithms rules
    local broken
    for broken in '{"rules": 1}' '[]' '{"rules": [{"op": "gather", "algo": "ring"}]}' '{"rules": [{"op": "all-gather"}]}' \
        '{"rules": [{"op": "all-gather", "algo": "ring", "counts": [5, 1]}]}' '{"rules": [3]}' '{"rules"' \
        '{"rules": [{"op": "all-gather", "algo": "ring", "rank": [2, 4]}]}'; do
        echo "$broken" >rules
        run bench comm --algorithms rules
        check "rules $broken: refused" equal "$rc $(wc -l <"$err") $(grep -cE 'algorithms: rules:[1-9][0-9]*:[1-9][0-9]*: ' "$err")" "2 1 1"
    done
    echo '{"rules": [{"op": "all-reduce", "algo": "tree", "counts": [0, 3000]}]}' >rules
    works --steps 2 --eval-iters 0 --tp 2 --dp 2 --log plain.jsonl --digest-every 1
    works --steps 2 --eval-iters 0 --tp 2 --dp 2 --log ruled.jsonl --digest-every 1 --algorithms rules
    check "bits do not depend on the algorithm" equal "$(grep -o '"digest":"[^"]*"' plain.jsonl)" "$(grep -o '"digest":"[^"]*"' ruled.jsonl)"
    check "there are bits" grep -q '"digest":' plain.jsonl
    refuses "--draw ALGORITHM and --svg FILE go together" comm --draw ring
    refuses "--draw: all-reduce by 'shared' sends no messages that could be drawn; these do: blocks, direct" comm --draw shared --svg d.svg
    refuses "--draw: 64 ranks; 2 to 32 can be drawn" comm --draw ring --ranks 64 --svg d.svg
    refuses "--draw draws an algorithm of one operation; --op names 6" comm --draw ring --op all --svg d.svg
    run bench comm --draw ring --ranks 4 --svg d.svg
    check "an arrow for each message" equal "$rc $(grep -c '<polygon' d.svg) $(grep -c 'fill="#ffffff" stroke' d.svg)" "0 24 12"
    run bench comm --op all-gather,broadcast --algo all --sizes 1k,4k,16k --ranks 2 --repeats 1 --plot p.svg
    check "two panels for each operation, a line for each algorithm" equal "$rc $(grep -c 'bus bandwidth' p.svg) $(grep -c 'polyline.*stroke-width="2"' p.svg)" "0 2 18"
    check "the fastest by size" equal "$(grep -cE '^the fastest (all-gather|broadcast) by size: from 1.00 KiB [a-z]+' "$out")" 2
    run bench comm --op all-gather --algo all --sizes 1k --ranks 2 --repeats 1 --plot p.svg
    check "of one size a point for each algorithm" equal "$rc $(grep -c '<circle.*r="3"/>' p.svg)" "0 10"
    check "only what is drawn is explained" equal "$(grep -cE 'the model|the fastest from' p.svg)" 0
    check "nor is there a model in the table" has "$out" "(- where an algorithm has fewer than 4 sizes, too few for a fit)"
    run bench comm --algo ring,direct --from 1k --to 64k --ranks 2 --repeats 1 --plot p.svg
    check "a point for each size, and the models" equal "$rc $(grep -c '<circle.*r="2.4"/>' p.svg) $(grep -cE '>the model(, where it is 10% off| is within 10%)<' p.svg)" "0 28 1"
    run bench comm --algo direct --ranks 256 --sizes 1g --plot p.svg
    check "a size beyond memory is an error" equal "$rc $(wc -c <"$out") $(wc -l <"$err")" "1 0 1"
    check "with what would do" has "$err" "no size fits in memory: all-reduce of 1.00 GiB over 256 ranks needs "
    run bench comm --algo direct --ranks 256 --sizes 64,1g --repeats 1
    check "beside others it is left out" equal "$rc $(grep -c ' left out: more memory' "$out")" "0 1"
    run bench comm --algo direct --ranks 256 --sizes 64,1g --repeats 1 --json
    check "in the JSON too" equal "$rc $(grep -o '"left_out":.*' "$out")" \
        '0 "left_out":[{"op":"all-reduce","algo":"direct","comm":"threads","why":"more memory than there is","bytes":1073741824}]}'
    run bench comm --sizes 64 --repeats 1 --plot no/p.svg
    check "a picture that cannot be written is refused at once" equal "$rc $(cat "$err") $(wc -c <"$out")" \
        "1 cuboid: error: --plot no/p.svg: nothing can be written in no: No such file or directory 0"
    run bench comm --sizes 64,64k --ranks 2 --repeats 1 --dtype bf16 --redop max
    check "a table" equal "$rc $(grep -cE '^ +(64|65536) +(32|32768) +bf16 +max +shared ' "$out")" "0 2"
    check "100 columns" equal "$(grep -cE '.{101}' "$out")" 0
}

for test in names step gemm tensor_parallel communication; do $test; done
end
