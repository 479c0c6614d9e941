"""Augmentation: fastcnn against albumentations, torchvision v2, Keras's layers and Pillow.

    python bench/data_augment.py --peer-python ~/torch-env/bin/python

32 x 32 x 3 images of bytes become float batches, "crop": random crop with a padding of 4, flip,
normalisation; "affine": rotation, zoom, shift, brightness, contrast, saturation and hue (not
Pillow's), normalisation. All have the same number of threads or processes. A step of fastcnn is
4096 images, in batches of 512, 128 or 32 one after the other a thread, whose memory is used again
as in training; the others' batches are those at which they are fastest, or 256. Competitors run in
turns, each suspended while another one runs; a figure is the median of the rounds. "copy" is the
ceiling: as many float images copied from one array to another, memory to memory, by the same
threads.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from typing import Any

from competitors import Competitor, Entry, Kind, Result, Setting, race
from disturbance import CpuContention
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

FASTCNN = Kind("fastcnn", "augment_fastcnn.py", peer=False)
PEERS = Kind("peers", "augment_peers.py")
MODES = ("crop", "affine")
# Images a step, by variant and task: a hundredth of a second at least, some seconds at most.
IMAGES = {("keras", "crop"): 512, ("keras", "affine"): 32}
OWN_IMAGES, PEER_IMAGES = 4096, 256
OWN = ("fastcnn", "fastcnn, batch 32", "fastcnn, batch 128", "copy")
IMAGE_BYTES = 32 * 32 * 3 * 4


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--repeat", type=int, default=7, metavar="N", help="rounds (default 7)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a competitor in a round")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), metavar="N")
    parser.add_argument("--peer-python", metavar="PATH", help="the peers' interpreter")
    parser.add_argument("--json", metavar="FILE", help="also write everything measured")
    return parser.parse_args()


def step_images(variant: str, mode: str) -> int:
    usual = OWN_IMAGES if variant in OWN else PEER_IMAGES
    return IMAGES.get((variant, mode), usual)


def field(competitors: list[Competitor], mode: str) -> list[Entry]:
    """Every competitor's variants of a task."""
    return [
        Entry(
            competitor,
            {
                "net": "cifar",
                "mode": mode,
                "batch": step_images(variant, mode),
                "variant": variant,
            },
        )
        for competitor in competitors
        for variant in competitor.about["variants"][mode]
    ]


def rates(result: Result, mode: str) -> list[float]:
    """Images a second in each round."""
    return [1e3 * step_images(result.variant, mode) / ms for ms in result.rounds]


def compare(mode: str, results: list[Result]) -> dict[str, Any]:
    """Each variant's images a second, and how many times faster fastcnn was, by the rounds."""
    by_variant = {result.variant: rates(result, mode) for result in results}
    own = by_variant["fastcnn"]
    return {
        "mode": mode,
        "rates": {name: statistics.median(rounds) for name, rounds in by_variant.items()},
        "times": {
            name: statistics.median(mine / theirs for mine, theirs in zip(own, rounds, strict=True))
            for name, rounds in by_variant.items()
        },
    }


def show(console: Console, compared: dict[str, Any]) -> None:
    table = Table(title=compared["mode"], box=SIMPLE_HEAD, title_justify="left")
    table.add_column("competitor")
    for column in ("images/s", "fastcnn is faster"):
        table.add_column(column, justify="right")
    for name, rate in sorted(compared["rates"].items(), key=lambda pair: -pair[1]):
        times = "" if name == "fastcnn" else f"{compared['times'][name]:.1f}x"
        table.add_row(name, f"{rate:,.0f}", times)
    console.print(table)
    ceiling = compared["rates"]["copy"] * IMAGE_BYTES / 1e9
    fastest = (
        min(ratio for name, ratio in compared["times"].items() if name not in OWN)
        if len(compared["times"]) > len(OWN)
        else None
    )
    console.print(f"copy bandwidth: {ceiling:.1f} GB/s read and as much written")
    if fastest is not None:
        console.print(f"fastcnn against the fastest of the others: {fastest:.1f}x")


def main() -> None:
    args = arguments()
    python = args.peer_python or os.environ.get("FASTCNN_PEER_PYTHON") or sys.executable
    setting = Setting(args.threads, python)
    others = CpuContention()
    competitors = [Competitor(kind, setting) for kind in (FASTCNN, PEERS)]
    try:
        compared = [
            compare(mode, race(field(competitors, mode), args.repeat, args.seconds, others))
            for mode in args.modes
        ]
    finally:
        for competitor in competitors:
            competitor.close()
    console = Console(highlight=False, soft_wrap=True)
    versions = {
        name: v for comparison in competitors for name, v in comparison.about["versions"].items()
    }
    console.print(f"{args.threads} threads or processes; {args.repeat} rounds; {versions}")
    for comparison in compared:
        show(console, comparison)
    if others.share is not None:
        console.print(f"other programs took {100 * others.share:.0f} % of the processors' time")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"versions": versions, "threads": args.threads, "results": compared}, file)


if __name__ == "__main__":
    main()
