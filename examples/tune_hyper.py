"""Which learning rate, batch size, dropout and width? A search by Optuna, which ends weak trials.

python examples/tune_hyper.py [--trials 12] [--epochs 4] [--out runs/tune_hyper.png]

A callback tells Optuna each epoch's validation accuracy on the bundled pictures of clothes, and
Optuna ends the trials that fall behind the median of those before.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from matplotlib import pyplot

import fastcnn
from fastcnn import callbacks, optimizers
from fastcnn import layers as L

try:
    import optuna
except ImportError:
    sys.exit("This example searches with Optuna: pip install optuna")


class Pruning(callbacks.Callback):
    """Tells a trial of each epoch, and ends the training where Optuna would prune it."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.trial.report((logs or {})["val_accuracy"], epoch)
        self.model.stop_training = self.trial.should_prune()


def accuracy(trial: optuna.Trial, epochs: int) -> float:
    """The validation accuracy of the hyperparameters that a trial suggests."""
    width = trial.suggest_categorical("width", [4, 8, 16])
    dropout = trial.suggest_float("dropout", 0.0, 0.5)
    rate = trial.suggest_float("learning_rate", 1e-4, 3e-2, log=True)
    batch_size = trial.suggest_categorical("batch_size", [32, 64, 128])
    blocks: list[L.Layer] = [L.Rescaling(1 / 255)]
    for filters in (width, 2 * width):
        blocks += [L.Conv2D(filters, 3, padding="same", activation="relu"), L.MaxPooling2D(2)]
    blocks += [L.Flatten(), L.Dropout(dropout), L.Dense(10, activation="softmax")]
    model = fastcnn.Sequential(blocks, input_shape=(28, 28, 1), seed=trial.number)
    model.compile(optimizers.Adam(rate), "sparse_categorical_crossentropy", ["accuracy"])
    (x, y), _ = fastcnn.data.sample()
    history = model.fit(x, y, batch_size, epochs, 0, Pruning(trial), validation_split=0.2)
    if trial.should_prune():
        raise optuna.TrialPruned
    return history.history["val_accuracy"][-1]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--trials", type=int, default=10)
    options.add_argument("--epochs", type=int, default=4)
    options.add_argument("--out", type=Path, default=Path("runs/tune_hyper.png"))
    args = options.parse_args()
    pruner = optuna.pruners.MedianPruner(n_startup_trials=4)
    study = optuna.create_study(pruner=pruner, direction="maximize")
    study.sampler = optuna.samplers.TPESampler(seed=0)
    study.optimize(lambda trial: accuracy(trial, args.epochs), args.trials)
    print(f"Best of {args.trials}: {100 * study.best_value:.1f} % with {study.best_params}")
    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    for trial in study.trials:
        epochs, values = zip(*sorted(trial.intermediate_values.items()), strict=True)
        colour = "#2f6fb2" if trial.state.name == "COMPLETE" else "#b8bec6"
        axes.plot([n + 1 for n in epochs], [100 * n for n in values], "o-", c=colour)
    axes.set(xlabel="epoch", ylabel="validation accuracy, %", xticks=range(1, args.epochs + 1))
    axes.set_title("Trials to the end (blue) and pruned ones (grey)", fontsize=11)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=110)


if __name__ == "__main__":
    main()
