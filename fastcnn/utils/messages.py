"""What is said to the user while something runs: on stderr, where there is one.

A windowed Python has none, and whoever read it may have left: no computation ends for that.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import TextIO

from fastcnn.utils.naming import shown

CLEAR_LINE = "\x1b[K"
COLUMN_GAP = re.compile(r"(?<=\S)  +(?=\S)")
SINGLE_SPACE = re.compile(r"(?<=\S) (?=\S)")
HELD = "\x1f"
"""Stands for a space at which a line does not end."""
NOTE = "Note: "
"""What a line begins with that a result must be read with."""
_sinks: list[Callable[[str], None]] = []
_notes: list[list[str]] = []
_silent = False


def say(text: object) -> None:
    """Write a line to stderr, if it takes any; what its encoding lacks is written as an escape."""
    text = shown(str(text), keep="\n\t")
    if text.startswith(NOTE):
        for kept in _notes:
            kept.append(text.removeprefix(NOTE))
    stream = sys.stderr
    if _silent or not _usable(stream):
        return
    text = wrapped(text, stream)
    with contextlib.suppress(OSError, ValueError):
        try:
            _write(stream, f"{text}\n")
        except UnicodeEncodeError:
            _write(stream, text.encode("ascii", "backslashreplace").decode() + "\n")


def silence() -> None:
    """Say nothing from now on: another process says it."""
    global _silent
    _silent = True


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Say nothing meanwhile."""
    global _silent
    before, _silent = _silent, True
    try:
        yield
    finally:
        _silent = before


@contextlib.contextmanager
def notes_kept() -> Iterator[list[str]]:
    """Keep the notes that are said meanwhile, besides saying them."""
    kept: list[str] = []
    _notes.append(kept)
    try:
        yield kept
    finally:
        _notes.pop()


def wrapped(text: str, stream: TextIO | None) -> str:
    """Return a text as a terminal shows it best: its lines end between words, and where a line has
    columns, two spaces apart, between these. What is no terminal gets it as it is.

    Args:
        text: One line or several.
        stream: Where it is written.
    """
    if not is_terminal(stream):
        return text
    width = shutil.get_terminal_size().columns
    lines = (_fitting(line, width) if len(line) > width else [line] for line in text.split("\n"))
    return "\n".join(itertools.chain.from_iterable(lines))


def _fitting(line: str, width: int) -> list[str]:
    margin = " " * (len(line) - len(line.lstrip()))
    wrapper = textwrap.TextWrapper(
        width,
        subsequent_indent=f"{margin}    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    if not COLUMN_GAP.search(line):
        return wrapper.wrap(line)
    kept = [row.replace(HELD, " ") for row in wrapper.wrap(SINGLE_SPACE.sub(HELD, line))]
    return [part for row in kept for part in ([row] if len(row) <= width else wrapper.wrap(row))]


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
