"""`fastcnn bench scaling`: training steps of several ranks, and a curve for many computers."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from fastcnn.cli.commands import bench_common
from fastcnn.cli.commands.bench_model import prepare
from fastcnn.cli.options import bench
from fastcnn.cli.options.bench import STDOUT
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.options.types import MODEL_HELP, Commands, positive
from fastcnn.cli.resolve import model as models
from fastcnn.lab.measure import scaling
from fastcnn.lab.measure.scaling import NETWORKS, RankStep, Scaling
from fastcnn.lab.report import files

EXAMPLE = "fastcnn bench scaling cifar-small --ranks 1 2 4 --batch 128 --plot scaling.png"
STEPS = 20
SHARED = 16  # chunks of a batch, of which each rank has at least one


def add_options(benches: Commands) -> None:
    """Add the subcommand."""
    text = "time training steps of several ranks on this computer, and simulate many computers"
    command = bench.subcommand(benches, "scaling", text, EXAMPLE)
    add = command.add_argument
    add("model", metavar="MODEL", help=MODEL_HELP)
    add("--ranks", nargs="+", type=positive, default=[1, 2], metavar="R", help="default: 1 2")
    add("--batch", type=positive, default=128, metavar="N", help="images a step (default: 128)")
    add("--steps", type=positive, default=STEPS, metavar="N", help=f"timed (default: {STEPS})")
    add(
        "--distributed",
        choices=("mpi", "mpi-fast"),
        default="mpi",
        help="with the bits of one process (mpi, the default), or with gradients that the MPI "
        "library sums (mpi-fast)",
    )
    bench.files(command, "the simulated curve with what was measured, as a picture")


def run(args: argparse.Namespace) -> int:
    """Print what was measured and simulated."""
    with bench_common.usage():
        for path in (args.json, args.plot):
            if path and path != STDOUT:
                files.check(path)
        if args.plot:
            from fastcnn.lab.plots import save

            save.check_path(args.plot)
    if max(args.ranks) < 2 or max(args.ranks) > SHARED:
        raise UsageError(f"--ranks: give one from 2 to {SHARED}. Received {args.ranks}.")
    model = models.named(args.model).to("cpu")
    prepare(model)
    asked = args.batch, sorted(set(args.ranks)), args.steps, args.distributed
    measured = scaling.measure(model, args.model, *asked)
    data = json.dumps(described(measured), indent=1)
    print(data if args.json == STDOUT else "\n".join(lines(measured)))
    if args.json and args.json != STDOUT:
        files.write(args.json, data)
    if args.plot:
        from fastcnn.lab.plots import scaling as picture

        print(picture.draw(measured, args.plot))
    return 0


def described(measured: Scaling) -> dict[str, object]:
    """Everything as plain data."""
    below = {network.name: measured.most_worth(network) for network in NETWORKS}
    return {**asdict(measured), "computers_below_80_percent": below}


def lines(measured: Scaling) -> list[str]:
    """The tables, times in milliseconds."""
    head = f"{'':12}{'ranks':>6}{'images':>8}{'step':>10}{'exchange':>10}{'waiting':>10}"
    text = [
        f"{measured.model}, batch {measured.batch}; ms a step. Strong scaling: the same batch for "
        "all ranks; weak: as many images for each.",
        f"{head}{'efficiency':>12}",
    ]
    text.append(_row("alone", measured.alone, 1.0))
    text += [_row("strong", step, measured.strong_efficiency(step)) for step in measured.strong]
    text += [_row("weak", step, measured.weak_efficiency(step)) for step in measured.weak]
    fitted = measured.weak[0]
    text.append(
        f"Between ranks here: latency {1e6 * fitted.latency:.1f} µs, {fitted.bandwidth / 1e9:.2f} "
        "GB/s. The exchange's time by these, and what is left of it, which is waiting:"
    )
    for step in (*measured.strong, *measured.weak):
        text.append(
            f"  {step.ranks} ranks, {step.images} images: {step.sent / 1e3:,.0f} kB in "
            f"{step.messages} messages, {1e3 * step.transferring:.2f} ms of "
            f"{1e3 * step.exchanging:.2f} ms"
        )
    text += checks(measured)
    for network in NETWORKS:
        count = measured.most_worth(network)
        below = f"below 80 % from {count:,} on" if count else "above 80 % up to 1,024"
        text.append(f"Simulated, computers like this one at {network.name}: {below}.")
    return text


def checks(measured: Scaling) -> list[str]:
    """How far the simulation is from what was measured here, for as many images a rank."""
    text = ["The simulation of ranks on this computer against their measured weak efficiency:"]
    for step in measured.weak:
        simulated, efficiency = measured.simulated_here(step), measured.weak_efficiency(step)
        points = 100 * (simulated - efficiency)
        text.append(
            f"  {step.ranks} ranks: {100 * simulated:.0f} % simulated, {100 * efficiency:.0f} % "
            f"measured, {abs(points):.0f} points {'more' if points > 0 else 'less'}"
        )
    return [
        *text,
        "It knows of no waiting, nor of cores that ranks take from each other or use better:",
        "curves for many computers are as good as these differences at best.",
    ]


def _row(kind: str, step: RankStep, efficiency: float) -> str:
    times = (step.step, step.exchanging, step.waiting)
    return (
        f"{kind:12}{step.ranks:>6}{step.images:>8}"
        + "".join(f"{1e3 * seconds:>10.2f}" for seconds in times)
        + f"{100 * efficiency:>10.0f} %"
    )
