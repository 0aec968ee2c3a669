#!/bin/sh
# Runs the examples of docs/research.md, docs/memory-research.md, docs/divergence-research.md,
# docs/architecture-research.md, docs/profile.md and docs/energy.md: reports, pages and figures of each go to a folder of
# its name.
# usage: scripts/research.sh [FOLDER]      (default: target/research; PHANTOM_GPU names a program that is built already)
set -eu
cd "$(dirname "$0")/.."
out=${1:-target/research}
phantom=${PHANTOM_GPU:-}
if [ -z "$phantom" ]; then
    cargo build --release --features architecture-research,cache-research,dram-research \
        --features gpu-profiling-research,memory-divergence-research,memory-research
    phantom=${CARGO_TARGET_DIR:-target}/release/phantom-gpu
fi
example() {
    feature=$1
    shift
    mkdir -p "$out/$feature"
    "$phantom" research --features "$feature" "$@" \
        --output "$out/$feature/report.json" --html "$out/$feature/page.html" --latex "$out/$feature"
}
example cache-research 'synth:gather?per=4&grid=40&span=1MiB' --gpu v100 --set l1.mshrs=8
example dram-research traces/sgemm.pgt --gpu v100
example memory-research traces/sgemm.pgt --gpu v100
"$phantom" trace record traces/ptx/sm_70/11_bfs.ptx --launch traces/ptx/launch/collatz.toml -o "$out/collatz.pgt"
example memory-divergence-research "$out/collatz.pgt" --gpu v100
example gpu-profiling-research traces/sgemm.pgt --gpu v100
example architecture-research traces/sgemm.pgt --gpu v100 --threads 2 --slopes \
    --variants larger-l1,in-order-memory,mesh,ideal-interconnect,half-sms,half-hbm,lrr,ccws
out=$out/thrashing
example memory-divergence-research 'synth:sweep?bytes=64KiB&total=512KiB&grid=80&block=1024' --gpu v100 --set 'l1.carveouts_kib=[96]'
