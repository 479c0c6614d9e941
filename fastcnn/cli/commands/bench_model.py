"""`fastcnn bench model`: the time of a training step, layer by layer."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys

from fastcnn import optimizers
from fastcnn.cli.commands import bench_common
from fastcnn.cli.options import bench
from fastcnn.cli.options.bench import STDOUT
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.options.types import MODEL_HELP, Commands, positive
from fastcnn.cli.output import INTERRUPTED
from fastcnn.cli.resolve import model as models
from fastcnn.devices import DEVICES
from fastcnn.lab.measure import layer_times
from fastcnn.lab.measure.layer_times import StepTime
from fastcnn.lab.report import files, layer_table
from fastcnn.losses import MeanSquaredError
from fastcnn.models.sequential import Sequential
from fastcnn.training import progress

EXAMPLE = "fastcnn bench model resnet20 --batch 32"
RATE = 1e-7  # of learning: the weights stay as they are, as far as anyone can see


def add_options(benches: Commands) -> None:
    """Add the subcommand."""
    text = "time each layer of a network's training step, forward and backward"
    command = bench.subcommand(benches, "model", text, EXAMPLE)
    add = command.add_argument
    add("model", metavar="MODEL", help=MODEL_HELP)
    add("--batch", type=positive, default=32, metavar="N", help="images a step (default: 32)")
    add(
        "--repeat",
        type=positive,
        default=layer_times.REPEAT,
        metavar="N",
        help=f"steps, whose medians are reported (default: {layer_times.REPEAT})",
    )
    add("--device", choices=DEVICES, default="cpu", help="cpu alone")
    bench.files(command)


def run(args: argparse.Namespace) -> int:
    """Print the layers' times forward and backward; return 130 where it was interrupted."""
    if args.device == "cuda":
        raise UsageError(
            "--device cuda: layers are timed by a clock inside the CPU's executor, which a GPU has "
            "not. `fastcnn bench conv --device cuda` times convolutions."
        )
    with bench_common.usage():
        for path in (args.json, args.csv):
            if path and path != STDOUT:
                files.check(path)
    model = models.named(args.model).to("cpu")
    prepare(model)
    with progress.tally("bench model", args.repeat) as show:
        step = layer_times.measure(model, args.batch, args.repeat, show)
    _leave(args, step)
    return INTERRUPTED if step.interrupted else 0


def prepare(model: Sequential) -> None:
    """Compile the model where that was not done, and keep its weights in place."""
    if not any(parameter.trainable for parameter in model.parameters):
        raise UsageError("MODEL has no weights to train: there is no training step to time.")
    if model.optimizer is None or model.loss is None:
        classifies = len(model.output_shape) == 1
        loss = models.fitting_loss(model) if classifies else MeanSquaredError()
        model.compile(optimizers.SGD(RATE, momentum=0.9), loss)
    model.optimizer.learning_rate = RATE


def _leave(args: argparse.Namespace, step: StepTime) -> None:
    data = json.dumps(layer_table.described(step), indent=1)
    if args.json == STDOUT:
        print(data)
    else:
        _print(step)
    if args.json and args.json != STDOUT:
        files.write(args.json, data)
    if args.csv:
        files.write(args.csv, _csv(step))


def _print(step: StepTime) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=layer_table.WIDTH)
    console.print(layer_table.heading(step), style="bold", markup=False)
    console.print(layer_table.table(step, console.width))
    for line in layer_table.notes(step):
        console.print(line, markup=False)
    sys.stdout.flush()


def _csv(step: StepTime) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(layer_table.CSV_HEADER)
    writer.writerows(layer_table.lines(step))
    return text.getvalue()
