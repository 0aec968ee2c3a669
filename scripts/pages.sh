#!/usr/bin/env bash
# Every kind of page in a real browser: charts drawn, no label cut off or on another one, tables equal to the data in
# the page, sort, filter, dark and light, nothing loaded, nothing on the console. With `pictures` it also makes those of
# the README.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v chromium >/dev/null \
    || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }
cargo build --release --all-features
phantom="${CARGO_TARGET_DIR:-target}/release/phantom-gpu"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

browser() {
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile" \
        --enable-logging=stderr --window-size=1400,1000 "$@" 2>"$work/log"
}

# check NAME: the page NAME.html, in which there must be CHARTS charts at least.
check() {
    local name=$1 charts=$2 answer
    { cat "$work/$name.html"; printf '<script>'; cat scripts/pages.js; printf '</script>\n'; } >"$work/tried.html"
    browser --dump-dom --timeout=60000 "file://$work/tried.html" >"$work/dom"
    if grep CONSOLE "$work/log"; then
        echo "$name: the browser complains"
        wrong=1
    fi
    # The last lines of the page: the answer stands behind the script that gives it.
    answer=$(sed -n '/<pre id="checked">/,$p' "$work/dom" | grep -oE '(SOUND|FAULT) [^<]*' || true)
    echo "$name: ${answer:-no answer}"
    if [[ $answer != SOUND* || $(sed 's/SOUND \([0-9]*\).*/\1/' <<<"$answer") -lt $charts ]]; then
        echo "$name: at least $charts sound charts were expected"
        wrong=1
    fi
}

make_pages() {
    "$phantom" simulate traces/tiny_list/kernelslist.g 'synth:copy?bytes=64KiB' 'synth:copy?bytes=1MiB' \
        'synth:sgemm?m=256&n=256&k=256' --gpu v100 --html "$work/simulate.html" --json "$work/simulate.json"
    "$phantom" benchmark --model gpt2 --gpu v100 --precision fp16 --seq-len 128 --fidelity sampled \
        --html "$work/benchmark.html"
    "$phantom" validate --fidelity roofline --sample 300 --html "$work/validate.html"
    "$phantom" micro-benchmark --gpu v100 --only 'latency_f*,latency_w*,stream_triad' --html "$work/micro-benchmark.html"
    "$phantom" sweep configs/sweeps/l1-study.toml -o "$work/l1-study" --html "$work/sweep.html"
    local features=cache-research,dram-research,memory-research,memory-divergence-research,architecture-research
    "$phantom" research --features "$features" --variants larger-l1,mesh,half-sms traces/sgemm.pgt --gpu v100 \
        --output "$work/research.json" --html "$work/research.html"
    "$phantom" profile traces/sgemm.pgt --gpu v100 --over-time "$work/profile.csv" \
        --output "$work/profile.json" --html "$work/profile.html"
    "$phantom" correlate "$work/simulate.json" validation/profiles/ncu_raw.csv --html "$work/correlate.html"
}

# picture NAME FILE HEIGHT: the top of a page.
picture() {
    browser --window-size=1400,"$3" --screenshot="$work/$2" "file://$work/$1.html"
    [[ $(stat -c %s "$work/$2") -lt 150000 ]] || { echo "$2: larger than 150 kB" >&2; exit 1; }
    cp "$work/$2" "docs/$2"
}

make_pages >/dev/null
wrong=0
check simulate 5
check benchmark 2
check validate 2
check micro-benchmark 3
check sweep 5
check correlate 4
check research 8
check profile 5
if [[ $wrong == 0 && ${1:-} == pictures ]]; then
    picture benchmark page-model.png 900
    picture sweep page-sweep.png 900
fi
exit "$wrong"
