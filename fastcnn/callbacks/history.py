"""The history of a training."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from typing import TYPE_CHECKING

from fastcnn.utils import atomic_file

if TYPE_CHECKING:
    import pandas as pd


class History:
    """What a training measured.

    `history` has a list for each value ("loss", "accuracy", "val_loss", ..., "learning_rate"),
    with an entry for each epoch in `epoch` (counted from 0). `seconds` and `images_per_second` are
    those of each epoch's training, without its validation. `interrupted` says whether Ctrl-C ended
    the training; values that an epoch lacks are NaN.
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
        earlier = len(self.epoch) - 1
        for name in logs:
            self.history.setdefault(name, [math.nan] * earlier)
        for name, values in self.history.items():
            values.append(logs.get(name, math.nan))

    def columns(self) -> dict[str, list[float]]:
        """Return the numbers of the epochs, from 0, their values and their speed, by name.

        Returns:
            Lists of one length; what an epoch lacks is NaN.
        """
        values = {name: [float(value) for value in column] for name, column in self.history.items()}
        speed = {"seconds": self.seconds, "images_per_second": self.images_per_second}
        return {"epoch": [*self.epoch], **values, **speed}

    def to_dataframe(self) -> pd.DataFrame:
        """Return the columns as a frame of pandas, a row an epoch.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "History.to_dataframe needs the package pandas: pip install pandas. `columns()` "
                "has the same as lists."
            ) from error
        return pd.DataFrame(self.columns())

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str | None:
        """Write the columns as CSV, a row an epoch; what an epoch lacks is an empty cell.

        Args:
            path: The file; None returns the text.

        Raises:
            OSError: The file cannot be written.
        """
        columns = self.columns()
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow("" if math.isnan(value) else repr(value) for value in row)
        return _written(text.getvalue(), path)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str | None:
        """Write the columns as JSON, a list for each name; what an epoch lacks is null.

        Args:
            path: The file; None returns the text.

        Raises:
            OSError: The file cannot be written.
        """
        columns = {
            name: [value if math.isfinite(value) else None for value in column]
            for name, column in self.columns().items()
        }
        return _written(json.dumps(columns), path)

    def __repr__(self) -> str:
        epochs = len(self.epoch)
        names = f": {', '.join(self.history)}" if self.history else ""
        return f"<History of {epochs} epoch{'' if epochs == 1 else 's'}{names}>"

    def _repr_html_(self) -> str:
        from fastcnn.callbacks import history_page  # of which only notebooks make use

        return history_page.page(self.columns())


def _written(text: str, path: str | os.PathLike[str] | None) -> str | None:
    if path is None:
        return text
    atomic_file.write_text(path, text)
    return None
