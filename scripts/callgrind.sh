#!/usr/bin/env bash
# Host instructions and first-level cache misses per simulated warp instruction, on five traces, held against
# benches/callgrind.toml.
#
#   scripts/callgrind.sh            fails when instructions are more than 2 % above the file, or misses 25 %
#   scripts/callgrind.sh --write    writes the file again: commit it with the change that explains it
#   scripts/callgrind.sh --features instructions with all features compiled in and none used, held against a plain build:
#                                   fails when they are more than 0.5 % above it
#
# The counts do not depend on how busy the machine is; they do depend on the compiler. Misses also depend on where
# the machine's loader and the length of its environment put the stack and the heap: gather moves by 8 % between two
# machines with the same instructions. They warn of a layout that went wrong. Needs valgrind.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v valgrind > /dev/null || { echo "valgrind is missing: apt-get install valgrind" >&2; exit 1; }
cargo build --release --quiet
binary=${CARGO_TARGET_DIR:-target}/release/phantom-gpu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Runs one input under callgrind; prints a line of TOML.
measure() {
    local name=$1 input=$2 insts
    "$binary" simulate "$input" --gpu v100 --json "$folder/$name.json" > /dev/null 2>&1
    insts=$(awk '/^  "totals"/ { inside = 1 } inside && $1 == "\"warp_instructions\":" { print $2 + 0; exit }' "$folder/$name.json")
    valgrind --tool=callgrind --cache-sim=yes --I1=32768,8,64 --D1=49152,12,64 --LL=33554432,16,64 \
        --callgrind-out-file="$folder/$name.out" "$binary" simulate "$input" --gpu v100 \
        > /dev/null 2> "$folder/$name.log" || { cat "$folder/$name.log" >&2; exit 1; }
    awk -v name="$name" -v insts="$insts" '
        $1 == "events:" { for (i = 2; i <= NF; i++) column[$i] = i }
        $1 == "totals:" || $1 == "summary:" {
            misses = $column["I1mr"] + $column["D1mr"] + $column["D1mw"]
            printf "%s = { instructions = %.1f, misses = %.2f }\n", name, $column["Ir"] / insts, misses / insts
            exit
        }' "$folder/$name.out" > "$folder/$name.toml"
}

gather='synth:gather?grid=160&block=256&per=8&span=256MiB'
for trace in alu sgemm hgemm stream; do
    "$binary" trace convert "traces/$trace/kernelslist.g" -o "$folder/$trace.pgt" > /dev/null 2>&1
done

# Instructions of one input with a build.
count() {
    valgrind --tool=callgrind --callgrind-out-file="$folder/$1.$2.out" "$folder/$1" simulate "$3" --gpu v100 \
        > /dev/null 2> "$folder/$1.$2.log" || { cat "$folder/$1.$2.log" >&2; exit 1; }
    awk '$1 == "totals:" || $1 == "summary:" { printf "%.0f\n", $2; exit }' "$folder/$1.$2.out"
}

if [ "${1:-}" = --features ]; then
    cp "$binary" "$folder/plain"
    cargo build --release --quiet --all-features
    cp "$binary" "$folder/all"
    worse=0
    for trace in alu sgemm hgemm stream gather; do
        input="$folder/$trace.pgt"
        [ "$trace" != gather ] || input=$gather
        count plain "$trace" "$input" > "$folder/count" &
        all=$(count all "$trace" "$input")
        wait $!
        awk -v name="$trace" -v plain="$(cat "$folder/count")" -v all="$all" 'BEGIN {
            printf "%-8s %15.0f -> %15.0f  %+.2f %%\n", name, plain, all, 100 * (all / plain - 1)
            exit all > 1.005 * plain
        }' || worse=1
    done
    [ "$worse" = 0 ] || echo "features that are compiled in and not used cost more than 0.5 %"
    exit "$worse"
fi

{ measure stream "$folder/stream.pgt" & measure hgemm "$folder/hgemm.pgt"; measure alu "$folder/alu.pgt"
  measure sgemm "$folder/sgemm.pgt"; measure gather "$gather"; wait; }

{
    echo "# Per simulated warp instruction on v100, one thread, whole process: host instructions, and misses of"
    echo "# the host's first-level caches. Made by scripts/callgrind.sh --write ($(rustc --version | cut -d' ' -f1,2))."
    for trace in alu sgemm hgemm stream gather; do cat "$folder/$trace.toml"; done
} > "$folder/now.toml"

if [ "${1:-}" = --write ]; then
    cp "$folder/now.toml" benches/callgrind.toml
    cat benches/callgrind.toml
    exit
fi
awk '
    /^#/ { next }
    { gsub(/[{},]/, "") }
    FNR == NR { was[$1 " instructions"] = $5; was[$1 " misses"] = $8; next }
    {
        check($1 " instructions", $5, 1.02)
        check($1 " misses", $8, 1.25)
    }
    function check(what, is, most) {
        printf "%-20s %10.2f -> %10.2f  %+.1f %%\n", what, was[what], is, 100 * (is / was[what] - 1)
        if (is > most * was[what]) { worse = 1; print "  that is too much" }
    }
    END {
        if (worse) { print "find out why, or run scripts/callgrind.sh --write and say so"; exit 1 }
    }' benches/callgrind.toml "$folder/now.toml"
