"""Measures how training scales on this machine, and predicts how it would on TPU chips, for docs/scaling.md.

    python scripts/scaling.py [--config=configs/cnn.py]   # measures, and writes experiments/scaling.json and the tables
    python scripts/scaling.py --again                     # keeps the faster of each, as other work slows a machine down
    python scripts/scaling.py --tables [--check]          # only the tables; --check: exit with 1 if they would change

Virtual devices and processes share this machine's processors, so they show what the exchange costs, and no gain.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import launch_local
import numpy as np
import readme_table

ROOT = Path(__file__).resolve().parent.parent
RESULTS, PAGE = ROOT / "experiments" / "scaling.json", ROOT / "docs" / "scaling.md"
LAYOUTS = [("devices", 1, n, 1, 1, "map") for n in (1, 2, 4, 8)]
LAYOUTS += [("processes", n, 1, 1, 1, "map") for n in (2, 4)]
LAYOUTS += [("seeds", 1, 1, 1, n, how) for how in ("map", "vmap") for n in (2, 4, 8)]
LAYOUTS += [("seed groups", 1, n, n, 8, "map") for n in (2, 4, 8)]
ELEMENTS = re.compile(r" = (.+?) all-reduce(?:-start)?\(")

# A TPU v5e chip, by its vendor's figures; the two latencies and the share of the peak are assumptions.
CHIP = {"tflops": 197.0, "hbm_gbps": 819.0, "ici_gbps": 200.0, "hop_us": 1.0, "launch_us": 5.0, "share_of_peak": 0.2}


def worker(args: argparse.Namespace) -> None:
    """Measures one layout in this process of the job; the main process prints a line of JSON."""
    from hwr_jax import data
    from hwr_jax.benchmarks import measure
    from hwr_jax.config import configs
    from hwr_jax.distributed import processes
    from hwr_jax.steps.run import compile_training, make_run
    from hwr_jax.workdir import machine

    machine.spare_threads()
    if args.processes > 1:
        processes.start(args.coordinator, args.processes, args.process)
    config = configs.load(args.config, {"seeds": args.seeds, "over_seeds": args.how})
    dataset = processes.main_process_first(lambda: data.load(config.data.name, log=lambda line: None))
    found = measure.training(config, dataset, steps=args.steps, devices=0, seed_groups=args.groups)
    run = make_run(config, dataset, seed_groups=args.groups)
    text = compile_training(run)[0].steps.as_text()
    reduced = [
        sum(math.prod(map(int, re.findall(r"\d+", shape))) for shape in re.findall(r"f32\[([\d,]*)\]", match[1]))
        for match in ELEMENTS.finditer(text)
    ]
    if processes.is_main_process():
        print(json.dumps({**found, "all_reduces": len(reduced), "all_reduced_bytes": 4 * sum(reduced)}), flush=True)
    processes.end()


def layout(args: argparse.Namespace, processes: int, devices: int, groups: int, seeds: int, how: str) -> dict:
    """Measures a layout in new processes."""
    port = launch_local.free_port()
    flags = os.environ.get("XLA_FLAGS", "") + f" --xla_force_host_platform_device_count={devices}"
    env = {**os.environ, "XLA_FLAGS": flags.strip()}
    common = [f"--{k}={v}" for k, v in (("config", args.config), ("steps", args.steps), ("how", how))]
    common += [f"--processes={processes}", f"--seeds={seeds}", f"--groups={groups}"]
    common += [f"--coordinator=127.0.0.1:{port}"] if processes > 1 else []
    line = [sys.executable, __file__, "--worker", *common]
    started = [
        subprocess.Popen([*line, f"--process={i}"], env=env, stdout=subprocess.PIPE, text=True)
        for i in range(processes)
    ]
    out = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError(f"{processes} processes of {devices} devices failed")
    return json.loads(out[0].splitlines()[-1])


def plan(one: dict, *, chips: int, per_chip: int) -> dict[str, tuple[float, float]]:
    """Predicts a data-parallel step by the formula in docs/scaling.md.

    Args:
      one: a measured line: flops_per_image, flops_per_byte, all_reduces, all_reduced_bytes.
      chips: n.
      per_chip: b, images of the batch on each chip.

    Returns:
      Lower and upper bound of each: seconds of work and of exchange, images per second, efficiency.
    """
    flops = one["flops_per_image"] * per_chip
    compute = flops / (CHIP["share_of_peak"] * CHIP["tflops"] * 1e12)
    memory = flops / one["flops_per_byte"] / (CHIP["hbm_gbps"] * 1e9)
    bandwidth = 2 * (chips - 1) / chips * one["all_reduced_bytes"] / (CHIP["ici_gbps"] * 1e9)
    hops = 2 * 2 * (chips**0.5 - 1)  # a ring, each way, along both sides of a square
    latency = one["all_reduces"] * (hops * CHIP["hop_us"] + CHIP["launch_us"]) * 1e-6 if chips > 1 else 0.0
    exchange, work = bandwidth + latency, (compute, max(compute, memory))
    slow, fast = (chips * per_chip / (seconds + exchange) for seconds in reversed(work))
    worst, best = (seconds / (seconds + exchange) for seconds in work)
    return {"work": work, "exchange": (exchange, exchange), "rate": (slow, fast), "efficiency": (worst, best)}


def measured(found: dict) -> list[str]:
    """Returns the lines of the measured table."""
    base = found["layouts"][0]["images_per_second"]
    lines = ["| axis | processes x devices | seeds | images/s | of one device |", "|---|---|---|---|---|"]
    for line in found["layouts"]:
        how = f" ({line['how']})" if line["seeds"] > 1 else ""
        shape = f"{line['processes']} x {line['devices']}"
        rate = line["images_per_second"]
        lines.append(f"| {line['axis']} | {shape} | {line['seeds']}{how} | {rate:,.0f} | {rate / base:.2f} |")
    return lines


def planned(found: dict) -> list[str]:
    """Returns the lines of the planned table."""
    shared = next(line for line in found["layouts"] if line["devices"] == 8)
    lines = ["| chips | images a chip | batch | work, us | exchange, us | million images/s | efficiency |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for per_chip in (128, 4096):
        for chips in (1, 8, 64, 1024):
            line = plan(shared, chips=chips, per_chip=per_chip)
            work = "{:,.0f} to {:,.0f}".format(*np.multiply(line["work"], 1e6))
            rate = "{:.2f} to {:,.1f}".format(*np.divide(line["rate"], 1e6))
            share = "{:.0f} to {:.0f} %".format(*np.multiply(line["efficiency"], 100))
            exchange = f"{1e6 * line['exchange'][0]:,.0f}"
            lines.append(
                f"| {chips:,} | {per_chip:,} | {chips * per_chip:,} | {work} | {exchange} | {rate} | {share} |"
            )
    return lines


def main() -> int:
    """Measures, predicts and writes; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default=str(ROOT / "configs" / "cnn.py"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--again", action="store_true", help="keep the faster of this measurement and the last")
    parser.add_argument("--tables", action="store_true", help="measure nothing")
    parser.add_argument("--check", action="store_true", help="with --tables: change nothing")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--coordinator", default="", help=argparse.SUPPRESS)
    for name, default in (("processes", 1), ("process", 0), ("groups", 1), ("seeds", 1)):
        parser.add_argument(f"--{name}", type=int, default=default, help=argparse.SUPPRESS)
    parser.add_argument("--how", default="map", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(args)
        return 0
    if not args.tables:
        layouts, before = [], json.loads(RESULTS.read_text())["layouts"] if args.again else None
        for axis, processes, devices, groups, seeds, how in LAYOUTS:
            line = layout(args, processes, devices, groups, seeds, how)
            own = {"axis": axis, "processes": processes, "devices": devices, "groups": groups, "how": how}
            earlier = before[len(layouts)] if before else line
            layouts.append({**own, **max(line, earlier, key=lambda x: x["images_per_second"])})
            print(
                f"{axis}: {processes} x {devices}, {seeds} seeds: {line['images_per_second']:,.0f} images/s", flush=True
            )
        found = {"config": Path(args.config).name, "cores": os.cpu_count(), "layouts": layouts}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    found, script = json.loads(RESULTS.read_text()), Path(__file__).name
    codes = [
        readme_table.put(name, script, lines(found), check=args.check, page=PAGE)
        for name, lines in (("measured", measured), ("planned", planned))
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
