"""`fastcnn train --find-lr`: at which learning rate a training's loss falls most steeply."""

from __future__ import annotations

import argparse
import json

from fastcnn.cli.options import train_settings
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.options.train_settings import Settings
from fastcnn.cli.resolve import preset, training
from fastcnn.plots import figure
from fastcnn.training.learning_rate_finder import find_learning_rate


def run(args: argparse.Namespace) -> int:
    """Draw the loss by the learning rate, and tell where it falls most steeply."""
    if args.resume:
        raise UsageError("--find-lr: the rate is looked for before a training; leave out --resume.")
    figure.check(args.find_lr)
    asked, _ = preset.completed(train_settings.given_settings(args), args.preset)
    wanted = Settings(**asked)
    model, images, options = training.prepared(args, wanted, asked, training.of_file(wanted))
    train = images.to_train
    test = find_learning_rate(model, train.x, train.y, **options)
    test.plot(save=args.find_lr)
    report = {"learning_rate": test.suggestion, "steps": len(test.rates), "file": args.find_lr}
    rate = test.suggestion
    result = "falls no further than batches differ."
    if rate is not None:
        result = f"falls most steeply at a learning rate of {rate:.2g}."
    text = f"The loss {result} {args.find_lr} shows {len(test.rates)} steps."
    print(json.dumps(report) if args.json else text)
    return 0
