#!/bin/sh
# Runs the DRAM channel on every reference trace and standard, prints the error table against the transcribed
# results of two DRAM simulators (validation/dram_anchors.csv) and fails if a target is missed.
# usage: scripts/dram_anchors.sh TRACE_DIR      (a folder of NAME.txt.xz)
set -eu
[ $# -eq 1 ] && [ -d "$1" ] || { echo "usage: $0 TRACE_DIR (a folder of NAME.txt.xz request traces)" >&2; exit 2; }
traces=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
PHANTOM_DRAM_TRACES="$traces" exec cargo test --release --test validation dram_anchors:: -- --nocapture
