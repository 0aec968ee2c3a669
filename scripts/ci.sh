#!/usr/bin/env bash
# All of CI as functions. Run one with: bash scripts/ci.sh NAME
set -euo pipefail
cd "$(dirname "$0")/.."

features=(architecture-research cache-research dram-research gpu-profiling-research memory-divergence-research
    memory-research micro-benchmarking studies)

# Nobody debugs what is built here, and lines for a debugger take the compiler time. Counts of instructions do not depend on
# them.
export CARGO_PROFILE_RELEASE_DEBUG=false

# A bare machine may lack a C compiler and make, which the compression libraries and the allocator need, and
# valgrind, which counts instructions.
prepare() {
    # Where a plain file stands in its place, build scripts fill it and clippy reads it as source text.
    if [[ ! -c /dev/null ]]; then
        mknod -m 666 /dev/null.new c 1 3 && mv -f /dev/null.new /dev/null \
            || { echo "/dev/null is not a device: repair this machine first" >&2; exit 1; }
    fi
    command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.89 or later" >&2; exit 1; }
    local missing=()
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
    command -v make >/dev/null || missing+=(make)
    command -v valgrind >/dev/null || missing+=(valgrind)
    if ((${#missing[@]})); then
        apt-get update -qq && apt-get install -y -qq "${missing[@]}"
    fi
}

fmt() { cargo fmt --check; }

# The README's test command.
tests() { cargo test --release; }

# Each golden case once: that threads and ticks do not show, the plain run has shown, and `full` shows again.
tests_all_features() { GOLDEN=once cargo test --release --all-features; }

# A minute of mutated traces and configurations; the plain test run does a few seconds of the same seeds.
fuzz() { FUZZ_SECONDS=60 cargo test --release --test fuzz_smoke; }

# Host instructions and cache misses per simulated instruction, against benches/callgrind.toml.
callgrind() { bash scripts/callgrind.sh; }

# Host instructions with all features compiled in and none used, against a plain build.
zero_cost() { bash scripts/callgrind.sh --features; }

lint() { cargo clippy --release --all-targets --all-features -- -D warnings; }

# Each feature alone, and none: definitions behind a feature must not be needed without it.
each_feature() {
    cargo clippy --release --all-targets -- -D warnings
    for feature in "${features[@]}"; do
        cargo clippy --release --features "$feature" -- -D warnings
    done
}

# The tests with each feature alone. They take some minutes each: most of that is the compiler, which optimises little here.
test_each_feature() {
    local feature
    for feature in "${features[@]}"; do
        CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=32 GOLDEN=once \
            cargo test --release --features "$feature"
    done
}

# A sweep on a real Slurm of one node, of which a shard is killed and requeued: the files of a local run.
slurm() {
    command -v sbatch >/dev/null \
        || { apt-get update -qq && apt-get install -y -qq --no-install-recommends slurm-wlm munge; }
    bash scripts/slurm.sh
}

# Every kind of page in a real browser, which the script installs where it is missing.
pages() { bash scripts/pages.sh; }

# The package of Python, which no other step needs.
python_package() {
    python3 -m venv --help >/dev/null 2>&1 \
        || { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv python3-dev; }
    cargo fmt --manifest-path python/Cargo.toml --check
    bash scripts/python.sh
}

# Instruction counts use one core, and a busy machine does not move them; so do lints and mutated input: they run side by
# side, each in a shell of its own, which ends at the first failure. What the counts printed comes when both are done.
lint_and_measure() {
    local log failed=0
    log=$(mktemp)
    bash scripts/ci.sh callgrind > "$log" 2>&1 &
    local measuring=$!
    bash scripts/ci.sh lint && bash scripts/ci.sh each_feature && bash scripts/ci.sh fuzz || failed=1
    wait "$measuring" || failed=1
    cat "$log"
    rm -f "$log"
    return "$failed"
}

all() {
    prepare
    fmt
    tests
    lint_and_measure
    tests_all_features
}

# The long runs, before an issue is called resolved: a thousand random pairs that must not hang, golden digests
# in all four ways, ten minutes of mutated input, the tests with each feature alone, and those that take minutes.
full() {
    all
    STRESS=1000 STRESS_SEED=2 cargo test --release --test stress
    GOLDEN=full cargo test --release --test golden
    GOLDEN=full cargo test --release --all-features --test golden
    FUZZ_SECONDS=600 cargo test --release --test fuzz_smoke
    test_each_feature
    cargo test --release --lib -- --ignored
    zero_cost
    slurm
    pages
    python_package
}

"${@:-all}"
