"""The history of a training."""

from __future__ import annotations


class History:
    """What a training measured.

    `history` has a list for each value ("loss", "accuracy", "val_loss", ..., "learning_rate"),
    with an entry for each epoch in `epoch` (counted from 0). `seconds` and `images_per_second` are
    those of each epoch's training, without its validation. `interrupted` says whether Ctrl-C ended
    the training; values that a cut epoch lacks are NaN.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.seconds: list[float] = []
        self.images_per_second: list[float] = []
        self.interrupted = False

    def add(self, epoch: int, logs: dict[str, float], seconds: float, images: int) -> None:
        """Append an epoch."""
        self.epoch.append(epoch)
        self.seconds.append(seconds)
        self.images_per_second.append(images / max(seconds, 1e-9))
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def __repr__(self) -> str:
        return f"<History of {len(self.epoch)} epochs: {', '.join(self.history)}>"
