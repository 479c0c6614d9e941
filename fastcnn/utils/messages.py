"""What is said to the user while something runs: on stderr, where there is one.

A windowed Python has none, and whoever read it may have left: no computation ends for that.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

CLEAR_LINE = "\x1b[K"
_sinks: list[Callable[[str], None]] = []


def say(text: object) -> None:
    """Write a line to stderr, if it takes any; what its encoding lacks is written as an escape."""
    stream = sys.stderr
    if not _usable(stream):
        return
    with contextlib.suppress(OSError, ValueError):
        try:
            _write(stream, f"{text}\n")
        except UnicodeEncodeError:
            _write(stream, str(text).encode("ascii", "backslashreplace").decode() + "\n")


def status(text: str) -> None:
    """Show what goes on, for as long as it goes on: on a terminal, in the place of the last one.

    An empty text ends it. While `status_shown_by` is in force, that shows it.
    """
    if _sinks:
        _sinks[-1](text)
    elif on_terminal():
        with contextlib.suppress(OSError, ValueError):
            _write(sys.stderr, f"\r{CLEAR_LINE}{text}")


@contextlib.contextmanager
def status_cleared() -> Iterator[None]:
    """Show no status any more afterwards, however it ends."""
    try:
        yield
    finally:
        status("")


@contextlib.contextmanager
def status_shown_by(show: Callable[[str], None]) -> Iterator[None]:
    """Have a function show each status meanwhile."""
    _sinks.append(show)
    try:
        yield
    finally:
        _sinks.remove(show)


def on_terminal() -> bool:
    """Say whether stderr is a terminal."""
    return is_terminal(sys.stderr)


def is_terminal(stream: TextIO | None) -> bool:
    """Say whether a stream is a terminal; None, a closed one, and one that knows nothing but
    `write`, as a program with windows may put in place of stderr, are not."""
    asked = getattr(stream, "isatty", None)
    return _usable(stream) and asked is not None and bool(asked())


def _write(stream: TextIO, text: str) -> None:
    stream.write(text)
    flush = getattr(stream, "flush", None)
    if flush is not None:
        flush()


def _usable(stream: TextIO | None) -> bool:
    return stream is not None and not getattr(stream, "closed", False)
