"""The files of a folder that turn out to be no images after they were listed."""

from __future__ import annotations

import warnings

from fastcnn.data.folder.file_list import text
from fastcnn.data.folder.scan_report import LeftOut, Report
from fastcnn.utils import forking

LEFT_OUT = "What cannot be used is left out."

_lock = forking.shared_lock()
"""Of all sets, so that one that is copied has none."""


class Damage:
    """What is wrong with which file, written into the set's report once, sorted by path.

    All parts of a set share it. Threads may add at any time.

    Args:
        report: The report.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._labels = {name: label for label, name in enumerate(report.class_names)}
        self._reasons: dict[str, str] = {}
        self._untold: list[LeftOut] = []
        self._remarks: dict[str, LeftOut] = {}

    @property
    def count(self) -> int:
        """How many files cannot be used."""
        return len(self._reasons)

    def add(self, name: str, reason: str) -> None:
        """Take a file out of those that can be used.

        Args:
            name: Its path within the folder.
            reason: Why it cannot be.
        """
        with _lock:
            if name in self._reasons:
                return
            self._reasons[name] = reason
            file = LeftOut(text(name), reason)
            self._report.skip(file, self._labels[file.path.split("/")[0]])
            self._report.remark(None, self._remarks.pop(name, None))
            self._untold.append(file)

    def remark(self, name: str, words: str) -> None:
        """Note what is wrong about a file that can be used.

        What was noted of its header before is said again where the whole file is read.

        Args:
            name: Its path within the folder.
            words: What is wrong.
        """
        remark = LeftOut(text(name), words)
        with _lock:
            before = self._remarks.get(name)
            self._remarks[name] = remark
            self._report.remark(remark, before)

    def reason(self, name: str) -> str:
        """Return why a file that was added cannot be used.

        Args:
            name: Its path within the folder.
        """
        return self._reasons[name]

    def told(self) -> list[LeftOut]:
        """Return the files added since this was last asked for."""
        with _lock:
            untold, self._untold = self._untold, []
        return untold

    def warn(self, consequence: str = LEFT_OUT) -> None:
        """Give one warning of the files that nobody was told of yet.

        Args:
            consequence: What comes of it.
        """
        untold = self.told()
        if untold:
            single = len(untold) == 1
            files = "A file" if single else f"{len(untold):,} files"
            warnings.warn(
                f"{files} of '{self._report.source}' cannot be used, or no longer"
                f"{':' if single else ', among them'} '{untold[0].path}' ({untold[0].reason}). "
                f"{consequence} .report lists {'it' if single else 'them all'}.",
                stacklevel=2,
            )
