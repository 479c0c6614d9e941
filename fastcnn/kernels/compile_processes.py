"""Processes beside this one that compile kernels, which find their way here by the folder on disk.

What a process cannot compile is left to the one that needs it, which then tells what is wrong.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from fastcnn.kernels import code_cache

if TYPE_CHECKING:
    import subprocess


def possible() -> bool:
    """Say whether this is Python: in a frozen application the executable is that application."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


@contextmanager
def beside(
    module: str, arguments: Iterable[Sequence[str]]
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run `python -m module` for each row of arguments meanwhile; what still runs ends after."""
    import subprocess  # which a process that finds its kernels does not need

    # It imports what this process imports, and nothing that lies in the working directory.
    folders = [entry for entry in sys.path if entry and isinstance(entry, str)]
    path = os.pathsep.join([str(code_cache.PACKAGE.parent), *folders])
    running: list[subprocess.Popen[bytes]] = []
    try:
        with suppress(OSError):  # no process can be started: this one compiles
            for row in arguments:
                running.append(
                    subprocess.Popen(
                        [sys.executable, "-m", module, *row],
                        env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                    )
                )
        yield running
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
            process.wait()
