#!/bin/bash
# The pictures and measurements of docs/collectives.md: every algorithm drawn, and the tables of `cuboid bench comm` on this
# machine. Measuring takes some minutes, and wants a machine on which nothing else runs.
# Usage: collectives.sh draw CUBOID FOLDER
#        collectives.sh measure CUBOID FOLDER [MPIEXEC]
# MPIEXEC: as of --mpiexec, such as 'mpiexec -n;mpiexec.mpich -n @ build/mpich/cuboid'; without it MPI is left out.
set -euo pipefail
what=${1:?usage: collectives.sh draw|measure CUBOID FOLDER [MPIEXEC]} cuboid=$(realpath "${2:?}") folder=${3:?} mpiexec=${4:-}
mkdir -p "$folder"

# operation:algorithm:ranks
pictures=(
    all-reduce:blocks:4 all-reduce:direct:4 all-reduce:doubling:8 all-reduce:tree:8 all-reduce:ring:4
    all-reduce:rabenseifner:8 all-reduce:binary-tree:7 all-reduce:double-tree:7 all-reduce:hierarchical:8
    all-gather:direct:4 all-gather:ring:4 all-gather:bruck:6 all-gather:doubling:8
    reduce-scatter:direct:4 reduce-scatter:ring:4 reduce-scatter:bruck:6 reduce-scatter:halving:8
    broadcast:binomial:8 broadcast:double-tree:7 broadcast:scatter-allgather:4
    reduce:binomial:8 reduce:double-tree:7 all-to-all:pairwise:4 all-to-all:bruck:8
)

draw() {
    local picture op name ranks
    for picture in "${pictures[@]}"; do
        IFS=: read -r op name ranks <<<"$picture"
        "$cuboid" bench comm --op "$op" --draw "$name" --ranks "$ranks" --comm threads --svg "$folder/$op-$name.svg"
    done
}

# run NAME OPTIONS...: NAME.txt, and NAME.svg where there are lines to compare
run() {
    local name=$1
    shift
    echo "$name: cuboid bench comm $*" >&2
    "$cuboid" bench comm "$@" --plot "$folder/$name.svg" >"$folder/$name.txt"
}

measure() {
    local native=()
    [[ -z $mpiexec ]] || native=(--native --mpiexec "$mpiexec")
    run threads-2 --ranks 2 --repeats 15 "${native[@]}"
    run threads-8 --ranks 8 --repeats 9 "${native[@]}"
    run threads-2-all --ranks 2 --algo all
    run threads-8-all --ranks 8 --algo all --to 16M
    run threads-2-ops --ranks 2 --op all-gather,reduce-scatter,broadcast,reduce,all-to-all --algo all
    run threads-8-ops --ranks 8 --op all-gather,reduce-scatter,broadcast,reduce,all-to-all --to 16M
    [[ -z $mpiexec ]] || over_mpi
}

# Ours over MPI's messages beside MPI's own, in one run each
over_mpi() {
    local way start program n name
    while read -r way; do
        start=${way%%@*} program=$cuboid
        [[ $way != *@* ]] || program=${way##*@ }
        for n in 2 4; do
            name=$(tr -cs 'a-z\n' - <<<"${start,,}")
            echo "over $start $n: cuboid bench comm --op all --native" >&2
            OMPI_MCA_rmaps_base_oversubscribe=1 $start "$n" "$program" bench comm --comm mpi --op all --native --from 1k --to 16M \
                >"$folder/over-${name%-}-$n.txt"
        done
    done < <(tr ';' '\n' <<<"$mpiexec")
}

case $what in
draw) draw ;;
measure) measure ;;
*) echo "collectives.sh: '$what' is neither draw nor measure" >&2 && exit 2 ;;
esac
