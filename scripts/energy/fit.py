#!/usr/bin/env python3
"""Fits the coefficients of configs/energy/volta.toml to the measured power of kernels, within their physical ranges.

    pip install numpy scipy
    python3 scripts/energy/fit.py REPORTS validation/kernels/power/power.csv

REPORTS is a folder with the report of each kernel (`phantom-gpu simulate ... --json REPORTS/NAME.json`, at the core clock
at which the power was measured). Relative errors are least squares; a pull of a tenth towards the middle values of the
literature keeps coefficients that no kernel tells apart where physics has them. Printed are the coefficients, and each
kernel's error when its application is left out of the fit. Building and testing the project never needs this script.
"""

import csv
import json
import pathlib
import sys

import numpy
from scipy.optimize import lsq_linear

# Name: value of the literature, least and greatest physical value; the sources are in the table that is made.
PRIORS = {
    "constant_w": (45, 25, 80),
    "sm_static_w": (0.6, 0.2, 1.2),
    "front_end_pj": (150, 20, 800),
    "operand_pj": (20, 5, 80),
    "fma_lane_pj": (2, 0.8, 6),
    "alu_lane_pj": (0.8, 0.1, 4),
    "fp16_lane_pj": (1.6, 0.5, 5),
    "fp64_lane_pj": (6, 2, 25),
    "xu_lane_pj": (6, 1, 30),
    "tensor_cycle_pj": (140, 60, 300),
    "shared_pass_pj": (400, 100, 2500),
    "l1_sector_pj": (150, 30, 700),
    "noc_byte_pj": (8, 2, 30),
    "l2_sector_pj": (200, 60, 1500),
    "activate_byte_pj": (0.89, 0.4, 1.5),
    "bit_pj": (4.5, 3.5, 7),
}
IDLE_SM_SHARE = 0.3
PULL = 0.1
ROW_BYTES = 1024


def watts(report):
    """What a unit of each coefficient adds to the average power of the report's first kernel."""
    kernel = report["kernels"][0]
    cycles = kernel["counted_cycles"]
    seconds = cycles / (report["config"]["gpu"]["core_clock_khz"] * 1e3)
    sm, lsu, l1 = kernel["sm"], kernel["lsu"], kernel["l1"]
    noc, l2, dram = kernel["noc"], kernel["l2"], kernel["dram"]
    pipe = {name: use["instructions"] for name, use in kernel["pipes"].items()}
    operands = (
        4 * (pipe["fma"] + pipe["fp16"]) + 3 * (pipe["alu"] + pipe["lsu"]) + 8 * pipe["fp64"] + 2 * pipe["xu"]
    )
    lanes = sm["lanes_per_instruction"]
    events = {
        "front_end_pj": sm["warp_instructions"],
        "operand_pj": operands - sm["regfile_reuse_hits"],
        "fma_lane_pj": pipe["fma"] * lanes,
        "alu_lane_pj": pipe["alu"] * lanes,
        "fp16_lane_pj": pipe["fp16"] * lanes,
        "fp64_lane_pj": pipe["fp64"] * lanes,
        "xu_lane_pj": pipe["xu"] * lanes,
        "tensor_cycle_pj": sm["tensor_busy_cycles"],
        "shared_pass_pj": lsu["shared_passes"] + lsu["shuffle_instructions"],
        "l1_sector_pj": sum(
            l1[name] for name in ("sector_reads", "sector_writes", "sector_local_writes", "sector_misses")
        ),
        "noc_byte_pj": noc["request_bytes"] + noc["reply_bytes"],
        "l2_sector_pj": sum(l2[name] for name in ("sector_reads", "sector_writes", "sector_atomics", "fills")),
        "activate_byte_pj": dram["activates"] * ROW_BYTES,
        "bit_pj": 256 * sum(dram[name] for name in ("reads", "writes", "ecc_reads", "ecc_writes")),
    }
    parts = {name: count * 1e-12 / seconds for name, count in events.items()}
    parts["constant_w"] = 1.0
    parts["sm_static_w"] = (sm["active_cycles"] + IDLE_SM_SHARE * sm["sm_cycles"]["idle"]) / cycles
    return [parts[name] for name in PRIORS]


def fit(rows, measured):
    middle, least, most = numpy.array(list(PRIORS.values()), float).T
    system = numpy.vstack([rows / measured[:, None], numpy.diag(PULL / middle)])
    target = numpy.concatenate([numpy.ones(len(measured)), numpy.full(len(middle), PULL)])
    return lsq_linear(system, target, bounds=(least, most)).x


def main():
    folder, table = pathlib.Path(sys.argv[1]), sys.argv[2]
    with open(table, newline="") as file:
        measured_w = {row["kernel"]: float(row["measured_w"]) for row in csv.DictReader(file)}
    names = [name for name in measured_w if (folder / f"{name}.json").exists()]
    rows = numpy.array([watts(json.loads((folder / f"{name}.json").read_text())) for name in names])
    measured = numpy.array([measured_w[name] for name in names])
    found = fit(rows, measured)
    for name, value in zip(PRIORS, found):
        print(f"{name} = {value:.4g}")
    application = [name.rsplit("_k", 1)[0] for name in names]
    print("kernel,measured_w,fitted_w,left_out_w,left_out_error_percent")
    errors = []
    for at, name in enumerate(names):
        others = [i for i in range(len(names)) if application[i] != application[at]]
        left_out = rows[at] @ fit(rows[others], measured[others])
        error = 100 * (left_out / measured[at] - 1)
        errors.append(abs(error))
        print(f"{name},{measured[at]:.1f},{rows[at] @ found:.1f},{left_out:.1f},{error:.1f}")
    print(f"mean absolute error: {numpy.mean(abs(100 * (rows @ found / measured - 1))):.1f} %")
    print(f"leaving its application out: {numpy.mean(errors):.1f} %, of {len(names)} kernels")


if __name__ == "__main__":
    main()
