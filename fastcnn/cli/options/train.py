"""The options of `fastcnn train`."""

from __future__ import annotations

import argparse

from fastcnn.cli.options import augment, decoding, device
from fastcnn.cli.options.data import DATA_HELP
from fastcnn.cli.options.train_settings import PRESETS, SCHEDULES
from fastcnn.cli.options.types import MODEL_HELP, epsilon, number, positive, rate, seed, share
from fastcnn.optimizers import OPTIMIZERS

LOGS = ("tensorboard", "mlflow", "wandb")
RATE_HELP = "learning rate (default: the network's, or the optimizer's)"


def distributed(args: argparse.Namespace) -> str | None:
    """Return what --distributed asks `fit` for."""
    return None if args.distributed == "none" else str(args.distributed)


def add(command: argparse.ArgumentParser) -> None:
    """Give `fastcnn train` its options."""
    _add_model_and_data(command)
    _add_steps(command)
    _add_validation(command)
    decoding.add_options(command, "default: the model's, or ")
    decoding.add_on_error(command)
    command.add_argument("--augment", action="append", metavar="LIST", help=augment.HELP)
    command.add_argument(
        "--adversarial",
        type=epsilon,
        metavar="EPSILON",
        help="learn from attacked images, half of each batch, whose pixels are moved by up to so "
        "much of their range, such as 8/255",
    )
    command.add_argument(
        "--find-lr",
        metavar="FILE",
        help="train nothing: let the rate rise for 100 steps, draw the loss by it to this .png, "
        ".pdf or .svg, and say where it falls most steeply",
    )
    device.add_options(command, "auto")
    command.add_argument(
        "--distributed",
        choices=("auto", "mpi", "mpi-fast", "none"),
        default="auto",
        help="whether the processes that mpirun or srun started train one model together, with the "
        "bits of one process: where there are several (auto, the default), with gradients that "
        "the MPI library sums, so that bits depend on the number of processes (mpi-fast), or each "
        "by itself (none)",
    )
    _add_folder(command)


def _add_model_and_data(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "--preset",
        choices=PRESETS,
        help="what is left open for a folder of pictures is chosen by what they are like (default: "
        "good, where no --model is named)",
    )
    add(
        "--config",
        metavar="FILE",
        help="settings from a .toml, .json or .yaml file, such as the settings.toml of a run; what "
        "stands on the command line goes before them",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one setting by its name in --config, such as optimizer.beta_1=0.8; may be given many "
        "times",
    )
    add("--model", help=f"{MODEL_HELP} (default: lenet5)")
    add("--data", help=f"{DATA_HELP} (default: sample)")
    add(
        "--init",
        metavar="WEIGHTS",
        help="weights to begin with: a file, of which the layers that fit are taken (of `save`, "
        "`save_weights`, Keras or PyTorch), 'imagenet', fetched where they are not at hand, or "
        "'none' (default: none; what a preset finds at hand)",
    )
    add(
        "--freeze",
        nargs="?",
        const="",
        metavar="LAYER",
        help="keep the weights of all layers up to this one, by default all below the last ones; "
        "'none' keeps none, where a preset would",
    )


def _add_steps(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--epochs", type=positive, metavar="N", help="default: 15")
    add("--batch-size", type=positive, metavar="N", help="default: 32")
    add(
        "--steps-per-epoch",
        type=positive,
        metavar="N",
        help="batches of an epoch; the next one goes on behind them (default: all)",
    )
    add("--optimizer", metavar="NAME", help=f"{', '.join(OPTIMIZERS)} (default: adam)")
    add("--lr", type=rate, metavar="RATE", help=RATE_HELP)
    add("--momentum", type=number, metavar="M", help="of sgd and rmsprop")
    add("--weight-decay", type=number, metavar="D", help="decoupled weight decay")
    add("--clip-norm", type=rate, metavar="N", help="the largest norm of all gradients together")
    add(
        "--gradient-accumulation-steps",
        type=positive,
        metavar="K",
        help="batches whose gradients are averaged for one update (default: 1)",
    )
    add(
        "--ema",
        type=share,
        metavar="M",
        help="validate and keep an average of the weights, of which the share M stays in each "
        "update, such as 0.999",
    )
    add(
        "--label-smoothing",
        type=share,
        metavar="SHARE",
        help="how far the targets are moved to the uniform distribution (default: 0)",
    )
    add(
        "--schedule",
        choices=SCHEDULES,
        help="how the learning rate falls: along a cosine or a line to 0 in the last epoch, or to "
        "a third where the validation loss stands still (default: constant)",
    )
    add("--warmup-epochs", type=seed, metavar="N", help="in which the rate rises (default: 0)")
    add(
        "--class-weight",
        metavar="WEIGHTS",
        help="'balanced', for rare classes to count as much, or weights such as cat=2,dog=1",
    )
    add("--seed", type=seed, metavar="N", help="of weights and held-out images (default: 0)")


def _add_validation(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "--validation-split",
        "--validation",
        dest="validation",
        type=share,
        metavar="SHARE",
        help="of the training images, held out to choose the best epoch (default: 0.1, more of few "
        "pictures, or the images that DATA sets aside for it)",
    )
    add(
        "--validation-data",
        metavar="DATA",
        help="images that choose the best epoch, such as a folder of their own",
    )
    add(
        "--validation-freq",
        type=positive,
        metavar="N",
        help="epochs from one validation to the next, of which the best is kept (default: 1)",
    )
    add(
        "--patience",
        type=positive,
        metavar="N",
        help="stop when the validation loss was no lower for so many epochs (default: never)",
    )


def _add_folder(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "--log",
        action="append",
        default=[],
        choices=LOGS,
        help="tell each epoch's values to a tracker, too; may be given many times (tensorboard: in "
        "DIR/tensorboard)",
    )
    add(
        "--out",
        default="runs/train",
        metavar="DIR",
        help="default: runs/train; DIR-2, -3, ... where it holds an earlier training",
    )
    add(
        "--overwrite",
        action="store_true",
        help="replace an earlier training in --out, once the new one is finished",
    )
    add(
        "--resume",
        action="store_true",
        help="continue the training in --out, with its own settings, up to --epochs: of schedules "
        "that fall to 0, cosine and linear, up to the end that they were made for at most",
    )
