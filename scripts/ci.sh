#!/usr/bin/env bash
# All of CI as functions. Run one with: bash scripts/ci.sh NAME
set -euo pipefail
cd "$(dirname "$0")/.."

features=(dram-research micro-benchmarking)

# A bare machine may lack a C compiler, which the compression libraries need.
prepare() {
    # Where a plain file stands in its place, build scripts fill it and clippy reads it as source text.
    if [[ ! -c /dev/null ]]; then
        mknod -m 666 /dev/null.new c 1 3 && mv -f /dev/null.new /dev/null \
            || { echo "/dev/null is not a device: repair this machine first" >&2; exit 1; }
    fi
    command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.89 or later" >&2; exit 1; }
    if ! command -v cc >/dev/null; then
        apt-get update -qq && apt-get install -y -qq gcc libc6-dev
    fi
}

fmt() { cargo fmt --check; }

# The README's test command.
tests() { cargo test --release; }

tests_all_features() { cargo test --release --all-features; }

# A minute of mutated traces and configurations; the plain test run does a few seconds of the same seeds.
fuzz() { FUZZ_SECONDS=60 cargo test --release --test fuzz_smoke; }

lint() { cargo clippy --release --all-targets --all-features -- -D warnings; }

# Each feature alone, and none: definitions behind a feature must not be needed without it.
each_feature() {
    cargo clippy --release --all-targets -- -D warnings
    for feature in "${features[@]}"; do
        cargo clippy --release --features "$feature" -- -D warnings
    done
}

all() {
    prepare
    fmt
    tests
    fuzz
    lint
    each_feature
    tests_all_features
}

"${@:-all}"
