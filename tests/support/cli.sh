# For the tests of the command line, sourced by them: a scratch folder with small generated data, runs of the binary, and
# checks that count. Every run's output is in $out and $err, its exit code in $rc. Nothing here needs more than bash and
# coreutils. Set before: cuboid, the binary, and looks, the program of support/outputs.c.
set -uo pipefail

cuboid=$(realpath "$cuboid") looks=$(realpath "$looks")
passed=0
failed=0
scratch=$(mktemp -d)
out=$scratch/stdout
err=$scratch/stderr
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/files" && cd "$scratch/files" || exit 1

good() { passed=$((passed + 1)); }
# bad WHAT: one failure, with what the last run said
bad() {
    failed=$((failed + 1))
    echo "FAIL $1" >&2
    sed 's/^/    stderr: /' "$err" >&2
}
# check WHAT COMMAND...: the command succeeds
check() {
    local what=$1
    shift
    if "$@"; then good; else bad "$what: $*"; fi
}
equal() { [[ $1 == "$2" ]] || { echo "    got '$1', expected '$2'" >&2; false; }; }
has() { grep -qF -- "$2" "$1"; }
hasnt() { ! grep -qF -- "$2" "$1"; }
is_number() { [[ $1 =~ ^[0-9]+(\.[0-9]+)?$ ]]; }

end() {
    echo "$passed passed, $failed failed"
    exit $((failed > 0))
}

# random BYTES SEED: letters and blanks, the same everywhere
random() {
    awk -v n="$1" -v s="$2" 'BEGIN {
        for (i = 0; i < n; i++) { s = (s * 16807) % 2147483647; printf "%c", s % 27 == 26 ? 32 : 97 + s % 27 }
    }'
}
# u16, i32, i64 NUMBERS...: little-endian
little() {
    local bytes=$1 value i
    shift
    for value; do
        for ((i = 0; i < bytes; i++)); do printf "\\x$(printf %02x $(((value >> (8 * i)) & 255)))"; done
    done
}

random 12000 1 >text

# What a run costs nothing without: no measurement of the peak, a model of four small layers.
small=(train --model test-tiny --data text --peak-flops 1e11)

run() {
    rc=0
    timeout -k 5 60 "$cuboid" "$@" >"$out" 2>"$err" || rc=$?
}

# What is here, files with sizes and times of change.
snapshot() { find . -type f -printf '%p %s %T@\n' -o -printf '%p %y\n' | sort; }

# refused CODE MESSAGE OPTION...: with these options beside the small ones the run ends with this code before it begins:
# one line on stderr, which holds the message, nothing on stdout, and no file is made or changed.
refused() {
    local code=$1 message=$2 before
    shift 2
    before=$(snapshot)
    run "${small[@]}" "$@"
    if [[ $rc == "$code" && $(wc -l <"$err") == 1 && ! -s $out && $(snapshot) == "$before" ]] &&
        [[ $(head -c 15 "$err") == "cuboid: error: " ]] && has "$err" "$message"; then
        good
    else
        bad "$*: exit code $rc, expected $code and one line with: $message"
    fi
}

# works OPTION...: exit code 0
works() {
    run "${small[@]}" "$@"
    if [[ $rc == 0 ]]; then good; else bad "$*: exit code $rc"; fi
}

# until CONDITION...: waits for it, at most 30 s
until_true() {
    local i
    for ((i = 0; i < 300; i++)); do
        "$@" && return
        sleep 0.1
    done
    return 1
}
lines_in() { [[ -f $1 && $(wc -l <"$1") -ge $2 ]]; }

# losses LOG: a training loss a line
losses() { "$looks" losses "$1"; }
