"""The wheel gives the numbers of the command line, says what is wrong, and can be interrupted."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import phantom_gpu
import pytest

ROOT = pathlib.Path(__file__).parents[2]
TINY = ROOT / "traces" / "tiny.pgt"
LONG = "synth:gemm?m=4096&n=4096&k=4096"


def without_times(report):
    return {key: value for key, value in report.items() if key != "simulation"}


def test_a_trace_has_cycles_and_keys_have_effects():
    report = phantom_gpu.simulate(gpu="v100", trace=TINY)
    assert report["kernels"][0]["cycles"] > 0
    other = phantom_gpu.Session("v100").with_set(l2__hit_latency=400).simulate(TINY)
    assert other["totals"]["cycles"] > report["totals"]["cycles"]


@pytest.mark.skipif("PHANTOM_GPU" not in os.environ, reason="names the command in PHANTOM_GPU")
def test_the_numbers_are_those_of_the_command_and_take_no_longer():
    words = [os.environ["PHANTOM_GPU"], "simulate", str(TINY), "--gpu", "v100", "--json", "-"]
    begun = time.perf_counter()
    done = subprocess.run(words, capture_output=True, check=True)
    by_command = time.perf_counter() - begun
    begun = time.perf_counter()
    report = phantom_gpu.simulate(TINY, gpu="v100")
    by_call = time.perf_counter() - begun
    by_command_report = json.loads(done.stdout)
    # The features of a build are said in its report; those of the wheel may be others.
    for one in (report, by_command_report):
        one["tool"].pop("features")
    assert without_times(report) == without_times(by_command_report)
    print(f"call {by_call * 1e3:.1f} ms, command {by_command * 1e3:.1f} ms")


def test_faults_have_the_status_of_the_command():
    with pytest.raises(phantom_gpu.PhantomGpuError, match="no such GPU") as fault:
        phantom_gpu.simulate(TINY, gpu="no-such-gpu")
    assert fault.value.status == 2
    with pytest.raises(phantom_gpu.PhantomGpuError, match="nothing.pgt") as fault:
        phantom_gpu.simulate("nothing.pgt", gpu="v100")
    assert fault.value.status == 1
    with pytest.raises(phantom_gpu.PhantomGpuError, match="no_such|no-such"):
        phantom_gpu.simulate(TINY, gpu="v100", no_such_option=1)


def test_commands_of_two_words_are_commands():
    assert "tiny" in phantom_gpu.command("trace info", TINY)


def test_a_model_has_layers():
    report = phantom_gpu.benchmark("bert-base", "a100-80", fidelity="roofline", precision="fp16")
    assert report["layers"] and report["model"]["latency_ms"] > 0


def test_research_has_the_sections_of_its_features():
    features = ["architecture-research", "dram-research"]
    report = phantom_gpu.research(
        TINY, gpu="v100", features=features, variants=["gto", "larger-l1"], slopes="dram-clock"
    )
    assert sorted(report["research"]) == ["architecture", "dram"]
    section = report["research"]["architecture"]
    assert [row["name"] for row in section["variants"]] == ["gto", "larger-l1"]
    assert section["slopes"][0]["step_percent"] == pytest.approx(10, abs=0.1)
    with pytest.raises(phantom_gpu.PhantomGpuError, match="larger-l1") as fault:
        phantom_gpu.research(TINY, gpu="v100", features="architecture-research", variants="larger-l")
    assert fault.value.status == 2


def test_two_threads_simulate_at_once():
    reports = [None, None]

    def one(at):
        reports[at] = phantom_gpu.simulate(TINY, gpu="v100")

    threads = [threading.Thread(target=one, args=(at,)) for at in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert without_times(reports[0]) == without_times(reports[1])


def test_ctrl_c_ends_a_simulation():
    code = f"import phantom_gpu; phantom_gpu.simulate({LONG!r}, gpu='v100')"
    # A job in the background of a shell ignores the signal, and so would all that it starts.
    heeds = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, preexec_fn=heeds)
    time.sleep(3)
    begun = time.perf_counter()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in errors
    assert time.perf_counter() - begun < 30


def test_a_sweep_gives_rows_reports_and_metrics(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(
        f"""name = "study"
gpus = ["v100"]
[[workload]]
trace = "{TINY}"
[[axis]]
key = "l2.hit_latency"
values = [60, 400]
"""
    )
    study = phantom_gpu.sweep(file, tmp_path / "out", jobs=2)
    rows = study.rows()
    assert [row["l2.hit_latency"] for row in rows] == ["60", "400"]
    cycles = study.metric(lambda report: report["totals"]["cycles"])
    assert cycles == [int(row["cycles"]) for row in rows]
    assert cycles[0] < cycles[1]
    assert study.summary["points"] == 2
    halves = [tmp_path / "half-0", tmp_path / "half-1"]
    for at, half in enumerate(halves):
        phantom_gpu.sweep(file, half, shard=f"{at}/2")
    both = phantom_gpu.merge(*halves, output=tmp_path / "both")
    assert pathlib.Path(both.csv).read_bytes() == pathlib.Path(study.csv).read_bytes()
    pytest.importorskip("pyarrow")
    assert study.table().num_rows == 2


def test_kernels_are_flat_rows_and_metrics_are_functions():
    report = phantom_gpu.simulate(TINY, gpu="v100")
    row = phantom_gpu.kernels(report)[0]
    assert row["l1.sector_hits"] == report["kernels"][0]["l1"]["sector_hits"]
    found = phantom_gpu.metrics([report], ipc=lambda r: r["kernels"][0]["ipc"])
    assert found == [{"ipc": report["kernels"][0]["ipc"]}]
