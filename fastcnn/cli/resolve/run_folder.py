"""The folder of a training's files: one for each training, claimed before anything is done."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.options.train_settings import Settings
from fastcnn.cli.resolve import kept_settings
from fastcnn.utils import atomic_file, messages


class RunFolder:
    """The files that a training leaves in a folder."""

    def __init__(self, path: Path):
        self.path = path
        self.settings = path / "settings.toml"
        self.best = path / "model.h5"
        self.last = path / "last.h5"
        self.history = path / "history.csv"
        self.curves = path / "curves.png"
        self.confusion = path / "confusion.png"
        self.mistakes = path / "mistakes.png"
        self.report = path / "report.html"
        self.logs = path / "tensorboard"
        self._created: list[Path] = []

    @property
    def files(self) -> list[Path]:
        paths = (path for path in vars(self).values() if isinstance(path, Path))
        return [path for path in paths if path not in (self.path, self.logs)]

    @property
    def used(self) -> bool:
        """Whether a training has left anything here."""
        return any(path.exists() for path in self.files)

    def claim(self) -> bool:
        """Take the folder for a training, unless another has it; say whether.

        Of two processes that want one folder at once, the one that creates its settings gets it.

        Raises:
            UsageError: Nothing can be written there.
        """
        try:
            folders = (self.path, *self.path.parents)
            self._created = [folder for folder in folders if not folder.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
            if self.used:
                return False
            self.settings.touch(exist_ok=False)
        except FileExistsError:
            if self.path.is_dir():
                return False
            raise UsageError(f"--out: '{self.path}' is not a folder. Name another one.") from None
        except OSError as error:
            with suppress(OSError):  # of a name that is too long nothing is there
                self.give_up()
            raise self._unwritable(error) from error
        return True

    def keep(self, wanted: Settings, reasons: Mapping[str, str]) -> None:
        """Write the settings of the training."""
        try:
            text = kept_settings.text(wanted, reasons)
            atomic_file.write_text(self.settings, text, kept_settings.ERRORS)
        except OSError as error:
            raise self._unwritable(error) from error

    def check_writable(self) -> None:
        """Raise UsageError unless files can be written."""
        try:
            with tempfile.TemporaryFile(dir=self.path) as file:
                file.write(b"x")
        except OSError as error:
            raise self._unwritable(error) from error

    def give_up(self) -> None:
        """Remove what a training began that has finished no epoch, and the folders it made."""
        if self.best.exists() or self.last.exists():
            return
        shutil.rmtree(self.logs, ignore_errors=True)
        with suppress(OSError):
            self.settings.unlink(missing_ok=True)
            self.history.unlink(missing_ok=True)
            for folder in self._created:
                folder.rmdir()

    def take_the_place_of(self, earlier: RunFolder) -> None:
        """Move the files of a finished training over those of an earlier one."""
        for new, old in zip(self.files, earlier.files, strict=True):
            if new.exists():
                os.replace(new, old)
            else:
                old.unlink(missing_ok=True)
        shutil.rmtree(earlier.logs, ignore_errors=True)
        if self.logs.exists():
            os.replace(self.logs, earlier.logs)
        with suppress(OSError):  # somebody else's files keep it
            self.path.rmdir()

    def _unwritable(self, error: OSError) -> UsageError:
        return UsageError(
            f"--out: '{self.path}' cannot be written ({error.strerror or error}). "
            "Name another folder."
        )


def claimed(out: str, overwrite: bool) -> RunFolder:
    """The folder of a new training: `out`, or with the first free number where it is used.

    With `overwrite` the numbered one is there for the time of the training.
    """
    if not out:  # as of a shell's variable that is not set
        raise UsageError("--out: expected the name of a folder, not ''; the current one is '.'.")
    first = Path(out) if Path(out).name not in ("", "..") else Path(out).resolve()
    if overwrite:  # a link's target is on the same disk as what is beside it
        first = first.resolve()
    for folder in _numbered(first):
        if folder.path != first and folder.path.exists() and not folder.path.is_dir():
            continue
        if folder.claim():
            if folder.path != first and not overwrite:
                messages.say(
                    f"Note: '{out}' holds an earlier training, and this one goes into "
                    f"'{folder.path}'. --overwrite replaces the earlier one."
                )
            return folder
    raise UsageError(f"--out: there is no free name beside '{out}'.")


def _numbered(first: Path) -> Iterator[RunFolder]:
    yield RunFolder(first)
    for number in itertools.count(2):
        yield RunFolder(first.with_name(f"{first.name}-{number}"))
