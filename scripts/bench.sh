#!/usr/bin/env bash
# Speed of the simulator on the traces of this repository, as a Markdown table.
#
#   scripts/bench.sh [--gpu NAME] [--threads N] [--repeat N] [--scaling] [--callgrind]
#
# Rates are those of the report's `simulation` object: the best of N runs (default 3), one thread unless
# said otherwise. With --scaling another table compares two threads with one, and with two runs of one thread
# each at the same time: where those slow each other down, no thread can do better. With --callgrind a table
# gives the instructions that the host executes for small inputs, which do not depend on how busy it is
# (needs valgrind).
set -euo pipefail
cd "$(dirname "$0")/.."

gpu=v100 threads=1 repeat=3 scaling= callgrind=
while [ $# -gt 0 ]; do
    case $1 in
        --gpu) gpu=$2; shift 2 ;;
        --threads) threads=$2; shift 2 ;;
        --repeat) repeat=$2; shift 2 ;;
        --scaling) scaling=1; shift ;;
        --callgrind) callgrind=1; shift ;;
        *) sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done

cargo build --release --quiet
binary=${CARGO_TARGET_DIR:-target}/release/phantom-gpu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Prints KEY of the report's `simulation` or `totals` objects, or the sum of the kernels' l2.requests.
number() {
    awk -v key="\"$2\":" '
        /^  "/ { section = $1 }
        /^      "/ { part = $1 }
        key == "\"l2.requests\":" && section == "\"kernels\":" && part == "\"l2\":" && $1 == "\"requests\":" {
            sum += $2; found = 1
        }
        (section == "\"simulation\":" || section == "\"totals\":") && $1 == key { sum = $2; found = 1 }
        END { if (!found) exit 1; printf "%.9f\n", sum }
    ' "$1"
}

# Runs one input and prints its row: the run with the least wall time counts.
row() {
    local name=$1 input=$2 best= file
    for ((i = 0; i < repeat; i++)); do
        file=$folder/$name.$i.json
        "$binary" simulate "$input" --gpu "$gpu" --threads "$threads" --json - > "$file"
        if [ -z "$best" ] || awk -v a="$(number "$file" wall_s)" -v b="$(number "$best" wall_s)" 'BEGIN { exit !(a < b) }'; then
            best=$file
        fi
    done
    awk -v name="$name" \
        -v insts="$(number "$best" warp_instructions)" -v rate="$(number "$best" warp_instructions_per_s)" \
        -v cycles="$(number "$best" cycles)" -v cycle_rate="$(number "$best" cycles_per_s)" \
        -v wall="$(number "$best" wall_s)" -v rss="$(number "$best" peak_rss_bytes)" \
        -v requests="$(number "$best" l2.requests)" 'BEGIN {
            per = requests > 0 ? sprintf("%.0f", wall * 1e9 / requests) : "-"
            printf "| %s | %d | %d | %.2f M | %.0f k | %s | %.0f |\n", name, insts, cycles,
                rate / 1e6, cycle_rate / 1e3, per, rss / 1048576
        }'
}

echo "$gpu, $threads thread(s), best of $repeat"
echo
echo "| trace | warp instructions | cycles | warp instructions/s | cycles/s | ns per L2 request | peak MiB |"
echo "|---|---:|---:|---:|---:|---:|---:|"
for trace in alu stream hgemm sgemm; do
    # In our own form, so that what is measured is the simulation.
    "$binary" trace convert "traces/$trace/kernelslist.g" -o "$folder/$trace.pgt" > /dev/null 2>&1
    row "$trace" "$folder/$trace.pgt"
done
row gather 'synth:gather?grid=160&block=256&per=8&span=256MiB'

# Wall time of `input` on so many threads.
wall() {
    "$binary" simulate "$1" --gpu "$gpu" --threads "$2" --json - > "$folder/$3.json"
    number "$folder/$3.json" wall_s
}

if [ -n "$scaling" ]; then
    echo
    echo "| trace | one thread, s | two threads, s | faster by | two runs at once, s | throughput of both |"
    echo "|---|---:|---:|---:|---:|---:|"
    for trace in alu stream hgemm sgemm; do
        input=$folder/$trace.pgt
        for ((i = 0; i < repeat; i++)); do
            one=$(wall "$input" 1 one) two=$(wall "$input" 2 two)
            wall "$input" 1 left > "$folder/left" &
            right=$(wall "$input" 1 right)
            wait $!
            echo "$one $two $(cat "$folder/left") $right"
        done | awk -v name="$trace" '
            NR == 1 || $1 < one { one = $1 }
            NR == 1 || $2 < two { two = $2 }
            { both = $3 > $4 ? $3 : $4 }
            NR == 1 || both < least { least = both }
            END {
                printf "| %s | %.3f | %.3f | %.2f | %.3f | %.2f |\n", name, one, two, one / two, least, 2 * one / least
            }'
    done
fi

if [ -n "$callgrind" ]; then
    command -v valgrind > /dev/null || { echo "bench.sh: --callgrind needs valgrind" >&2; exit 1; }
    echo
    echo "| input | warp instructions | host instructions beyond those of an empty kernel | per warp instruction |"
    echo "|---|---:|---:|---:|"
    base=0
    for input in 'synth:empty' 'synth:ffma?grid=160&block=128&iters=2' 'synth:copy?bytes=512KiB' \
        'synth:gather?grid=8&per=8' 'synth:sgemm?m=256&n=256&k=32' 'synth:hgemm?m=256&n=256&k=32'; do
        file=$folder/callgrind.json
        host=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null \
            "$binary" simulate "$input" --gpu "$gpu" --json "$file" 2>&1 |
            awk '/Collected/ { print $NF }')
        if [ "$base" = 0 ]; then
            base=$host
            continue
        fi
        awk -v input="$input" -v insts="$(number "$file" warp_instructions)" -v host="$host" -v base="$base" 'BEGIN {
            printf "| `%s` | %d | %.0f | %.0f |\n", input, insts, host - base, (host - base) / insts
        }'
    done
fi
