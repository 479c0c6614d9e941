"""The files of a folder that turn out to be no images after they were listed."""

from __future__ import annotations

import threading
import warnings

from fastcnn.data.listing import text
from fastcnn.data.report import LeftOut, Report


class Damage:
    """What is wrong with which file, known to all parts of a set and written into its report once.
    Threads may add at any time."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._labels = {name: label for label, name in enumerate(report.class_names)}
        self._reasons: dict[str, str] = {}
        self._untold: list[LeftOut] = []
        self._lock = threading.Lock()

    def add(self, name: str, reason: str) -> None:
        """Takes a file, by its path within the folder, out of those that can be used."""
        with self._lock:
            if name in self._reasons:
                return
            self._reasons[name] = reason
            printed = text(name)
            self._report.skip(printed, reason, self._labels[printed.split("/")[0]])
            self._untold.append(self._report.skipped[-1])

    def remark(self, name: str, words: str) -> None:
        """Notes what is wrong about a file that can be used."""
        with self._lock:
            self._report.remarked.append(LeftOut(text(name), words))

    def reason(self, name: str) -> str:
        """Why a file that was added cannot be used."""
        return self._reasons[name]

    def told(self) -> list[LeftOut]:
        """The files added since this was last asked for."""
        with self._lock:
            found, self._untold = self._untold, []
        return found

    def warn(self, consequence: str) -> None:
        """One warning of the files that nobody was told of yet, and of what comes of it."""
        found = self.told()
        if found:
            files = "A file" if len(found) == 1 else f"{len(found):,} files"
            warnings.warn(
                f"{files} of '{self._report.source}' cannot be used, or no longer, among them "
                f"'{found[0].path}': {found[0].reason}. {consequence} .report lists them all.",
                stacklevel=2,
            )
