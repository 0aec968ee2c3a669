#!/usr/bin/env python3
"""Runs the kernels of microbench/ptx on a real GPU and writes the numbers under the simulator's names.

    phantom-gpu micro-benchmark --gpu h100-pcie --json simulated.json
    python3 scripts/hw/run.py --gpu h100-pcie --like simulated.json -o hardware.json
    phantom-gpu correlate simulated.json hardware.json

Needs an NVIDIA driver and Python 3.8; no toolkit, no packages. Clocks are recorded, not set: lock them with
`nvidia-smi -lgc` for cycles that can be compared with DRAM. --counters adds Nsight Compute metrics when `ncu` is there.
"""

import argparse
import array
import json
import random
import shutil
import statistics
import subprocess
import sys
import time
from ctypes import c_uint32, c_uint64
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from cuda import ATTRIBUTES, CudaError, Device  # noqa: E402

PTX = Path(__file__).resolve().parents[2] / "microbench" / "ptx"
REPETITIONS = 7
LATENCIES = "ffma fadd fmul iadd3 imad lop3 shf prmt popc shfl hfma2 dadd dfma mufu_ex2".split()
RATES = "ffma fadd fmul iadd3 imad lop3 shf prmt popc shfl hfma2 dadd dfma mufu_ex2".split()
RATE_NAMES = {"mufu_ex2": "mufu"}


class Kit:
    """Device, loaded kernels, results."""

    def __init__(self, ordinal):
        self.device = Device(ordinal)
        self.facts = {name: self.device.attribute(number) for name, number in ATTRIBUTES.items()}
        self.modules = {}
        self.out = self.device.allocate(4096)
        self.results = []
        self.failed = []
        # Parameters of curves that a file of simulated results has, by name.
        self.like = {}

    def kernel(self, file, name):
        if file not in self.modules:
            self.modules[file] = self.device.module((PTX / file).read_text())
        return self.device.function(self.modules[file], name)

    def points(self, name, default):
        """Parameters at which the curve `name` is measured: those of the simulated one, else `default`."""
        return self.like.get(name) or [str(p) for p in default]

    def add(self, name, value, unit, parameter=""):
        self.results.append({"name": name, "parameter": parameter, "simulated": value, "unit": unit})
        print(f"{name:24} {parameter:14} {value:12.4g} {unit}", flush=True)

    def cycles(self, function, grid, block, arguments):
        """What the kernel wrote to out[0], median of repetitions after a warm-up."""
        samples = []
        for repetition in range(REPETITIONS + 1):
            self.device.launch(function, grid, block, arguments)
            self.device.synchronize()
            if repetition:
                samples.append(self.device.read_u64(self.out)[0])
        return statistics.median(samples)

    def slope(self, function, grid, block, arguments, few, many):
        """Cycles a trip: two trip counts subtracted. Arguments are `out`, here the trips, and the rest."""
        taken = []
        for trips in (few, many):
            full = [arguments[0], c_uint32(trips), *arguments[1:]]
            taken.append(self.cycles(function, grid, block, full))
        return (taken[1] - taken[0]) / (many - few)

    def milliseconds(self, function, grid, block, arguments, shared=0, repetitions=REPETITIONS):
        """Time of a launch by events, median after a warm-up."""
        start, stop = self.device.event(), self.device.event()
        samples = []
        for repetition in range(repetitions + 1):
            self.device.record(start)
            self.device.launch(function, grid, block, arguments, shared)
            self.device.record(stop)
            taken = self.device.milliseconds(start, stop)
            if repetition:
                samples.append(taken)
        return statistics.median(samples)


def alu(kit):
    out = c_uint64(kit.out)
    for op in LATENCIES:
        function = kit.kernel("latency.ptx", f"latency_{op}")
        kit.add(f"latency_{op}", kit.slope(function, 1, 32, [out], 64, 192) / 128, "cycles")
    for op in RATES:
        function = kit.kernel("rate.ptx", f"rate_{op}")
        cycles = kit.slope(function, 1, 1024, [out], 32, 96)
        kit.add(f"rate_{RATE_NAMES.get(op, op)}", 128 * 32 / cycles, "warp inst/clk/SM")


def shared(kit):
    out = c_uint64(kit.out)
    function = kit.kernel("shared.ptx", "shared_chase")
    for ways in map(int, kit.points("shared_conflicts", (1, 2, 4, 8, 16, 32))):
        if ways not in (1, 2, 4, 8, 16, 32):
            continue
        cycles = kit.slope(function, 1, 32, [out, c_uint32(ways)], 16, 48) / 64
        kit.add("shared_conflicts", cycles, "cycles", str(ways))
        if ways == 1:
            kit.add("shared_latency", cycles, "cycles")
    function = kit.kernel("shared.ptx", "barrier")
    for warps in map(int, kit.points("barrier", (1, 2, 4, 6, 8, 16, 32))):
        kit.add("barrier", kit.slope(function, 1, 32 * warps, [out], 16, 48) / 16, "cycles", str(warps))


def atomics(kit):
    buffer = kit.device.allocate(4096)
    kit.device.zero(buffer, 4096)
    # Name, kernel, threads, bytes between lanes.
    cases = [
        ("atomic_global", "atomic_global", 1, 128),
        ("atomic_global_same", "atomic_global", 32, 0),
        ("atomic_shared", "atomic_shared", 32, 4),
        ("atomic_shared_same", "atomic_shared", 32, 0),
    ]
    for name, kernel, block, stride in cases:
        arguments = [c_uint64(kit.out), c_uint64(buffer), c_uint32(stride)]
        function = kit.kernel("atomics.ptx", kernel)
        kit.add(name, kit.slope(function, 1, block, arguments, 16, 48) / 32, "cycles")
    kit.device.free(buffer)


def matrix(kit):
    if kit.facts["major"] < 8:
        return
    function = kit.kernel("mma.ptx", "mma_16816")
    cycles = kit.slope(function, 1, 32, [c_uint64(kit.out)], 16, 48) / 32
    kit.add("latency_hmma_16816_f32", cycles, "cycles")


def ring(kit, buffer, lines):
    """A random cycle over lines 128 B apart."""
    order = list(range(lines))
    random.Random(lines).shuffle(order)
    words = array.array("Q", bytes(lines * 128))
    for at in range(lines):
        words[order[at] * 16] = buffer + order[(at + 1) % lines] * 128
    kit.device.write(buffer, words)
    return buffer + order[0] * 128


def chases(kit, sizes):
    sizes = [int(float(p)) for p in kit.points("latency_working_set", sizes)]
    buffer = kit.device.allocate(max(sizes) * 1024)
    function = kit.kernel("memory.ptx", "chase")
    out = c_uint64(kit.out)
    for kib in sizes:
        lines = kib * 8
        start = c_uint64(ring(kit, buffer, lines))
        # A lap and more before the few loads, so that both counts find warm caches.
        few = max(256, lines // 32)
        cycles = kit.slope(function, 1, 1, [out, start], few, few + 2048) / 32
        kit.add("latency_working_set", cycles, "cycles", str(kib))
    kit.device.free(buffer)


def caches(kit, clock_ghz):
    sms, l2 = kit.facts["sms"], kit.facts["l2_bytes"]
    buffer = kit.device.allocate(max(4 * l2, 64 << 20))
    kit.device.zero(buffer, max(4 * l2, 64 << 20))
    function = kit.kernel("memory.ptx", "sweep")
    for kib in map(int, kit.points("l1l2_bandwidth", (32, 64, 96, 512, 2048, l2 // 4096, l2 // 2048))):
        size = kib * 1024
        if size > max(4 * l2, 64 << 20):
            break
        rounds = max(2, (64 << 20) // size)
        arguments = [c_uint64(buffer), c_uint64(kit.out), c_uint64(size), c_uint32(rounds), c_uint64(0)]
        taken = kit.milliseconds(function, sms, 512, arguments)
        kit.add("l1l2_bandwidth", size * rounds * sms / taken / 1e6, "GB/s", str(kib))
    function = kit.kernel("memory.ptx", "chunks")
    for kib in map(int, kit.points("l2_bandwidth", [512 * c for c in (4, 7, 13, 25, 49, 97, 193)])):
        count = kib // 512
        if count * 524288 > max(4 * l2, 64 << 20):
            break
        grid = 20000
        taken = kit.milliseconds(function, grid, 1024, [c_uint64(buffer), c_uint64(kit.out), c_uint32(count)])
        kit.add("l2_bandwidth", grid * 524288 / taken / 1e6, "GB/s", str(count * 512))
    kit.device.free(buffer)


def streams(kit):
    count = 64 << 20
    arrays = [kit.device.allocate(8 * count) for _ in range(4)]
    for one in arrays:
        kit.device.zero(one, 8 * count)
    arguments = [c_uint64(a) for a in arrays] + [c_uint64(count)]
    # sm_90 references count two loads.
    kernels = [("init", 8), ("read", 8), ("scale", 16), ("add", 24) if kit.facts["major"] == 9 else ("triad", 32)]
    most = kit.facts["threads_per_sm"]
    points = [(32, 1), (64, 1), (96, 1), (64, 2), (128, 2), (192, 2), (256, 2), (384, 2), (512, 2), (768, 2), (1024, 2)]
    for kernel, size in kernels:
        function = kit.kernel("stream.ptx", f"stream_{kernel}")
        name = "stream_triad" if kernel == "add" else f"stream_{kernel}"
        for point in kit.points(name, [f"{b}x{c}" for b, c in points]):
            block, per_sm = map(int, point.split("x"))
            if block * per_sm > most:
                continue
            # More shared memory, until no more than the wanted CTAs fit.
            spoiler = 1024
            while kit.device.occupancy(function, 32, spoiler) > per_sm:
                spoiler += 256
                kit.device.set_shared(function, spoiler, 5)
            grid = (count + block - 1) // block
            taken = kit.milliseconds(function, grid, block, arguments, spoiler)
            kit.add(name, count * size / taken / 1e6, "GB/s", point)
    for one in arrays:
        kit.device.free(one)


def launches(kit):
    function = kit.kernel("stream.ptx", "empty")
    for blocks, threads in ((1, 32), (1, 1024), (1024, 256), (8192, 256), (8192, 1024)):
        start, stop = kit.device.event(), kit.device.event()
        number = 200
        kit.device.launch(function, blocks, threads, [])
        kit.device.synchronize()
        kit.device.record(start)
        for _ in range(number):
            kit.device.launch(function, blocks, threads, [])
        kit.device.record(stop)
        taken = kit.device.milliseconds(start, stop) * 1000 / number
        kit.add("empty_kernel_back_to_back", taken, "us", f"{blocks}x{threads}")


def clocks():
    """Clocks and driver as nvidia-smi gives them; empty without it."""
    if not shutil.which("nvidia-smi"):
        return {}
    fields = "name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,temperature.gpu,power.draw,persistence_mode,ecc.mode.current"
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        text = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (subprocess.SubprocessError, OSError):
        return {}
    lines = text.strip().splitlines()
    return dict(zip(fields.split(","), [v.strip() for v in lines[0].split(",")])) if lines else {}


def counters(only):
    """Nsight Compute metrics of a short run of this script, as its CSV; empty without ncu."""
    if not shutil.which("ncu"):
        return ""
    metrics = ",".join(
        [
            "sm__cycles_elapsed.max",
            "smsp__inst_executed.sum",
            "l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum",
            "l1tex__t_sectors_pipe_lsu_mem_global_op_ld_lookup_hit.sum",
            "l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum",
            "lts__t_sectors_op_read.sum",
            "lts__t_sectors_op_write.sum",
            "dram__bytes_read.sum",
            "dram__bytes_write.sum",
        ]
    )
    command = ["ncu", "--csv", "--metrics", metrics, "--launch-count", "40", sys.executable, __file__, "--only", only]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=240).stdout
    except (subprocess.SubprocessError, OSError):
        return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", default="", help="name of the simulator's configuration, for the file")
    parser.add_argument("--device", type=int, default=0)
    parser.add_argument("-o", "--output", default="")
    parser.add_argument("--only", default="", help="alu,shared,atomics,matrix,chases,caches,streams,launches")
    parser.add_argument("--like", default="", help="simulated results (JSON): measure curves at the same points")
    parser.add_argument("--counters", action="store_true", help="add Nsight Compute counters when ncu is there")
    options = parser.parse_args()
    begun = time.time()
    like = {}
    try:
        if options.like:
            for row in json.loads(Path(options.like).read_text())["results"]:
                like.setdefault(row["name"], []).append(row["parameter"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"{options.like}: not a file of simulated results ({error})", file=sys.stderr)
        return 1
    try:
        kit = Kit(options.device)
    except CudaError as error:
        print(error, file=sys.stderr)
        return 1
    kit.like = like
    before = clocks()
    ghz = kit.facts["clock_khz"] / 1e6
    l2 = kit.facts["l2_bytes"] // 1024
    sizes = sorted({4, 16, 32, 64, 96, 112, 128, 160, 192, 256, 512, 1024, 2048, l2 // 4, l2 // 2, l2 * 3 // 4, l2, l2 * 2})
    sizes += [size for size in (131072, 262144) if size > sizes[-1]]
    parts = {
        "alu": lambda: alu(kit),
        "shared": lambda: shared(kit),
        "atomics": lambda: atomics(kit),
        "matrix": lambda: matrix(kit),
        "chases": lambda: chases(kit, sizes),
        "caches": lambda: caches(kit, ghz),
        "streams": lambda: streams(kit),
        "launches": lambda: launches(kit),
    }
    wanted = options.only.split(",") if options.only else list(parts)
    for name in wanted:
        try:
            parts[name]()
        except CudaError as error:
            kit.failed.append(f"{name}: {error}")
            print(f"{name}: {error}", file=sys.stderr)
    report = {
        "gpu": options.gpu or kit.device.name(),
        "results": kit.results,
        "device": {
            "name": kit.device.name(),
            "driver": kit.device.driver(),
            "facts": kit.facts,
            "clocks_before": before,
            "clocks_after": clocks(),
        },
        "repetitions": REPETITIONS,
        "seconds": round(time.time() - begun, 1),
        "failed": kit.failed,
        "counters_csv": counters("alu,shared") if options.counters else "",
    }
    if options.output:
        partial = Path(options.output + ".partial")
        partial.write_text(json.dumps(report, indent=1))
        partial.replace(options.output)
    return 1 if kit.failed else 0


if __name__ == "__main__":
    sys.exit(main())
