#!/usr/bin/env bash
# Proves that a sweep on a real Slurm leaves the files of a local run: a single node from Debian's packages, an array of
# four shards, one of which is killed half-way and requeued. Run as root: bash scripts/slurm.sh
# Needs: apt-get install -y --no-install-recommends slurm-wlm munge
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in sbatch slurmctld slurmd munged; do
    PATH="$PATH:/usr/sbin" command -v "$tool" >/dev/null \
        || { echo "$tool is missing: apt-get install -y --no-install-recommends slurm-wlm munge" >&2; exit 1; }
done
((EUID == 0)) || { echo "run as root: Slurm's daemons need it" >&2; exit 1; }
PATH="$PATH:/usr/sbin"
cargo build --release
program="${CARGO_TARGET_DIR:-target}/release/phantom-gpu"

work=$(mktemp -d)
host=$(hostname -s)
pids=()
# Only what was started here is ended.
cleanup() {
    ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
    wait "${pids[@]}" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

configuration() {
    mkdir -p "$work/state" "$work/spool"
    cat > "$work/slurm.conf" <<CONF
ClusterName=proof
SlurmctldHost=$host(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmUser=root
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
SchedulerParameters=batch_sched_delay=0,sched_min_interval=2000,sched_interval=1,bf_interval=1
KillWait=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=4000 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES State=UP
CONF
    export SLURM_CONF="$work/slurm.conf"
}

daemons() {
    head -c 1024 /dev/urandom > "$work/munge.key"
    chmod 400 "$work/munge.key"
    chmod 755 "$work"
    munged --foreground --force --key-file="$work/munge.key" --socket="$work/munge.socket" \
        --pid-file="$work/munged.pid" --log-file="$work/munged.log" --seed-file="$work/munged.seed" \
        > "$work/munged.out" 2>&1 &
    pids+=($!)
    sleep 1
    slurmctld -D > "$work/slurmctld.out" 2>&1 &
    pids+=($!)
    slurmd -D > "$work/slurmd.out" 2>&1 &
    pids+=($!)
    for _ in $(seq 60); do
        sinfo -h -o %t 2>/dev/null | grep -q '^idle' && return
        sleep 1
    done
    tail -n 20 "$work"/*.log "$work"/*.out >&2
    echo "Slurm's node did not become idle" >&2
    exit 1
}

# Waits until `$1` holds; says what it waited for when it does not within two minutes.
until_() {
    for _ in $(seq 1200); do
        eval "$1" && return
        sleep 0.1
    done
    squeue >&2
    echo "waited in vain for: $1" >&2
    exit 1
}

study() {
    cat > "$work/study.toml" <<TOML
name = "slurm-proof"
gpus = ["v100"]
[[workload]]
name = "gather"
synth = "synth:gather?span=160KiB&per=600&grid=8&block=128"
[[axis]]
key = "l1.mshrs"
range = { from = 64, to = 512, step = 32 }
[[axis]]
key = "sm.scheduler"
values = ["gto", "lrr"]
TOML
}

study
"$program" sweep "$work/study.toml" -o "$work/local" --jobs 1 >/dev/null
configuration
daemons
"$program" sweep "$work/study.toml" -o "$work/out" --emit slurm --shards 4 --jobs 1 > "$work/job.sh"
job=$(cd "$work" && sbatch --parsable --mem=0 job.sh)
echo "job $job: four shards"

# The first shard is killed half-way: by the system, as at a node's failure, and put into the queue again.
until_ '[[ -d "$work/out/points" && $(find "$work/out/points" -name "*.json" | wc -l) -gt 1 ]]'
until_ 'squeue -h -r -t R -o %i | grep -q "${job}_"'
task=$(squeue -h -r -t R -o %i | head -1)
scancel --signal=KILL --full "$task" || true
scontrol requeue "$task" 2>/dev/null || echo "task $task had ended already"
echo "task $task: killed and requeued with $(find "$work/out/points" -name '*.json' | wc -l) points stored"

# A requeued task waits before it may begin again; the test need not.
until_ 'for t in $(squeue -h -r -t PD -o %i); do scontrol release "$t" 2>/dev/null || true; scontrol update jobid="$t" starttime=now 2>/dev/null || true; done; [[ -z $(squeue -h) ]]'
"$program" sweep merge "$work/out" >/dev/null
diff -r --exclude=timings.csv "$work/local" "$work/out"
repeated=$(tail -n +2 "$work/out/timings.csv" | cut -d, -f1 | sort | uniq -d | wc -l)
((repeated == 0)) || { echo "$repeated points were run again after they were stored" >&2; exit 1; }
echo "the merged results are those of the local run, byte for byte"
