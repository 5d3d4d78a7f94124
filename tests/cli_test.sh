#!/bin/bash
# The command line as its users meet it: real runs of cuboid, ranks as threads, on small generated data. What is refused,
# with which code and words; what a run prints, logs and writes; how it ends when it is asked to.
# Usage: cli_test.sh CUBOID OUTPUTS mpi|no-mpi   OUTPUTS: the program of support/outputs.c
cuboid=${1:?usage: cli_test.sh CUBOID OUTPUTS mpi|no-mpi} looks=${2:?} has_mpi=${3:?}
self=$(realpath "$0")
source "$(dirname "$0")/support/cli.sh"

refuses_sizes() {
    refused 2 "tp=3 does not divide the 8 heads, the MLP width 256 and the padded vocabulary 256 of test-tiny; tp can be 1, 2, 4 or 8" --tp 3
    refused 2 "tp=16 does not divide the 8 heads" --tp 16
    refused 2 "tp can be 1, 2, 4 or 8" --tp 8 --model test-tiny --make-vocab-size-divisible-by 1 --tp 5
    refused 2 "tp=4 does not divide the padded vocabulary 251" --model test-pad --make-vocab-size-divisible-by 1 --tp 4
    refused 2 "10 sequences is not a multiple of micro-batch-size 4 x dp 2 = 8; 8 or 16 would work" --dp 2 --global-batch-size 10
    refused 2 "= 12; 12 would work" --dp 3 --global-batch-size 5
    refused 2 "pp=5 stages for the 4 layers of test-tiny: pp can be at most 4" --pp 5
    refused 2 "placement '1,2' holds 3 layers, test-tiny has 4" --pp 2 --layers-per-stage 1,2
    refused 2 "placement '1,2,1' is for pp=3, not for pp=2" --pp 2 --layers-per-stage 1,2,1
    refused 2 "stage 0 holds no layer" --pp 2 --layers-per-stage 0,4
    refused 2 "recompute full:3: the largest of 2 stages has 2 layers; full:2 or less would work, or full" --pp 2 --recompute full:3 --layers-per-stage even
    refused 2 "recompute 'ful' is not none, selective, full, or full:N" --recompute ful
    refused 2 "recompute 'full:0' is not none" --recompute full:0
    refused 2 "--seq-length 65 is more than the 64 positions of test-tiny" --seq-length 65
    refused 2 "3 ranks cannot be divided into tp=2 x pp=1 = 2 ranks per copy of the model; a multiple of 2 would work" --ranks 3 --tp 2
    refused 2 "dp=2 x tp=1 x pp=2 are 4 ranks, but --ranks is 3" --ranks 3 --dp 2 --pp 2
    refused 2 "order 'tp-dp' leaves out pp, whose size is 2" --order tp-dp --pp 2
    refused 2 "order 'tp-xx-pp': 'xx' is no dimension; the default is tp-cp-ep-dp-pp" --order tp-xx-pp
    refused 1 "not enough memory: 64 ranks on this machine ask for" --model gpt2-1558m --dp 64
    check "what is available is named" grep -qE "ask for [0-9.]+ TiB \(the largest rank [0-9.]+ GiB\), available are [0-9.]+ [MGT]iB;" "$err"
}

refuses_words() {
    refused 2 "--stps is not an option; did you mean '--steps'" --stps 3
    refused 2 "--tp needs a value" --tp
    refused 2 "--tp: 'two' is not a whole number" --tp two
    refused 2 "--lr is 1e30; it can be 0 to 1000" --lr 1e30
    refused 2 "there is no schedule '1f1'; did you mean '1f1b'?" --schedule 1f1
    refused 2 "there is no schedule 'zb'; the nearest are 'zb-v', 'zb-h1' and 'zb-h2'. There are gpipe, 1f1b" --schedule zb
    refused 2 "'mp' is none of its choices; did you mean 'mpi'?" --comm mp
    refused 2 "'gpu' is none of its choices; did you mean 'cpu'?" --compute gpu
    refused 2 "no model 'gpt2-124'; did you mean 'gpt2-124m'?" --model gpt2-124
    refused 2 "'1,x' is not a list of shares" --split 1,x
    refused 2 "--split 1,0 has no share for validation" --split 1,0
    refused 2 "--save is given, but empty" --save ''
    refused 2 "--min-lr 0.01 is more than --lr 0.001" --lr 1e-3 --min-lr 1e-2
    refused 2 "--lr-warmup-iters 20 leaves nothing of --lr-decay-iters 10" --lr-warmup-iters 20 --lr-decay-iters 10
    refused 2 "--lr-warmup-iters 5 and --lr-wsd-decay-iters 6 are more than --lr-decay-iters 10" \
        --lr-decay-style wsd --lr-warmup-iters 5 --lr-wsd-decay-iters 6 --lr-decay-iters 10
    refused 2 "--timeline draws the last training step, but with --steps 0 there is none" --steps 0 --timeline t.svg
    refused 2 "with --eval-iters 0 there is none" --eval-iters 0 --logits l
    refused 2 "leaves nothing to do" --eval-iters 0 --steps 0
    local whole=("${small[@]}")
    small=(train --data text)
    refused 2 "no model: give --model NAME"
    small=(train --model test-tiny)
    refused 2 "no data: give --data PATH"
    small=(trian)
    refused 2 "'trian' is not a command; did you mean 'train'?"
    small=(dance)
    refused 2 "'dance' is not a command; the nearest are 'trace', 'bench' and 'plan'. \`cuboid --help\` lists them"
    small=(model)
    refused 2 "no model 'gpt3'; did you mean 'gpt3-125m', " --model gpt3
    small=("${whole[@]}")
    run
    check "without a command the help goes to stderr, code 2" equal "$rc $(grep -c usage: "$err") $(wc -c <"$out")" "2 1 0"
}

refuses_data() {
    refused 1 "cannot open none.bin: No such file or directory" --data none.bin
    refused 1 "no file matches the pattern none*.bin" --data 'none*.bin'
    : >empty
    refused 2 "empty is empty, expected tokens" --data empty
    random 60 1 >short
    refused 2 "the training part has 57 of the data's 60 tokens, one sample of sequence length 64 needs 65" --data short
    { little 4 20240520 1 100 && head -c 1012 /dev/zero && head -c 150 /dev/zero; } >shard.bin
    refused 2 "shard.bin: found 1174 bytes, expected 1224: a header of 1024 and 100 tokens of 2 (offset 8)" --data shard.bin
    { little 4 20240520 7 100 && head -c 1012 /dev/zero && head -c 200 /dev/zero; } >shard.bin
    refused 2 "shard.bin: offset 4: found version 7, expected 1" --data shard.bin
    { little 4 20240326 3 && head -c 1016 /dev/zero; } >model.bin
    refused 2 "offset 0: found magic number 20240326" --data model.bin
    { printf 'MMIDIDX\0\0' && little 8 1 && little 1 99 && little 8 1 1 && head -c 20 /dev/zero; } >set.idx
    cp text set.bin
    refused 2 "set.idx: offset 17: found type 99, expected 1, 2, 3, 4, 5 or 8" --data set
    refused 2 "one evaluation needs micro-batch-size 4 x dp 4 = 16; give more by --split or --val-data, or --eval-iters 0" --dp 4
    refused 1 "cannot open missing: No such file" --val-data missing
    { random 100 1 && printf '\0' && random 100 1; } >mixed
    refused 2 "mixed is no text (byte 100 is zero) and has the look of no other format; name it by --data-format: nanogpt (16-bit" \
        --data mixed
    rm empty short shard.bin model.bin set.idx set.bin mixed
}

# Bytes that are no text can be asked for; text for a model of other tokens is warned about.
bytes_as_tokens() {
    { random 6000 1 && printf '\0' && random 6000 2; } >mixed
    run "${small[@]}" --data mixed --data-format bytes --steps 1 --eval-iters 0
    check "bytes, as asked for" equal "$rc $(grep -c warning "$err")" "0 0"
    printf '{"model_type":"gpt2","n_embd":16,"n_layer":1,"n_head":2,"n_positions":64,"vocab_size":300}' >words.json
    run "${small[@]}" --model ./words.json --steps 0 --eval-iters 0 --save words
    check "a new model may learn bytes" equal "$rc $(grep -c warning "$err")" "0 0"
    run train --data text --peak-flops 1e11 --init words --steps 1 --eval-iters 0
    check "one of other tokens is warned about" equal "$rc $(grep -c "^cuboid: warning: text is read as bytes, ids 0 to 255 of the 300" "$err")" "0 1"
    rm -r mixed words.json words
}

# Output that cannot be written is an error, whatever the command.
full_output() {
    local words
    for words in --help --version "plan --list-hardware" "plan --model gpt2-124m --cluster a100:8 --json" "schedule --list" "model"; do
        rc=0
        "$cuboid" $words >/dev/full 2>"$err" || rc=$?
        check "$words on a full disk" equal "$rc $(grep -c "^cuboid: error: cannot write the output: " "$err")" "1 1"
    done
    rc=0
    "$cuboid" model >&- 2>"$err" || rc=$?
    check "nobody wants the output" equal "$rc" 0
}

# Times and comparisons are named in the summary.
summary_words() {
    works --steps 4 --eval-iters 1 --dp 2 --tp 2 --check-replicas 2 --log log
    check "mean, median, last" grep -qE '^4 steps in [0-9.]+ s: [0-9.]+ s per step in the mean, [0-9]+ tokens/s; median [0-9.]+ s, last [0-9.]+ s$' "$out"
    check "replicas" has "$out" "replicas: all copies of 52 tensors were equal, bit for bit, 2 times (every 2 steps)"
    check "the log has them" "$looks" log log 4
    works --steps 1 --eval-iters 0 --check-replicas 1
    check "no replicas" has "$out" "replicas: no tensor is on more than one rank in this layout"
    works --steps 1 --eval-iters 0 --tp 2 --peak-flops 1e3 --check-replicas 1
    check "whole tensors over tp" has "$out" "replicas: all copies of 27 tensors were equal, bit for bit, 1 time (every 1 step)"
    check "more than the peak" has "$out" "(more than 100%: the machine does more than --peak-flops says)"
    rm log
}

# Ids beyond the vocabulary are met when their sample is read.
refuses_token_ids() {
    { head -c 4000 /dev/zero && little 2 256 && head -c 4000 /dev/zero; } >ids.bin
    run "${small[@]}" --data ids.bin --split 100 --eval-iters 0 --steps 100 --tp 2 --pp 2 --save never
    check "the code is 2" equal "$rc" 2
    check "the token is named once" equal "$(grep -c "ids.bin: offset 4000: found id 256 as token 2000 of the stream, expected 0 to 255" "$err")" 1
    check "nothing is saved" test ! -e never
    rm ids.bin
}

refuses_outputs() {
    local place
    mkdir -p folder kept
    echo old >kept/model.safetensors
    for place in text text/below/it /dev/full /proc/none; do refused 1 "--save $place: " --save $place; done
    for place in none/log /proc/none folder; do refused 1 "--log $place: " --log $place; done
    for place in none/t.svg /proc/none folder; do refused 1 "--timeline $place: " --timeline $place; done
    for place in none/logits folder; do refused 1 "--logits $place: " --logits $place; done
    refused 2 "--log and --data are the same file, ./text" --log ./text
    refused 2 "--timeline and --log are the same file, folder/../new" --log new --timeline folder/../new
    echo "what was there" >log
    refused 1 "--timeline none/t.svg: there is no directory none" --log log --timeline none/t.svg
    run "${small[@]}" --log log --init nowhere --save kept
    check "no weights to begin with" equal "$rc $(grep -c "error: nowhere holds neither model.safetensors nor" "$err")" "1 1"
    check "an older log is left alone" equal "$(cat log)" "what was there"
    check "older weights are left alone" equal "$(cat kept/model.safetensors)" old
    rm -r folder kept log
}

# A disk that fills up stops the log, not the training.
log_on_a_full_disk() {
    run "${small[@]}" --steps 3 --log /dev/full --save saved
    check "the code is 1" equal "$rc" 1
    check "the warning comes once" equal "$(grep -c 'cuboid: warning: cannot write the log /dev/full: No space left' "$err")" 1
    check "so does the error" equal "$(grep -c 'cuboid: error: cannot write the log /dev/full: No space left' "$err")" 1
    check "all steps are done" has "$err" "step 3/3"
    check "the weights are saved" test -s saved/model.safetensors
    rm -r saved
}

# Weights of another model, cut short, of nothing.
refuses_weights() {
    works --steps 0 --eval-iters 0 --save whole
    mkdir cut && cp whole/config.json cut
    head -c 100000 whole/model.safetensors >cut/model.safetensors
    init_refused() {
        local message=$1
        shift
        run "${small[@]}" --steps 1 "$@" --tp 2 --dp 2
        check "$message: code 2" equal "$rc" 2
        check "$message: once" equal "$(grep -cF -- "$message" "$err") $(wc -l <"$err")" "1 1"
    }
    init_refused "cut/model.safetensors" --init cut
    init_refused "wte.weight has shape (256, 64), the model needs (256, 128)" --model test-wide --init whole
    init_refused "h.2.ln_1.weight has no place in the model toy-2 of 2 layers" --model toy-2 --init whole
    rm -r whole cut
}
# Models for it, as config.json.
write_models() {
    local config='{"model_type": "gpt2", "vocab_size": 256, "n_positions": 64, "n_embd": %d, "n_layer": %d, "n_head": 8}'
    mkdir test-wide toy-2
    printf "$config" 128 4 >test-wide/config.json
    printf "$config" 64 2 >toy-2/config.json
}

without_mpi() {
    refused 1 "comm 'mpi' is not in this build; configure with -DCB_MPI=ON" --comm mpi
    export OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=0 # as mpiexec would start it
    refused 1 "comm 'mpi' is not in this build; configure with -DCB_MPI=ON"
    OMPI_COMM_WORLD_RANK=1
    run "${small[@]}"
    check "the second process fails too, and says nothing" equal "$rc $(cat "$out" "$err" | wc -c)" "1 0"
    unset OMPI_COMM_WORLD_SIZE OMPI_COMM_WORLD_RANK
}

mpi_without_mpiexec() {
    refused 2 "dp=2 x tp=1 x pp=1 are 2 ranks, but there is 1 process; start them with mpiexec -n 2" --comm mpi --dp 2
    refused 2 "are 4 ranks, but there is 1 process" --comm mpi --ranks 4 --tp 2
}

helps() {
    local command
    run --help
    check "--help lists the commands, code 0" equal "$rc $(grep -cE '^  (train|model|schedule|trace|bench) ' "$out")" "0 5"
    for command in train model schedule trace "bench step" "bench gemm" "bench tp"; do
        run $command --help
        check "$command --help: code 0, nothing on stderr" equal "$rc $(wc -c <"$err")" "0 0"
        check "$command --help has a usage line" grep -q "cuboid $command" "$out"
        check "$command --help: no line beyond 100 columns" equal "$(grep -cE '.{101}' "$out")" 0
        check "$command --help has defaults" grep -q "(default: " "$out"
    done
    run train --help
    check "units" has "$out" "(default: 4 sequences)"
    check "other names" has "$out" "--tensor-model-parallel-size)"
    check "derived defaults" has "$out" "default: ranks / (tp * pp)"
    run --version
    check "--version" grep -qE '^cuboid [0-9]+\.[0-9]+\.[0-9]+$' "$out"
}

models() {
    run model
    check "model: code 0" equal "$rc" 0
    check "the presets are listed" grep -qE '^gpt2-124m +124439808 +12 +768 +12 +1024 +50257 Radford et al. 2019$' "$out"
    check "in lines of at most 100" equal "$(awk 'length($0) > 100' "$out" | wc -l)" 0
    run model --model gpt2-124m --pp 4 --layers-per-stage 4,3,3,2
    check "a row for each stage" equal "$(grep -cE '^ +[0-3]  [0-9]' "$out")" 4
    run model --pp 4
    check "which model? code 2" equal "$rc" 2
    run model --model demo --seq-length 257
    check "a sequence too long: code 2" equal "$rc" 2
    run model --model gpt2-124m --pp 13
    check "too many stages: code 2" equal "$rc" 2
}

schedules() {
    local name docs whole=("${small[@]}")
    docs=$(<"$(dirname "$self")/../docs/pipeline.md")
    for name in gpipe 1f1b interleaved zb-h1 zb-h2 zb-v dualpipe-v forward; do
        run schedule --schedule $name --svg s.svg --chrome s.json --columns 60
        check "$name is drawn" equal "$rc $(grep -cE '^p[0-3] .{57}$' "$out") $(grep -c '</svg>' s.svg)" "0 4 1"
        check "$name: trace events" "$looks" events s.json
        run schedule --schedule $name --list
        cp "$out" list.txt
        check "$name: a list for each stage" equal "$rc $(grep -cE '^[0-3]: F0' list.txt)" "0 4"
        run schedule --file list.txt --list
        check "$name is read back" equal "$rc $(cmp "$out" list.txt && echo same)" "0 same"
        run schedule --file list.txt --columns 60
        check "$name from its list" grep -qE "^list.txt, 4 stages, 8 microbatches.*: [0-9.]+ ms, bubble [0-9.]+%$" "$out"
    done
    run schedule --compare
    check "the table in the docs" test "${docs/"$(<"$out")"/}" != "$docs"
    check "no line beyond 100 columns" equal "$(grep -cE '.{101}' "$out")" 0
    run schedule --compare --micro-batches 10
    check "nor where a schedule says why not" equal "$rc $(grep -cE '.{101}' "$out")" "0 0"
    run schedule --compare --file list.txt --costs F=2,W=3,comm=0.5
    check "a schedule of one's own beside the others" equal "$rc $(grep -cE '^(1f1b|zb-v|list.txt) ' "$out")" "0 3"
    small=(schedule)
    refused 2 "there is no schedule 'zb-h'; did you mean 'zb-h1', 'zb-h2' or 'zb-v'? There are gpipe, 1f1b, interleaved" --schedule zb-h
    refused 2 "Microbatches can be 8 or 12 with this group; with 10 microbatches the group can be 5" --schedule interleaved --micro-batches 10
    refused 2 "512 stages x 4096 microbatches; at most 1048576 altogether, with the chunks: here 2048" --pp 512 --micro-batches 4096
    refused 2 "512 stages x 2048 microbatches x 2 chunks; at most 1048576 altogether: here 1024" --pp 512 --micro-batches 2048 \
        --schedule zb-v
    refused 2 "schedule zb-v: 3 chunks per stage; it has 2" --schedule zb-v --virtual 3
    refused 2 "--costs: 'F=x' is none of F=1, B=1" --costs B=2,F=x
    refused 2 "--costs: 'G=1' is none of" --costs G=1
    refused 2 "one of F, B and W has to take time" --costs F=0,B=0,W=0
    refused 2 "--file list.txt says what --pp would" --file list.txt --pp 4
    refused 1 "--file none.txt: No such file" --file none.txt
    refused 2 "--list draws nothing; leave out --svg" --list --svg s.svg
    refused 1 "--svg none/s.svg: No such file" --svg none/s.svg
    printf '0: F0 F1 B0 W0 B1\n1: F0 B0 W0 F1 B1 W1\n' >list.txt
    refused 2 "schedule list.txt (2 stages, 2 microbatches): stage 0 has no W1; each microbatch has F, B and W, unless" --file list.txt
    printf '0: F0 B0 F1 B1\n1: F0 F1 B0 B1\n' >list.txt
    refused 2 "deadlock, though sends wait for nobody" --file list.txt
    printf '0: F0 Q0\n' >list.txt
    refused 2 "list.txt, line 1: 'Q0' is no instruction" --file list.txt
    small=("${whole[@]}")
    refused 2 "a chunk has at least one layer, so there can be at most" --schedule interleaved --pp 2 --virtual 3 --global-batch-size 32
    refused 2 "a group has at least as many microbatches as there are stages" --schedule interleaved --pp 2 --global-batch-size 4
    refused 2 "leave out --virtual and --group" --schedule-file list.txt --virtual 2
    refused 2 "schedule forward has no B: there is nothing to train" --schedule forward
    refused 2 "give --log FILE too" --digest-every 2
    refused 1 "--schedule-file none.txt: No such file" --schedule-file none.txt
    printf '0: F0 F1 B0 B1\n1: F0 B0 F1 B1\n' >list.txt
    refused 2 "this run has pp=1 and 1 microbatches" --schedule-file list.txt
    rm list.txt s.svg s.json
}

# A dry run says what a run will hold and send, to the byte; nothing is allocated, so it may be of any size.
dry_runs() {
    local layout whole=("${small[@]}")
    while read -r layout; do
        run train --model test-tiny --dry-run --json --peak-flops 1e11 --global-batch-size 24 --micro-batch-size 1 $layout
        check "a plan of $layout" equal "$rc $(wc -l <"$out") $(wc -c <"$err")" "0 1 0"
        cp "$out" plan
        works --steps 2 --eval-iters 1 --log log --global-batch-size 24 --micro-batch-size 1 $layout
        check "$layout is as planned" "$looks" plan plan log 2
    done <<LAYOUTS
--dp 1
--dp 2 --tp 2 --pp 2
--tp 8 --ddp-bucket-size 1000
--dp 3 --pp 2 --layers-per-stage 3,1 --ddp-bucket-size 500
--pp 4 --schedule gpipe --shards 8 --seq-length 33
--dp 2 --data-shards 8 --pp 3 --tp 1
--tp 2 --pp 2 --recompute full:1 --layers-per-stage 3,1
--tp 2 --dp 2 --recompute-granularity selective
LAYOUTS
    rm log plan
    small=(train --model gpt3-175b --dry-run)
    works --tp 8 --pp 12 --dp 4 --micro-batch-size 1 --global-batch-size 256
    check "384 ranks" has "$out" "384 ranks = dp 4 x tp 8 x pp 12"
    check "each stage's layers" grep -qE '^ +11  8 \(88-95\) +head ' "$out"
    check "each stage's memory" equal "$(grep -cE '^  (0|1|2|3|4|5|6|7|8|9|10|11) +32 +[0-9]+ .*iB$' "$out")" 12
    check "no line beyond 100 columns" equal "$(grep -cE '.{101}' "$out")" 0
    check "what is sent" grep -qE '^  pp +send/recv +' "$out"
    check "what it needs" grep -qE '^384 ranks on this machine: [0-9.]+ TiB, the largest rank [0-9.]+ GiB;$' "$out"
    check "whether it fits" grep -qE '^available are [0-9.]+ [MGT]iB: it does NOT fit$' "$out"
    works --tp 8 --pp 12 --dp 4 --micro-batch-size 1 --global-batch-size 256 --schedule gpipe
    check "stages that are alike are one row" equal "$(grep -cE '^  (0|1-10|11) +(32|320) +64 .*iB$' "$out")" 3
    refused 2 "tp=7 does not divide" --tp 7
    refused 2 "there is no schedule '1f1'" --schedule 1f1
    refused 1 "cannot open none.bin" --data none.bin
    refused 1 "--log none/log: there is no directory none" --log none/log
    small=("${whole[@]}")
    refused 2 "--json goes with --dry-run" --json
    small=(verify --model test-tiny --data text --seq-length 32 --micro-batch-size 1)
    refused 2 "--dry-run goes with cuboid train" --dry-run
    refused 2 "dp 1 x tp 1 x pp 9 1f1b: pp=9 stages for the 4 layers of test-tiny" --layouts 1x2x1,1x1x9
    refused 2 "dp 1 x tp 3 x pp 1: tp=3 does not divide the 8 heads" --layouts 1x3x1
    refused 1 "--mpi with --mpiexec 'nosuch -n': cannot start nosuch: No such file" --layouts 1x2x1 --mpi --mpiexec "nosuch -n"
    refused 1 "--mpi with --mpiexec 'false': the run under false failed with exit code 1" --layouts 1x2x1 --mpi --mpiexec false
    refused 2 "--layouts: '1x1x2:1f1': there is no schedule '1f1'; did you mean '1f1b'?" --layouts 1x2x1,1x1x2:1f1
    refused 2 "--shards tp follows the layout, and the bits follow the shards; give a number, such as 8" --shards tp --layouts 1x2x1
    refused 2 "--log goes with --against FILE" --log log
    refused 2 "--tp is of one layout; give --layouts DPxTPxPP, such as 1x2x1" --tp 2 --layouts 1x2x1
    refused 2 "--most-ranks is for a search; leave it out, or --layouts" --layouts 1x2x1 --most-ranks 4
    refused 2 "--layouts compares layouts; leave it out, or --against" --layouts 1x2x1 --against log
    refused 2 "--save goes with cuboid train: a comparison writes no file" --save saved
    works --layouts 1x2x1 --steps 1
    check "one layout" has "$out" "8 shards, 8 data shards, 1 step, 1 layout"
    check "is the one" has "$out" "1 layout gave the same bits in 1 step"
    small=("${whole[@]}")
}

# The configuration as it was resolved is printed, complete; what was left out is derived.
echoes() {
    works --steps 1 --ranks 8 --tp 2 --pp 2 --micro-batch-size 2 --global-batch-size 12 --eval-iters 1
    check "dp is derived" grep -qE '  dp +2 ranks' "$out"
    check "the mesh" has "$out" "8 ranks = dp 2 x tp 2 x pp 2"
    check "the step" has "$out" "a step: 3 microbatches of 2 x 64 tokens on each dp rank"
    check "numbers as people write them" grep -qE '  deadline +600 s ' "$out"
    check "what an unset option means" grep -qE '  save +not saved' "$out"
    check "the schedule's chunks" grep -qE '  virtual +1 chunk$' "$out"
    check "groups that the schedule has not" grep -qE '  group +pp if interleaved ' "$out"
    check "no file of a schedule" grep -qE '  schedule-file +none ' "$out"
    check "fewer validation samples than asked for" has "$out" "validation: 8 samples; 12 were asked for, there are 9"
    check "no line of the configuration beyond 80 columns" equal "$(sed '/^$/q' "$out" | grep -cE '.{81}')" 0
    run train --help
    local name missing=()
    works --steps 0 --eval-iters 1
    for name in $("$cuboid" train --help | grep -oE '^  --(\[no-\])?[a-z0-9-]+' | sed -E 's/.*--(\[no-\])?//'); do
        [[ $name == help ]] || grep -qE "(^|  )  $name  " "$out" || missing+=("$name")
    done
    check "every option is echoed" equal "${missing[*]:-}" ""
}

logs() {
    works --steps 5 --eval-interval 2 --log log --dp 2 --tp 2 --pp 2 --global-batch-size 16 --eval-iters 0
    check "log without evaluations" "$looks" log log 5
    works --steps 5 --eval-interval 2 --log log --dp 2 --tp 2 --pp 2 --global-batch-size 16 --eval-iters 1 --save saved --timeline step.svg
    check "log with two evaluations" "$looks" log log 5 2
    check "a progress line for each step" equal "$(grep -cE '^step [1-5]/5 \| loss [0-9.]+ \|.* norm [0-9.]+ \| lr [0-9.e-]+ \| [0-9]+ tokens/s \| MFU [0-9.]+% \| ETA [0-9]+ s$' "$err")" 5
    check "two of them with validation loss" equal "$(grep -c "| val loss " "$err")" 2
    check "the timeline is a picture" grep -q "</svg>" step.svg
    check "nothing but the weights is saved" equal "$(cd saved && echo *)" "config.json model.safetensors"
    local words
    for words in "training loss over steps" "bubble" "traffic, sent by all ranks" "memory per rank" "validation loss" "5 steps in" MFU; do
        check "the summary has: $words" has "$out" "$words"
    done
    works --steps 5 --log-interval 2 --eval-iters 0
    check "--log-interval 2 shows steps 2, 4 and the last" equal "$(cut -c1-6 "$err" | tr '\n' ,)" "step 2,step 4,step 5,"
    works --init saved --steps 0
    check "--steps 0 only evaluates" hasnt "$err" step
    check "the validation loss of --steps 0" has "$out" "validation loss"
    rm -r log saved step.svg
}

# Steps recorded whole, as trace events.
traces() {
    local layout=(--dp 2 --tp 2 --pp 2 --micro-batch-size 1 --global-batch-size 8 --eval-iters 0)
    works --steps 4 "${layout[@]}" --trace t.json --log traced
    check "the trace is one" "$looks" events t.json
    check "steps 2 and 3" equal "$(grep -c '"name":"step 2"' t.json) $(grep -c '"name":"step 3"' t.json) $(grep -c '"cat":"step"' t.json)" "8 8 16"
    check "no event was lost" has t.json '"lost":0'
    check "nothing is left beside it" equal "$(echo t.json*)" t.json
    works --steps 4 "${layout[@]}" --log plain
    check "a trace changes no loss" equal "$(losses traced)" "$(losses plain)"
    works --steps 1 "${layout[@]}" --trace t.json
    check "of one step the first is traced" equal "$(grep -c '"name":"step 1"' t.json)" 8
    works --steps 5 --pp 2 --schedule gpipe --eval-iters 0 --trace t.json --trace-steps 2:5 --timeline t.svg
    check "four steps of two ranks" equal "$(grep -c '"cat":"step"' t.json)" 8
    check "and the last one's picture" has t.svg "</svg>"
    works --steps 5 --trace t.json --trace-steps 4
    check "one rank, one step" equal "$(grep -c '"cat":"step"' t.json) $(grep -c '"name":"step 4"' t.json)" "1 1"
    run "${small[@]}" --steps 4 --trace /dev/full --save saved
    check "a full disk: the code is 1, the weights are saved" equal "$rc $(ls saved | wc -l)" "1 2"
    check "a full disk is named" has "$err" "warning: --trace /dev/full: writing the trace failed: No space left"
    refused 1 "--trace none/t.json: there is no directory none" --trace none/t.json
    refused 2 "--trace and --log are the same file" --trace same --log same
    refused 2 "--trace-steps 2:3 goes with --trace FILE" --trace-steps 2:3
    refused 2 "'2:x' is neither a step as 10 nor a first and a last as 10:12" --trace t.json --trace-steps 2:x
    refused 2 "--trace-steps 3:9: there are steps 1 to 4" --trace t.json --trace-steps 3:9 --steps 4
    refused 2 "--trace-steps 0: there are steps 1 to 4" --trace t.json --trace-steps 0 --steps 4
    refused 2 "--trace-steps 3:2: there are steps 1 to 4, the first to trace comes first" --trace t.json --trace-steps 3:2 --steps 4
    refused 2 "--trace writes training steps, but with --steps 0 there is none" --trace t.json --steps 0
    rm -r t.json t.svg saved traced plain
}

# What cuboid trace says of them.
explains_traces() {
    local sum
    works --steps 3 --dp 2 --tp 2 --pp 2 --micro-batch-size 1 --global-batch-size 8 --eval-iters 0 --trace t.json
    run trace t.json --columns 90 --svg t.svg
    check "trace: code 0" equal "$rc" 0
    check "the simulated step above the measured one" equal "$(grep -cE '^1f1b (simulated with the measured costs|measured, step 3): [0-9.]+ m?s, bubble' "$out")" 2
    check "rows of stages and of ranks" equal "$(grep -cE '^p[01] .{87}$' "$out") $(grep -cE '^d[01] p[01] t[01] .{81}$' "$out")" "2 8"
    check "the critical path is marked" grep -qE '^path     [0-7. ]{81}$' "$out"
    check "each rank's uses add up to the step" awk '/^where the time/ { on = 1 } on && $1 ~ /^d/ {
        for (i = 4; i <= 10; i++) sum += $i; if (sum - $11 > 0.05 || $11 - sum > 0.05) bad = 1; sum = 0; rows++ }
        END { exit bad || rows != 8 }' "$out"
    check "the path is told" grep -qE '^critical path, [0-9.]+ ms: compute [0-9.]+% \(p0 [0-9.]+%, p1 [0-9.]+%\)' "$out"
    check "measured against simulated" grep -qE '^measured [0-9.]+ ms, simulated [0-9.]+ ms: [0-9.]+ x$' "$out"
    check "the picture has both" equal "$(grep -c '</svg>' t.svg) $(grep -cE 'simulated with|measured, step 3' t.svg) $(grep -c 'critical path' t.svg)" "1 2 1"
    run trace t.json --step 2 --json
    check "as JSON" equal "$rc $(grep -cE '"(step|step_s|simulated_s|measured_to_simulated|critical_path|costs)":' "$out")" "0 6"
    check "of step 2" grep -qE '"step": 2,' "$out"
    local whole=("${small[@]}")
    small=(trace)
    refused 2 "trace which file? cuboid trace FILE"
    refused 2 "--step 7: the trace has no such step; it has 2 and 3" t.json --step 7
    refused 1 "none.json: No such file" none.json
    refused 2 ": not JSON: " text
    refused 1 "--svg none/t.svg: " t.json --svg none/t.svg
    head -c 5000 t.json >cut.json
    refused 2 "the file ends in the middle: " cut.json
    "$cuboid" schedule --chrome s.json >/dev/null
    refused 2 "s.json: a trace, but none of cuboid's training steps" s.json
    sed 's/"version":1/"version":2/' t.json >new.json
    refused 2 "new.json: a trace of version 2; this cuboid reads version 1" new.json
    small=("${whole[@]}")
    rm t.json t.svg cut.json s.json new.json
}

# The words that scripts for Megatron use.
long_names() {
    works --tp 2 --pp 2 --dp 2 --micro-batch-size 2 --global-batch-size 8 --steps 3 --eval-iters 0 --seq-length 32 --log short
    run train --model test-tiny --data-path text --peak-flops 1e11 --tensor-model-parallel-size 2 --pipeline-model-parallel-size 2 \
        --data-parallel-size 2 --micro-batch-size=2 --global-batch-size=8 --train-iters 3 --eval-iters 0 --seq-length 32 \
        --distributed-backend threads --distributed-timeout-seconds 60 --lr-warmup-iters 0 --log long
    check "long names: code 0" equal "$rc" 0
    check "the same losses" equal "$(losses long)" "$(losses short)"
    check "three of them" equal "$(losses long | wc -l)" 3
    rm short long
}

# Whatever the layout, it is the same training: losses to float accuracy.
layouts() {
    local layout first
    works --global-batch-size 12 --micro-batch-size 2 --steps 3 --eval-iters 1 --split 8,2 --log one
    first=$(losses one)
    while read -r layout; do
        works --global-batch-size 12 --steps 3 --eval-iters 1 --split 8,2 --log log $layout
        check "$layout" awk -v a="$first" -v b="$(losses log)" 'BEGIN {
            n = split(a, x); m = split(b, y); bad = n != 3 || m != 3
            for (i = 1; i <= n; i++) { d = x[i] - y[i]; if (d < -1e-4 || d > 1e-4) bad = 1 }
            exit bad }'
    done <<'LAYOUTS'
--micro-batch-size 2 --dp 3
--micro-batch-size 12 --pp 2
--micro-batch-size 2 --pp 4 --schedule gpipe
--micro-batch-size 2 --pp 2 --tp 2 --order pp-tp-dp --no-pin
--micro-batch-size 4 --tp 8 --threads-per-rank 2
--micro-batch-size 1 --pp 3 --layers-per-stage 1,2,1 --dp 2 --check-messages
--micro-batch-size 4 --tp 2 --compute ref
--micro-batch-size 4 --ddp-bucket-size 100 --dp 3
LAYOUTS
    rm one log
}

logits() {
    local size=$((8 * 64 * 251 * 4))
    head -c $((size + 100)) /dev/zero >one # an older, longer file
    works --model test-pad --steps 2 --global-batch-size 8 --eval-iters 1 --logits one
    works --model test-pad --steps 2 --global-batch-size 8 --eval-iters 1 --logits two --tp 2
    works --model test-pad --steps 2 --global-batch-size 8 --eval-iters 1 --logits four --pp 2 --dp 2 --tp 2
    check "samples x T x V floats" equal "$(stat -c %s one two four | tr '\n' ' ')" "$size $size $size "
    check "tp 1 and tp 2 agree" "$looks" floats one two 1e-5
    check "three dimensions agree" "$looks" floats one four 1e-5
    rm one two four
}

nonfinite() {
    run "${small[@]}" --lr 1000 --steps 50 --clip-grad 0 --save saved --log log --dp 2 --pp 2
    check "the code is 1" equal "$rc" 1
    check "one error" equal "$(grep -c 'cuboid: error' "$err")" 1
    check "it names step, tensor, stage and rank" grep -qE "error: step [0-9]+ of 50: .*first value that is not finite: [a-z0-9_.]+ .*stage [01], element [0-9]+ on rank [0-3]" "$err"
    check "and where the weights are" grep -qE "the weights after [0-9]+ steps? are in saved$" "$err"
    check "these weights are whole" equal "$(cd saved && echo *)" "config.json model.safetensors"
    run "${small[@]}" --steps 0 --init saved --eval-iters 1
    check "and can be read" equal "$rc" 0
    rm -r saved log
}

# SIGINT, SIGUSR1 and SIGTERM are 2, 10 and 15.
no_handler() {
    local caught
    for caught in $(grep -h ^SigCgt /proc/$1/task/*/status | cut -f2); do
        [[ $((16#$caught & 16#4202)) == 0 ]] || return 1
    done
}

# SIGTERM in the middle: the step is finished, weights are saved, the summary is printed.
stops() {
    local signal
    for signal in TERM INT USR1; do
        "$cuboid" "${small[@]}" --steps 100000 --dp 2 --pp 2 --log log --save saved --eval-iters 1 >"$out" 2>"$err" &
        until_true lines_in log 2
        check "no handler of signals runs on threads that compute" no_handler $!
        kill -$signal $!
        rc=0
        wait $! || rc=$?
        check "SIG$signal: code 0" equal "$rc" 0
        check "SIG$signal: what it does is said" equal "$(grep -c "^cuboid: SIG$signal: ends after this step" "$err")" 1
        check "SIG$signal: the summary says so" grep -qE "^stopped by a signal: [0-9]+ of 100000 steps and the final evaluation were not done$" "$out"
        check "SIG$signal: nothing is evaluated" hasnt "$out" "validation loss"
        check "SIG$signal: the log is whole" "$looks" log log $(($(wc -l <log) - 1))
        check "SIG$signal: the weights are saved" equal "$(cd saved && echo *)" "config.json model.safetensors"
        rm -r log saved
    done
}

# What a person sees: a line that is rewritten in place and never wraps, and no less in the log.
terminal() {
    local columns
    for columns in 80 40; do
        script -qefc "stty cols $columns; exec '$cuboid' ${small[*]} --steps 4 --eval-iters 1 --eval-interval 2 --log log 2>&1 >'$out'" "$err" >/dev/null </dev/null
        sed -i '/^Script /d' "$err"
        tr '\r' '\n' <"$err" | sed 's/\x1b\[K//' | grep '^step' >seen
        check "$columns columns: each step is shown" equal "$(cut -d/ -f1 seen | tr '\n' ,)" "step 1,step 2,step 3,step 4,"
        check "$columns columns: no line is longer" equal "$(grep -cE ".{$columns}" seen)" 0
        check "$columns columns: rewritten, except the validation's and the last" equal "$(grep -c '^.*step' "$err")" 2
        check "$columns columns: the log has each step" "$looks" log log 4 1
        rm log seen
    done
}

# 384 ranks as threads of one process, in all three dimensions.
many_ranks() {
    works --model toy-12 --tp 4 --pp 12 --dp 8 --micro-batch-size 1 --global-batch-size 96 --seq-length 32 --steps 3 --eval-iters 0 --log log
    check "384 ranks train" "$looks" log log 3
    check "the memory table has a row for each stage" equal "$(grep -cE '^  d0 p[0-9]+ t0 ' "$out")" 12
    rm log
}

write_models
parts=(refuses_sizes refuses_words refuses_data bytes_as_tokens full_output summary_words refuses_token_ids refuses_outputs refuses_weights log_on_a_full_disk helps models schedules dry_runs echoes
    logs traces explains_traces long_names layouts logits nonfinite stops terminal many_ranks)
if [[ $has_mpi == mpi ]]; then parts+=(mpi_without_mpiexec); else parts+=(without_mpi); fi
for part in ${CLI_TEST_PARTS:-"${parts[@]}"}; do
    before=$failed start=$SECONDS
    "$part"
    echo "$([[ $failed == "$before" ]] && echo "ok  " || echo FAIL) $part, $((SECONDS - start)) s"
done
end
