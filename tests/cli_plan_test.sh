#!/bin/bash
# cuboid plan as its users meet it: what it prints, as text and as JSON, and what it refuses.
# Usage: cli_plan_test.sh CUBOID OUTPUTS   OUTPUTS: the program of support/outputs.c
cuboid=${1:?usage: cli_plan_test.sh CUBOID OUTPUTS} looks=${2:?} # looks: unused here, cli.sh wants it
tools=$(realpath "$(dirname "$0")/../tools")
source "$(dirname "$0")/support/cli.sh"

gpt3=(plan --model gpt3-175b --cluster a100-80g:8x128 --global-batch-size 1536 --seq-length 2048)
bloom=(plan --model bloom-176b --cluster a100-80g:8x48:opa-4x100 --stack deepspeed-2021 --grads-in-32-bits
    --global-batch-size 2048 --dp 8 --tp 4 --pp 12 --micro-batch-size 2 --schedule 1f1b --recompute full --zero 1
    --no-sequence-parallel --layers-per-stage ends)

# shows WHAT...: the last run ended well and printed each
shows() {
    check "it ends well" equal "$rc" 0
    local what
    for what; do check "it prints '$what'" has "$out" "$what"; done
}
# narrow COLUMNS: no line is longer
narrow() { check "lines of at most $1" equal "$(awk -v n="$1" 'length($0) > n' "$out" | wc -l)" 0; }
refuses() {
    local code=$1 words=$2
    shift 2
    run "$@"
    check "plan $* ends with $code" equal "$rc" "$code"
    check "plan $* says '$words'" has "$err" "$words"
}
# json EXPRESSION: of the last run's output, by python3 where there is one
json() { python3 -c "import json,sys; d=json.load(open('$out')); print($1)"; }

the_wall_and_the_best() {
    run "${gpt3[@]}" --tokens 300e9 --price 2
    shows "gpt3-175b has 174.6 billion parameters" "349 GB" "2.10 TB" "2.79 TB   one a100-80g has 80 GiB: 33" \
        "16 B" "WAYS PAST IT" "data, ZeRO 3" "too big stage 0 needs 2940.4 GiB of 80" "BEST LAYOUTS" "MFU%" "TOO BIG" \
        "GiB of 80, 62% of it gradients" "TRAINING   300 billion tokens" "device-hours" "a device-hour" "without failures"
    narrow 100
    check "ten layouts" equal "$(grep -cE '^ ?[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+  ' "$out")" 10
    run plan --model llama-3.1-405b --cluster h100:8x2048 --seq-length 131072 --all --tokens 15e12 --price 3.5 --explain
    shows " cp " "REFUSED" "device-hour"
    narrow 100
    run "${gpt3[@]}" --top 3 --all
    shows "REFUSED   by the first rule broken" "interleaved: pp x chunks divides the layers"
    check "three layouts" equal "$(grep -cE '^ ?[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+  ' "$out")" 3
}

# what was fixed holds for each way too; the combined one shows what it sends over every dimension
ways_with_what_is_fixed() {
    command -v python3 >/dev/null || return 0
    run plan --model gpt3-175b --cluster a100:8x96 --tp 1 --zero 0 --json
    check "none of them cuts matrices or states" equal \
        "$(json "{(w['layout']['tp'], w['layout']['zero']) for w in d['ways'] if w['possible']}")" "{(1, 0)}"
    check "combined is the best" equal "$(json "d['ways'][4]['layout'] == d['best'][0]['layout']")" True
    check "two contradict it" equal "$(json "[w['why_not'] for w in d['ways'] if not w['possible']]")" \
        "['contradicts --zero 0, which is fixed', 'contradicts --tp 1, which is fixed']"
    run plan --model llama-3.1-405b --cluster h200:8x64 --cp 4 --seq-length 65536 --global-batch-size 64 --json
    check "combined keeps cp" equal "$(json "d['ways'][4]['layout']['cp']")" 4
    run "${gpt3[@]}" --dp 32
    shows "not     dp x tp x pp is 32; the cluster has 1024 devices"
    check "three dimensions" equal "$(sed -n '/combined/,/BEST/p' "$out" | tr -d '\n' | tr -s ' ' |
        grep -oE 'sends tp [0-9.]+ [GT]B, .*; pp [0-9.]+ [GT]B, .*; dp [0-9.]+ [GT]B, ' | wc -l)" 1
    check "what takes time is in words" has "$out" "takes most time after"
}

# --stack cuboid plans what cuboid train has
own_stack() {
    command -v python3 >/dev/null || return 0
    local own=(plan --model gpt3-1.3b --cluster a100:8 --stack cuboid)
    run "${own[@]}" --top 50
    shows "cuboid, 32 bit" "16 B"
    check "no more than 16 bytes a parameter" hasnt "$out" "cuboid keeps"
    run "${own[@]}" --json
    check "a way that it has not says so" equal "$(json "'cuboid has no ZeRO' in d['ways'][1]['why_not']")" True
    check "no ZeRO and no SP among the best" equal \
        "$(json "{(b['layout']['zero'], b['layout']['sequence_parallel']) for b in d['best']}")" "{(0, False)}"
    run "${own[@]}" --precision 32
    check "said it is the same" equal "$rc" 0
    refuses 2 "--stack cuboid computes in 32 bits alone, not in 16 bit; leave --precision out" "${own[@]}" --precision 16
    refuses 2 "has ZeRO 1: cuboid has no ZeRO; --zero can be 0" "${own[@]}" --zero 1
    refuses 2 "cuboid has no sequence parallelism in training" "${own[@]}" --sequence-parallel
    refuses 2 "has cp 2: cuboid has no context parallelism" "${own[@]}" --cp 2
    refuses 1 "--stack cuboid: llama-3-8b has grouped keys" plan --model llama-3-8b --cluster a100:8 --stack cuboid
}

# what most of Megatron-LM's scripts say
selective_in_blocks() {
    command -v python3 >/dev/null || return 0
    run plan --model gpt2-124m --cluster a100:8 --recompute-granularity selective --json
    check "it is no error" equal "$rc" 0
    check "a note says so" has "$err" "--recompute selective is taken as none: megatron-core computes attention in blocks"
    check "nothing is computed again" equal "$(json "{b['layout']['recompute'] for b in d['best']}")" "{'none'}"
    run plan --model gpt2-124m --cluster a100:8 --stack megatron-2021 --recompute selective --json
    check "with scores there is something" equal "$(json "{b['layout']['recompute'] for b in d['best']}")" "{'selective'}"
    check "and no note" hasnt "$err" "note:"
}

one_layout() {
    run "${bloom[@]}" --columns 100
    shows "bloom-176b has 176.25 billion parameters" "ONE LAYOUT   dp 8 tp 4 pp 12, microbatch 2, 1f1b, recompute full" \
        "memory by stage, GiB of 80" "traffic of a rank on stage 0, per step" "time by cause" "p11" \
        "128 microbatches a step" "MFU: 6 W + 6 L C T FLOPs a token" "HFU: MFU's + 2 Wl + 2 L C T: the layers' forward" "gradient of the tied embedding" "of 16 of 128 microbatches"
    narrow 100
    check "a fixed mesh is not followed by tables of others" hasnt "$out" "BEST LAYOUTS"
    check "twelve stages" equal "$(grep -cE '^ +[0-9]+ +[56] .*\.[0-9]{2} +[0-9.]+$' "$out")" 12
    run "${bloom[@]}" --svg bloom.svg
    check "a picture" has bloom.svg "</svg>"
    check "of an SVG" has bloom.svg "<svg "
    check "which says how much of the step it shows" has bloom.svg "68 of 128 microbatches; others repeat the middle"
    check "beside it the text is as without" has "$out" "of 16 of 128 microbatches; others repeat the middle"
    check "one bubble only" equal "$(grep -c 'bubble [0-9.]*%' "$out") $(grep -c 'bubble [0-9.]*%' bloom.svg)" "1 0"
    run plan --model gpt2-124m --cluster a100:8 --explain --svg one.svg
    shows "no pipeline, 8 microbatches: "
    check "a picture of one stage" has one.svg "</svg>"
    refuses 1 "--svg none/x.svg: No such file" plan --model gpt2-124m --cluster a100:8 --svg none/x.svg
    run "${gpt3[@]}" --tensor-model-parallel-size 8 --pipeline-model-parallel-size 16 --use-distributed-optimizer \
        --recompute-granularity full --num-virtual-stages-per-pipeline-rank 3
    shows "tp 8 pp 16" "interleaved:3, recompute full" "ZeRO 1" "slower than the fastest:"
}

as_json() {
    run "${bloom[@]}" --json --tokens 366e9 --price 2
    check "it ends well" equal "$rc" 0
    command -v python3 >/dev/null || return 0
    check "parameters" equal "$(json 'd["parameters"]')" 176247271424
    check "stages" equal "$(json 'len(d["explained"]["stages"])')" 12
    check "memory adds up" equal "$(json 'all(abs(sum(v for k,v in s.items() if k not in ("all","stage","live","layers","allocated","outside"))-s["all"])<1 for s in d["explained"]["stages"])')" True
    check "time adds up" equal "$(json 'abs(sum(d["explained"]["time"]["by_cause_s"].values())/d["explained"]["time"]["step_s"]-1)<1e-9')" True
    check "layers" equal "$(json 'sum(s["layers"] for s in d["explained"]["stages"])')" 70
    check "cost" equal "$(json 'abs(d["training"]["device_hours"]*2-d["training"]["cost"])<1')" True
    check "rank" equal "$(json '1<=d["explained"]["rank"]<=d["explained"]["rank_of"]')" True
    run "${gpt3[@]}" --json
    check "best first" equal "$(json 'all(a["time"]["step_s"]<=b["time"]["step_s"] for a,b in zip(d["best"],d["best"][1:]))')" True
    check "those too big say why" equal "$(json 'all("GiB of 80" in m["why"] for m in d["too_big"]) and len(d["too_big"])>0')" True
    run plan --model gpt3-175b --cluster a100:8x48
    shows "256 of the 384" "of the 256"
    narrow 100
    run "${gpt3[@]}" --json
    check "bytes and times are whole numbers" equal "$(json '{type(v) for w in d["ways"]+d["best"]+d["too_big"]
        for v in [v for k,v in w["memory_bytes"].items() if k!="live"]+[f[k] for f in w.get("traffic",[]) for k in
        ("times","payload_bytes","sent_bytes")]+[d["memory_wall_bytes"][k] for k in ("weights","all","device")]}')" "{<class 'int'>}"
    check "the wall adds up" equal "$(json 'd["memory_wall_bytes"]["all"]==16*d["parameters"]')" True
    check "formulas" equal "$(json '{b["time"]["mfu_formula"] for b in d["best"]}')" "{'6 W + 6 L C T'}"
    check "five ways" equal "$(json '[w["way"] for w in d["ways"]]==["data","data, ZeRO 3","tensor","pipeline","combined"]')" True
}

own_hardware() {
    cat >own.json <<'J'
{"devices": [{"name": "x100", "family": "hopper", "peak_tflops": {"16": 500}, "memory_gib": 96,
  "memory_gb_per_s": 2400, "link_gb_per_s": 450, "multiprocessors": 132}], "cluster": "x100:8x4"}
J
    run plan --model gpt3-13b --cluster own.json
    shows "gpt3-13b on 32 x x100, 8 a node, network ib-200" "of 500 TFLOP/s"
    run plan --model gpt3-13b --hardware own.json --cluster x100:4x2:roce-400
    shows "on 8 x x100, 4 a node, network roce-400"
    sed 's/x100/a100/g' own.json >named.json
    run plan --model gpt3-13b --hardware named.json --cluster a100:8x4
    shows "gpt3-13b on 32 x a100, 8 a node" "of 500 TFLOP/s"
    run plan --list-hardware --hardware own.json
    shows "a100-80g" "mi300x-192g" "x100" "h100:8x16" "a100,a100-80gb-sxm"
    narrow 100
    validates
    run plan --list-hardware --json
    cp "$out" all.json
    run plan --list-hardware --hardware all.json --json
    check "what it lists it reads" equal "$rc $(cmp "$out" all.json && echo same)" "0 same"
    printf '{"devices": [{"name": "x",\n "family": "pascal"}]}' >own.json
    refuses 2 "own.json:2:2: family: there is no family 'pascal'; the nearest are 'volta', 'cdna' and 'ampere'. There are volta" plan --model demo --cluster own.json
    printf '{"devices": [,' >own.json
    refuses 2 "own.json:1:14: not JSON" plan --model demo --cluster own.json
    printf '{}' >own.json
    refuses 2 'own.json has no "cluster"' plan --model demo --cluster own.json
}

own_model() {
    printf '{"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
"num_hidden_layers": 32, "num_key_value_heads": 8, "max_position_embeddings": 8192, "vocab_size": 128256}' >llama.json
    run plan --model ./llama.json --cluster h100:8
    shows "llama has 8.0303 billion parameters" "on 8 x h100-80g"
}

refused_words() {
    refuses 2 "which model? give --model NAME" plan --cluster a100-80g:8x1
    refuses 2 "on what? give --cluster DEVICE:GxN" plan --model demo
    refuses 2 "no model 'gpt3-17'; did you mean 'gpt3-175b'" plan --model gpt3-17 --cluster a100-80g:8
    refuses 2 "no model 'GPT3-175B'; did you mean 'gpt3-175b'" plan --model GPT3-175B --cluster a100-80g:8
    run plan --model gpt2-124m --cluster h100:512
    check "a node of 512 is warned about" equal "$rc $(grep -c "usual node has 8: nodes of those would be h100-80g:8x64" "$err")" "0 1"
    run plan --model gpt2-124m --cluster v100:16
    check "one of 16 is not" equal "$rc $(wc -c <"$err")" "0 0"
    refuses 2 "no device 'a100-81g'; did you mean 'a100-80g'" plan --model demo --cluster a100-81g:8
    refuses 2 "no device 'a101'; did you mean 'a100'" plan --model demo --cluster a101:8
    refuses 2 "its size is not GxN" plan --model demo --cluster a100-80g:8y1
    refuses 2 "network 'wifi': there is no kind 'wifi'; the nearest are 'ib', 'efa' and 'roce'. Give KIND-GBITS" plan --model demo --cluster a100-80g:8x1:wifi
    refuses 2 "no stack 'megatron'; did you mean 'megatron-2021' or 'megatron-core'?" plan --model demo --cluster a100-80g:8 \
        --stack megatron
    refuses 2 "no stack 'pytorch'; the nearest are 'torchtitan'" plan --model demo --cluster a100-80g:8 --stack pytorch
    refuses 2 "no device 'rtx4090'; the nearest are 'a100-40g'" plan --model demo --cluster rtx4090:8
    refuses 2 "no model 'falcon-70b'; the nearest are" plan --model falcon-70b --cluster a100:8
    refuses 2 "a100-80g has no matrix products in 8 bit; it has 32 bit, 16 bit" plan --model demo --cluster a100-80g:8 --precision 8
    refuses 2 "--tokens is 9e18; it can be 1 to 1e+18" plan --model demo --cluster a100-80g:8 --tokens 9e18
    refuses 2 "--price goes with --tokens" plan --model demo --cluster a100-80g:8 --price 2
    refuses 2 "--seq-length 4096 is more than the 2048 positions of gpt3-175b" plan --model gpt3-175b --cluster a100-80g:8 \
        --seq-length 4096
    refuses 2 "did you mean '--cluster'" plan --model demo --cluste a100-80g:8
    refuses 2 "contradict each other" plan --model demo --cluster a100-80g:8 --zero 0 --use-distributed-optimizer
    refuses 2 "--zero 3 and --use-distributed-optimizer, which is --zero 1" plan --model demo --cluster a100-80g:8 \
        --zero 3 --use-distributed-optimizer
}

refused_layouts() {
    refuses 2 "what is fixed of dp x tp x pp x cp is 5, which does not divide the 64 devices; --tp can be 1, 2, 4, 8, 16 or 32" \
        plan --model gpt3-175b --cluster a100-80g:8x8 --tp 5
    refuses 2 "dp x tp x pp is 8; the cluster has 64 devices; --dp can be 16; --tp can be 16; --pp can be 16" plan --model gpt3-175b --cluster a100-80g:8x8 --tp 2 --pp 2 --dp 2
    refuses 2 "divide the 64 devices; more than one has to change: --tp 4 --pp 16" plan --model gpt3-175b --cluster a100-80g:8x8 \
        --tp 3 --pp 5
    refuses 2 "more than one has to change: --tp 4 --micro-batch-size 1" \
        plan --model gpt3-175b --cluster a100-80g:8x8 --tp 3 --micro-batch-size 5
    refuses 2 "more than one has to change: --tp 24 --pp 1, or --tp 24 --zero 1, or --pp 6 --zero 1" \
        plan --model gpt3-175b --cluster a100:8x48 --zero 2 --pp 8 --tp 8
    run plan --model gpt3-175b --cluster a100:8x48 --zero 1 --pp 6 --tp 8
    check "and that works" equal "$rc" 0
    refuses 2 "does not divide the 16 devices; --pp can be 1 or 2; as it is, it works on a100-80g:8x6" \
        plan --model gpt3-175b --cluster a100-80g:8x2 --tp 8 --pp 6
    refuses 2 "padded vocabulary; --tp can be 1, 2 or 4" plan --model gpt2-124m --cluster a100-80g:8 --tp 8
    refuses 2 "of 8 devices for 64 sequences has tp 4, microbatch 3: dp x microbatch divides the global batch; --micro-batch-size can be 1, 2, 4, 8, 16, 32 or 64" \
        plan --model gpt2-124m --cluster a100-80g:8 --tp 4 --micro-batch-size 3 --global-batch-size 64
    refuses 2 "divides the global batch; with --global-batch-size 8000 it works" plan --model gpt2-124m --cluster a100:8x1000
    refuses 2 "for 64 sequences has microbatch 5: dp x microbatch divides" plan --model gpt3-175b --cluster a100:8x16 \
        --micro-batch-size 5 --global-batch-size 64
    refuses 2 "has pp 4: fsdp has no pipeline; --pp can be 1" plan --model gpt3-13b --cluster a100:8x8 --stack fsdp --pp 4
    refuses 2 "pp is at most the number of layers" plan --model gpt2-124m --cluster a100-80g:8x2 --tp 1 --pp 16
    refuses 2 "chunks go with the interleaved schedule, and schedules with a pipeline; --virtual can be 2, 3, 4, 6, 8, 12 or 24; --schedule can be" \
        plan --model gpt3-175b --cluster a100-80g:8x8 --pp 4 --schedule interleaved --virtual 1
    refuses 2 "--virtual can be 1; --schedule can be interleaved" plan --model gpt3-175b --cluster a100-80g:8x8 --schedule 1f1b --virtual 4
    refuses 2 "--zero can be 0 or 1" plan --model gpt3-175b --cluster a100-80g:8x8 --pp 4 --zero 3
    refuses 2 "--zero can be 0, 1 or 3" plan --model gpt3-175b --cluster a100-80g:8x8 --pp 4 --zero 2 --stack torchtitan
    refuses 2 "gpt3-175b does not fit: the nearest, dp 1 tp 16 pp 1" plan --model gpt3-175b --cluster a100-80g:8x2
    check "the smallest is named" has "$err" "The smallest that works is a100-80g:8x6"
    refuses 2 "The smallest that works is a100-40g:8x1" plan --model gpt3-13b --cluster a100-40g:1
    run plan --model gpt3-13b --cluster a100-40g:8x1
    check "and works" equal "$rc" 0
    run plan --model gpt3-175b --cluster a100-80g:8x6
    check "and works" equal "$rc" 0
    run plan --model gpt3-175b --cluster a100-80g:8x5
    check "and one node fewer does not" equal "$rc" 2
    local four=(plan --model gpt3-175b --global-batch-size 1536 --dp 4)
    refuses 2 "The smallest that works with what was fixed is a100-80g:8x8:opa-4x100" "${four[@]}" --cluster a100:8x6:opa-4x100
    run "${four[@]}" --cluster a100-80g:8x8:opa-4x100
    check "and works" equal "$rc" 0
    run "${four[@]}" --cluster a100-80g:8x7:opa-4x100
    check "and one node fewer does not" equal "$rc" 2
    run "${four[@]}" --cluster a100:8x6 --json
    check "programs learn it too" has "$out" '"smallest_cluster":{"cluster":"a100-80g:8x8","nodes":8,"devices":64,"dp_left_open":false}'
    refuses 2 "With --dp 2 nothing works on any number of nodes; the smallest that works without it is a100-80g:8x8" \
        plan --model gpt3-175b --cluster a100:8x2 --dp 2 --tp 8 --pp 1
    refuses 2 "Nor does it on any number of nodes" plan --model gpt3-175b --cluster a100:8x2 --tp 1 --pp 1 --zero 0
}

# A table of measurements: what cannot be read is said and counted, never guessed at.
validates() {
    cat >rows.csv <<'R'
file,model,layers,hidden,seq,gpu,gpus,tp,global_batch,iteration_s,Micro_Batch,cluster

f,m,24,2048,1024,TPUv4,8,1,8,1,1,
f,m,24,2048,1024,"NVIDIA H100, SXM",8,1,8,1,1,
f,m,24,2048,1024,x100,8,1,8,1,1,
f,m,24,2048,1024,TPUv4,8,1,8,1,1,
f,m,24,2048,1024,A100-SXM4-80GB,8,,8,1,1,
f,m,24,2048,1024,A100-SXM4-80GB,8,16,8,1,1,
R
    head -n 3 rows.csv >none.csv
    refuses 2 "none of the 1 rows can be predicted; line 3: device 'TPUv4' is not known" plan --validate none.csv
    run plan --validate rows.csv --rows out.csv
    shows "skipped 2, the first in line 3: device 'TPUv4' is not known" "skipped 1, line 5: device 'x100' is not known; did you mean 'v100', 'a100'" "skipped 1, line 7: tp is empty: a row without it cannot be predicted" \
        "skipped 1, line 8: dp x tp x pp x cp is not the number of devices"
    narrow 100
    check "a column that nothing reads" has "$err" \
        "cuboid: warning: rows.csv:1:67: column 'Micro_Batch' is not known and not read; did you mean 'micro_batch'?"
    check "one row is predicted" equal "$(grep -c '^4,f,m,8,1,[0-9.]*,[-0-9.]*,,,$' out.csv)" 1
    check "rows by their lines" has out.csv "7,f,m,8,1,,,,,tp is empty: a row without it cannot be predicted"
    run plan --validate rows.csv --json --hardware own.json
    shows '"skipped": 4' '"device '"'TPUv4'"' is not known; the nearest are' '"tp is empty: a row without it cannot be predicted": 1'
    check "and a device of one's own" hasnt "$out" "'x100'"
    refuses 2 "--rows and --validate are the same file, ./rows.csv" plan --validate rows.csv --rows ./rows.csv
    echo "file,model" >rows.csv
    refuses 2 "rows.csv:1:1: no column 'layers', 'hidden', 'seq'" plan --validate rows.csv
}

# Each part of plan has a help of its own, also where something else is wrong or missing.
helps() {
    local part
    for part in "" "--validate" "--show-constants" "--this-machine" "--cluster"; do
        run plan $part --help
        shows "cuboid plan" "Values follow as --name value"
        narrow 100
    done
    refuses 2 "--cluster goes with a plan for a cluster, not with --this-machine" plan --this-machine --model demo --cluster a100:8
    refuses 2 "--check goes with --this-machine" plan --model demo --cluster a100:8 --check
    refuses 2 "--lr goes with --this-machine" plan --model demo --cluster a100:8 --lr 1e-3
    refuses 2 "--rows goes with --validate FILE.csv" plan --model demo --cluster a100:8 --rows o.csv
    refuses 2 "--model goes with a plan for a cluster, not with --show-constants" plan --show-constants --model demo
    run plan --help
    shows "a100, h100, b200"
    run plan --show-constants
    shows "gemm_ampere" "of peak" "large matrix products (fit)" "large matrix products (by hand)"
    narrow 100
    if command -v python3 >/dev/null; then # -S: without what is installed beside Python, such as numpy
        python3 -S "$tools/fit_planner.py" --help >"$out" 2>"$err"
        check "the fit explains itself" equal "$? $(grep -c 'cross-validation and what' "$out") $(wc -l <"$err")" "0 1 0"
        python3 -S "$tools/fit_planner.py" "$cuboid" none.csv >"$out" 2>"$err"
        check "and says what it needs" equal "$(cat "$err")" \
            "fit_planner.py needs numpy: python3 -m pip install numpy, or apt-get install python3-numpy"
    fi
    run plan --show-constants --json
    sed '0,/"value": [0-9.e-]*/s//"value": 0.5/' "$out" >constants.json
    run plan --show-constants --constants constants.json --json
    check "what is printed can be changed and read" cmp -s "$out" constants.json
    check "that it was changed" has "$out" '"value": 0.5,'
    echo '{"gemm_ampere":"x"}' >constants.json
    refuses 2 "constants.json:1:2: gemm_ampere is no number" plan --show-constants --constants constants.json
}

# Of the times only that they are there; memory and traffic of the trained ranks are compared by the program itself.
this_machine() {
    local small=(plan --this-machine --model test-tiny --micro-batch-size 1 --global-batch-size 8)
    run "${small[@]}" --layouts 1x1x1,2x2x2:zb-h1,1x1x2:interleaved --check --repeats 1
    narrow 100
    shows "test-tiny on this machine:" "dp 2 x tp 2 x pp 2 zb-h1" "to the byte" "GFLOP/s" "memory of each rank" "it fits"
    shows "products of a rank, GFLOP/s with 1 thread" "projection" "memory in use, all cores" "all-reduce, "
    check "three layouts were trained" equal "$(grep -c 'to the byte' "$out")" 3
    run "${small[@]}" --most-ranks 2 --json
    check "one object" equal "$rc $(wc -l <"$out")" "0 1"
    check "each layout once" has "$out" '"dp":1,"tp":1,"pp":2,"schedule":"zb-h1"'
    check "with the machine" has "$out" '"machine":{"threads":'
    check "its all-reduce" has "$out" '"all_reduce":[{"bytes":1024,"time_us":'
    check "memory by stage and kind" has "$out" '"stages":[{"stage":0,"ranks":1,"first_layer":0,'
    check "and traffic" has "$out" '"traffic":{'
    run plan --this-machine --model gpt3-175b --seq-length 128 --layouts 1x8x1
    check "what does not fit is no success" equal "$rc" 2
    check "and it is said" has "$err" "no layout fits this machine: the smallest needs"
    check "with what it takes" has "$out" "does not fit: the largest rank takes"
    check "in the table too" has "$out" "it does NOT fit"
    refuses 2 "tp=3 does not divide the 8 heads" "${small[@]}" --tp 3
    refuses 2 "is possible, the first because: a global batch of 7 sequences is not a multiple of micro-batch-size 2" \
        plan --this-machine --model test-tiny --micro-batch-size 2 --global-batch-size 7
    refuses 2 "'2x2' is not DPxTPxPP" "${small[@]}" --layouts 2x2
    refuses 2 "--dp is of one layout; leave it out, or --layouts" "${small[@]}" --layouts 2x1x1 --dp 4
    refuses 2 "--most-ranks is for a search" "${small[@]}" --layouts 2x1x1 --most-ranks 4
    refuses 2 "ranks that are threads of one process" "${small[@]}" --comm mpi
    refuses 2 "no model: give --model NAME" plan --this-machine
    run plan --this-machine --help
    shows "--most-ranks" "--check"
}

this_machine
helps
the_wall_and_the_best
ways_with_what_is_fixed
own_stack
selective_in_blocks
one_layout
as_json
own_hardware
own_model
refused_words
refused_layouts
end
