"""fastcnn against PyTorch and ONNX Runtime: the same nets, data and threads, in turns.

    python bench/compare.py --peer-python ~/torch-env/bin/python
    python bench/compare.py --quick --nets lenet5 --parts steps
    python bench/compare.py --parts threads --neighbours 2

Peers run in the interpreter of --peer-python, $FASTCNN_PEER_PYTHON, or this one; those that are not
installed there stay away. Figures are medians over rounds in which each competitor ran once while
the others were suspended; ratios are medians of the rounds' ratios, above 1 if fastcnn is faster.
A full run takes about a quarter of an hour, most of it for what torch.compile compiles.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import competitors
from competitors import FASTCNN, ONNX, SGEMM, TORCH, Competitor, Entry, Result, Setting
from disturbance import CpuContention
from neighbours import busy
from tables import Rate, Row, show, threads_name

NETS = ("lenet5", "caffe-lenet", "cifar-small", "resnet20")
TINY = "tiny"
PARTS = ("steps", "threads", "kernels", "memory", "startup")
SGEMM_SIZE = 2048
SGEMM_FLOPS = 2 * SGEMM_SIZE**3
DIRECTIONS = ("forward", "dx", "dw")
KERNEL_BATCH = 32
OTHERS = CpuContention()
KERNEL_FLOPS = 2 * KERNEL_BATCH * 28 * 28 * 64 * 64 * 3 * 3


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nets", nargs="+", choices=NETS, default=NETS, metavar="NET")
    parser.add_argument(
        "--modes", nargs="+", choices=("train", "infer"), default=("train", "infer")
    )
    parser.add_argument("--batch", nargs="+", type=int, metavar="N", help="default: 32 128, and 1")
    parser.add_argument("--repeat", type=int, default=7, metavar="N", help="rounds (default 7)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a competitor in a round")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), metavar="N")
    parser.add_argument(
        "--neighbours", type=int, default=0, metavar="N", help="busy programs beside the steps"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--without", nargs="+", default=(), metavar="VARIANT", help="e.g. compile")
    parser.add_argument("--peer-python", metavar="PATH", help="the peers' interpreter")
    parser.add_argument("--json", metavar="FILE", help="also write everything measured")
    parser.add_argument("--quick", action="store_true", help="3 short rounds, nothing compiled")
    args = parser.parse_args()
    if args.quick:
        args.repeat, args.seconds = 3, 0.2
        args.without = ("compile", "compile channels-last")
    return args


def machine(setting: Setting, neighbours: int) -> dict[str, Any]:
    """What the figures were taken on."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": setting.threads,
        "system": platform.platform(),
        "neighbours": neighbours,
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def start(setting: Setting) -> list[Competitor]:
    """fastcnn, the ceiling, and the peers that are installed."""
    running = [Competitor(FASTCNN, setting), Competitor(SGEMM, setting)]
    for kind in (TORCH, ONNX):
        try:
            running.append(Competitor(kind, setting))
        except RuntimeError as absence:
            print(f"{kind.name} does not race: {absence}", file=sys.stderr)
    return running


def check_nets(running: list[Competitor]) -> None:
    """RuntimeError unless a net means the same network to every competitor."""
    for net in (*NETS, TINY):
        counts = {
            competitor.name: competitor.about["weights"][net]
            for competitor in running
            if "weights" in competitor.about
        }
        if len(set(counts.values())) > 1:
            raise RuntimeError(f"the competitors' {net} differ in their weights: {counts}")


def steps(args: argparse.Namespace, running: list[Competitor]) -> list[Row]:
    """Time of a training step and of an inference, every net and batch size."""
    return [
        race_net(args, running, net, mode, batch)
        for net in args.nets
        for mode in args.modes
        for batch in args.batch or ((1, 32, 128) if mode == "infer" else (32, 128))
    ]


def race_net(
    args: argparse.Namespace, running: list[Competitor], net: str, mode: str, batch: int
) -> Row:
    """One net, mode and batch size, by every competitor."""
    nets = [competitor for competitor in running if competitor.name != SGEMM.name]
    field = competitors.entries(nets, net, mode, batch)
    field = [entry for entry in field if entry.variant not in args.without]
    print(f"{net}, {mode}, batch {batch} ...", file=sys.stderr)
    return Row(net, mode, batch, competitors.race(field, args.repeat, args.seconds, OTHERS))


def threads(args: argparse.Namespace, setting: Setting, running: list[Competitor]) -> list[Row]:
    """The same by fastcnn with 1, 2, ... threads beside the peers, the smallest net too."""
    numbers = range(1, setting.threads)
    fewer = [
        Competitor(FASTCNN, setting._replace(threads=number), threads_name(number))
        for number in numbers
    ]
    try:
        return [
            race_net(args, [*fewer, *running], net, mode, batch)
            for net in (*args.nets, TINY)
            for mode in args.modes
            for batch in args.batch or (1, 32, 128)
        ]
    finally:
        for competitor in fewer:
            competitor.close()


def ceiling(running: list[Competitor]) -> float:
    """The run's rate of NumPy's matrix product, in GFLOP/s."""
    (result,) = competitors.race(_sgemm(running), 3, 0.5, OTHERS)
    return SGEMM_FLOPS / result.ms / 1e6


def _sgemm(running: list[Competitor]) -> list[Entry]:
    sgemm = [competitor for competitor in running if competitor.name == SGEMM.name]
    return competitors.entries(sgemm, "sgemm", "infer", SGEMM_SIZE)


def kernels(args: argparse.Namespace, running: list[Competitor]) -> list[Rate]:
    """Rates of each direction of a 3x3 convolution, 64 to 64 channels at 28x28, beside sgemm's."""
    own = [competitor for competitor in running if competitor.name == FASTCNN.name]
    rates = []
    for direction in DIRECTIONS:
        field = competitors.entries(own, "conv3x3", direction, KERNEL_BATCH) + _sgemm(running)
        convolution, sgemm = competitors.race(field, args.repeat, args.seconds, OTHERS)
        # Equal work a second would be a ratio of times like that of the work.
        share = convolution.times_faster_than(sgemm) * KERNEL_FLOPS / SGEMM_FLOPS
        rates.append(Rate(direction, KERNEL_FLOPS / convolution.ms / 1e6, share))
    return rates


def memory(setting: Setting, racing: set[str]) -> list[Result]:
    """Peak MiB of a fresh process that trains cifar-small at batch 128."""
    variants = [(FASTCNN, "fastcnn"), (TORCH, "eager"), (TORCH, "eager channels-last")]
    return [
        Result(
            kind.name,
            variant,
            [
                competitors.fresh_process(kind, setting, "memory", "cifar-small", "128", variant)[
                    "mib"
                ]
            ],
        )
        for kind, variant in variants
        if kind.name in racing
    ]


def startup(setting: Setting, racing: set[str]) -> list[Result]:
    """Seconds of a fresh process from its imports to the end of its first LeNet-5 training step."""
    task = ("startup", "lenet5", "32")
    with tempfile.TemporaryDirectory() as cache:
        cold = competitors.fresh_process(
            FASTCNN, setting, *task, "fastcnn", FASTCNN_CACHE_DIR=cache
        )
        warm = [
            competitors.fresh_process(FASTCNN, setting, *task, "fastcnn", FASTCNN_CACHE_DIR=cache)
            for _ in range(3)
        ]
    results = [
        Result(FASTCNN.name, "empty kernel cache", [cold["seconds"]]),
        Result(FASTCNN.name, "warm kernel cache", [start["seconds"] for start in warm]),
    ]
    if TORCH.name in racing:
        eager = [competitors.fresh_process(TORCH, setting, *task, "eager") for _ in range(3)]
        results.append(Result(TORCH.name, "eager", [start["seconds"] for start in eager]))
    return results


def main() -> int:
    args = arguments()
    python = args.peer_python or os.environ.get("FASTCNN_PEER_PYTHON") or sys.executable
    setting = Setting(args.threads, python)
    running = start(setting)
    try:
        check_nets(running)
        report: dict[str, Any] = {
            "machine": machine(setting, args.neighbours),
            "versions": {competitor.name: competitor.about["versions"] for competitor in running},
            "rounds": args.repeat,
            "sgemm": ceiling(running),
        }
        with busy(args.neighbours):
            if "steps" in args.parts:
                report["steps"] = steps(args, running)
            if "threads" in args.parts:
                report["threads"] = threads(args, setting, running)
        if "kernels" in args.parts:
            report["kernels"] = kernels(args, running)
    finally:
        for competitor in running:
            competitor.close()
    racing = {competitor.name for competitor in running}
    report["others"] = OTHERS.share
    if "memory" in args.parts:
        report["memory"] = memory(setting, racing)
    if "startup" in args.parts:
        report["startup"] = startup(setting, racing)
    show(report)
    if args.json:
        Path(args.json).write_text(json.dumps(_plain(report), indent=2) + "\n", encoding="utf-8")
    return 0


def _plain(value: Any) -> Any:
    """Named tuples as dicts, for JSON."""
    if hasattr(value, "_asdict"):
        return {name: _plain(item) for name, item in value._asdict().items()}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"compare.py: {error}")
