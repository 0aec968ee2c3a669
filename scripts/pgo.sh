#!/usr/bin/env bash
# A release build guided by profiles of our own traces: the same results, faster.
#
#   scripts/pgo.sh            the binary is target/pgo/release/phantom-gpu
#
# Needs llvm-profdata of the LLVM that rustc uses: rustup component add llvm-tools
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
tools=$(rustc --print sysroot)/lib/rustlib/$host/bin
profdata=$(PATH=$tools:$PATH command -v llvm-profdata) || {
    echo "llvm-profdata is missing: rustup component add llvm-tools" >&2
    exit 1
}
target=${CARGO_TARGET_DIR:-target}/pgo
profiles=$(mktemp -d)
trap 'rm -rf "$profiles"' EXIT
# The flags of .cargo/config.toml, which RUSTFLAGS replaces.
flags="-Ctarget-cpu=x86-64-v3"
[[ $host == x86_64-* ]] || flags=""

RUSTFLAGS="$flags -Cprofile-generate=$profiles" cargo build --release --target-dir "$target-generate"
binary=$target-generate/release/phantom-gpu
for trace in alu sgemm hgemm stream; do
    "$binary" simulate "traces/$trace/kernelslist.g" --gpu v100 > /dev/null
done
"$binary" simulate 'synth:gather?per=8&grid=160' --gpu v100 > /dev/null
"$binary" simulate 'synth:hgemm?m=1024&n=1024&k=512' --gpu h100-pcie > /dev/null
"$binary" simulate 'synth:copy?bytes=16MiB' --gpu a100-80 --threads 2 > /dev/null

"$profdata" merge -o "$profiles/merged.profdata" "$profiles" || {
    echo "$profdata cannot read the profiles of $(rustc --version): rustup component add llvm-tools" >&2
    exit 1
}
RUSTFLAGS="$flags -Cprofile-use=$profiles/merged.profdata" cargo build --release --target-dir "$target"
echo "$target/release/phantom-gpu"
