"""Texts in the columns of a terminal, in which some letters are two wide and others none."""

from __future__ import annotations

import shutil

from rich.cells import cell_len, set_cell_size

from fastcnn.utils.naming import shown

GAP = "..."
LEAST = 8
"""No name is cut to less."""


def available() -> int:
    """Return how wide the terminal is; 80 where there is none."""
    return shutil.get_terminal_size().columns


def width(text: str) -> int:
    """Return how many columns a text takes.

    Args:
        text: One line.
    """
    return cell_len(shown(text))


def cut(text: str, room: int) -> str:
    """Return a text without its middle, where it is too long: names differ at their ends.
    Line breaks and the like are escaped.

    Args:
        text: One line.
        room: Columns that there are.
    """
    text = shown(text)
    if width(text) <= room:
        return text
    kept = max(room, LEAST) - len(GAP)
    end = kept // 2
    begin = set_cell_size(text, kept - end).rstrip()
    while width(text[-end:]) > kept - width(begin):
        end -= 1
    return f"{begin}{GAP}{text[-end:]}" if end else begin + GAP


def padded(text: str, room: int, right: bool = False) -> str:
    """Return a text with spaces behind it, or before it.

    Args:
        text: One line.
        room: Columns that it shall take.
        right: Whether the text stands at the right.
    """
    spaces = " " * (room - width(text))
    return spaces + text if right else text + spaces


def table(rows: list[list[str]], left: int = 1, names: int = 1) -> list[str]:
    """Return the lines of a table that fits the terminal, as far as cutting names does it.

    Args:
        rows: Cells, as many in each row.
        left: So many columns stand at the left, the others at the right.
        names: So many of the first ones may be cut, the widest first.
    """
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    excess = sum(widths) + 2 * (len(widths) - 1) - available()
    while excess > 0 and max(widths[:names]) > LEAST:
        widest = widths.index(max(widths[:names]))
        widths[widest] -= 1
        excess -= 1
    return [
        "  ".join(
            padded(cut(cell, room), room, number >= left)
            for number, (cell, room) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
