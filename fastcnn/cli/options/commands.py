"""The options of each command, which take much of the library to name."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from fastcnn.autotune.tuner import SECONDS
from fastcnn.cli.commands import bench
from fastcnn.cli.options import data, decoding, device, train
from fastcnn.cli.options.data import DATA_HELP
from fastcnn.cli.options.types import (
    MODEL_HELP,
    Commands,
    epsilon,
    number,
    port,
    positive,
    rate,
    seed,
    share,
)
from fastcnn.data.images.decoder import RESIZE_MODES
from fastcnn.explain.methods import DISTANCES, METHODS, PROJECTIONS
from fastcnn.serving.limits import Limits


def add_options(name: str, command: argparse.ArgumentParser) -> None:
    """Give the command of a name its options, and its subcommands where it has such."""
    if name in SUBCOMMANDS:
        SUBCOMMANDS[name](command)
        return
    _add_common(command)
    if name in OPTIONS:
        OPTIONS[name](command)


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="report as JSON on stdout")
    command.add_argument("--threads", type=positive, metavar="N", help="default: every core")
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")


def _action(actions: Commands, name: str, text: str, example: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = actions.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=f"Example: {example}"
    )
    _add_common(command)
    return command


def _evaluate(command: argparse.ArgumentParser) -> None:
    _add_model(command)
    command.add_argument("--data", default="sample", help=f"{DATA_HELP} (default: sample)")
    add = command.add_argument
    add("--batch-size", type=positive, default=128, metavar="N")
    add(
        "--validation-split",
        dest="validation",
        type=share,
        default=0.0,
        metavar="SHARE",
        help="measure only the images that `train` holds out with this share (and --seed)",
    )
    add("--seed", type=seed, default=0, metavar="N", help="of held-out images (default: 0)")
    _add_views(command)
    decoding.add_options(command, "default: as in training, or ")
    decoding.add_on_error(command)
    device.add_options(command, "auto")


def _predict(command: argparse.ArgumentParser) -> None:
    _add_model(command)
    command.add_argument(
        "images", nargs="+", metavar="IMAGE", help="a PNG, JPEG, ... file, or a folder of them"
    )
    command.add_argument(
        "--resize",
        choices=RESIZE_MODES,
        help="how pictures of other proportions are made to fit (default: as in training)",
    )
    decoding.add_on_error(command, "skip those of a folder, fail for those that are named")
    add = command.add_argument
    _add_top(command, 3)
    _add_views(command)
    add("--csv", action="store_true", help="report as CSV on stdout, a row for each class")
    add("--out", metavar="FILE", help="also write the report to this .csv or .json file")
    _add_scale(command)
    device.add_options(command, "auto")


def _serve(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("model", metavar="MODEL", help=MODEL_HELP)
    add("--weights", metavar="FILE", help="put this file's weights into it")
    add("--host", default="127.0.0.1", metavar="H", help="default: 127.0.0.1, this computer alone")
    add("--port", type=port, default=8000, metavar="N", help="default: 8000; 0 for any free one")
    _add_top(command, 5)
    _add_scale(command)
    add(
        "--max-bytes",
        type=positive,
        default=Limits.max_bytes,
        metavar="N",
        help="of a request (default: 10 MiB)",
    )
    add(
        "--max-pixels",
        type=positive,
        default=Limits.max_pixels,
        metavar="N",
        help=f"of a picture, before it is decoded (default: {Limits.max_pixels:,})",
    )
    add(
        "--timeout",
        type=rate,
        default=Limits.seconds,
        metavar="S",
        help=f"for a picture to arrive, and to be predicted (default: {Limits.seconds:g})",
    )
    add(
        "--concurrency",
        type=positive,
        default=Limits.concurrency,
        metavar="N",
        help=f"pictures that may wait; others get 503 (default: {Limits.concurrency})",
    )
    device.add_options(command, "auto")


def _compare(command: argparse.ArgumentParser) -> None:
    command.add_argument("runs", nargs="+", metavar="RUN", help="the folder of a training")


def _summary(command: argparse.ArgumentParser) -> None:
    command.add_argument("network", nargs="?", metavar="MODEL", help=MODEL_HELP)
    command.add_argument("--model", help="the same as MODEL")
    command.add_argument(
        "--receptive-field",
        action="store_true",
        help="how far each layer sees, in theory and measured by gradients",
    )
    command.add_argument(
        "--plot",
        metavar="FILE",
        help="draw the network into a file too, such as net.png or net.svg",
    )


def _explain(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("method", choices=METHODS, metavar="METHOD", help=", ".join(METHODS))
    _add_model(command)
    add("--data", default="sample", help=f"{DATA_HELP}, or a picture (default: sample)")
    add("--out", required=True, metavar="FILE", help="the picture, .png, .pdf or .svg")
    which = command.add_mutually_exclusive_group()
    which.add_argument(
        "--images", type=positive, metavar="N", help="default: 6, or 1,000 to compare many"
    )
    which.add_argument(
        "--image", type=seed, metavar="N", help="the image of this number alone, from 0 on"
    )
    add("--target", metavar="CLASS", help="a class, its name or number (default: the predicted)")
    add("--layer", metavar="NAME", help="the layer to look at (default: the method's)")
    add("--channel", type=seed, metavar="N", help="a channel of the layer, from 0 on")
    add(
        "--epsilon", type=epsilon, metavar="E", help="how far an attack moves a pixel, of its range"
    )
    add("--distance", choices=DISTANCES, help="of features (default: cosine)")
    add("--projection", choices=PROJECTIONS, help="of an embedding (default: both)")
    add("--seed", type=seed, metavar="N", help="of what is random")
    decoding.add_options(command, "default: as in training, or ")
    decoding.add_on_error(command)
    device.add_options(command, "auto")


def _export(command: argparse.ArgumentParser) -> None:
    _add_model(command)
    command.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="its ending says the format: .onnx or .keras for a model, .safetensors or .weights.h5 "
        "for weights alone",
    )


def _tune(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("model", nargs="?", metavar="MODEL", help=MODEL_HELP)
    add("--set", metavar="NAME", help="a set of problems, or a descriptor, in place of a model")
    add("--batch-size", type=positive, default=32, metavar="N", help="default: 32")
    add("--inference", action="store_true", help="the forward direction alone")
    add(
        "--seconds",
        type=rate,
        default=SECONDS,
        metavar="S",
        help=f"for each direction of each problem (default: {SECONDS})",
    )
    add(
        "--despite-load",
        action="store_true",
        help="also keep what other programs may have put in this order",
    )
    add("--forget", action="store_true", help="first forget all that was timed on this processor")
    device.add_options(command, "auto")


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", required=True, help=MODEL_HELP)
    command.add_argument("--weights", metavar="FILE", help="put this file's weights into it")


def _add_top(command: argparse.ArgumentParser, default: int) -> None:
    command.add_argument(
        *("--topk", "--top"),
        dest="top",
        type=positive,
        default=default,
        metavar="N",
        help=f"classes of each picture (default: {default})",
    )


def _add_views(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--tta",
        action="append",
        metavar="LIST",
        help="average over each image as it is and augmented (test-time augmentation), such as "
        "--tta flip; as --augment of train",
    )
    command.add_argument(
        "--passes",
        type=positive,
        metavar="N",
        help="of --tta, the first with the images as they are (default: 8; 2 of flip alone)",
    )


def _add_scale(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--scale",
        type=number,
        default=1.0,
        metavar="FACTOR",
        help="multiplies pixel values, 0 to 255, where the model does not begin with Rescaling",
    )


OPTIONS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "train": train.add,
    "evaluate": _evaluate,
    "predict": _predict,
    "serve": _serve,
    "compare": _compare,
    "summary": _summary,
    "explain": _explain,
    "export": _export,
    "tune": _tune,
}
SUBCOMMANDS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "bench": bench.add_options,
    "data": lambda command: data.add(command, _action),
}
