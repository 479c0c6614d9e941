"""A table of pictures: a .csv file with the name of a file and what is to be learnt in each row."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.resolve import targets
from fastcnn.cli.resolve.image_set import ImageSet
from fastcnn.cli.resolve.image_subset import ImageSubset
from fastcnn.data.images.decoder import Decoder
from fastcnn.data.images.file_format import Unreadable
from fastcnn.data.images.pictures import Pictures
from fastcnn.models.predictions import Kind
from fastcnn.utils import input_file, system
from fastcnn.utils.naming import printable

FILE_COLUMNS = ("file", "filename", "file_name", "image", "image_path", "path", "filepath", "name")
SEPARATORS = "|;,"
"""Between the labels of one cell."""
MOST_BYTES = 1 << 28
CHUNK = 256


@dataclass(frozen=True)
class PictureTable:
    """The rows of a table.

    Args:
        files: Paths of the pictures.
        kind: What the targets are.
        names: Of the classes, the labels or the columns of numbers.
        targets: int32 [n] of classes, else float32 [n, outputs].
    """

    files: list[str]
    kind: Kind
    names: list[str]
    targets: NDArray[np.generic]


def opened(text: str, decoder: Decoder) -> ImageSet:
    """The set of a table, its pictures decoded.

    Args:
        text: The .csv file.
        decoder: What makes images of files.

    Raises:
        UsageError: It is no such table, a picture cannot be read, or memory is too small.
    """
    table = read(Path(text))
    size = len(table.files) * int(np.prod(decoder.shape))
    if size > system.available_memory() // 2:
        raise UsageError(
            f"'{text}': {len(table.files):,} pictures of {decoder.height}x{decoder.width} pixels "
            f"take {size >> 20:,} MiB. Choose a smaller --image-size."
        )
    pictures = Pictures(table.files, decoder)
    images = np.empty((len(pictures), *decoder.shape), np.uint8)
    try:
        for start in range(0, len(images), CHUNK):
            part = np.arange(start, min(start + CHUNK, len(images)))
            pictures.images(part, images[part[0] : part[-1] + 1])
    except Unreadable as error:
        raise UsageError(f"'{text}': {error}") from error
    subset = ImageSubset(images, table.targets, table.files)
    return ImageSet(text, subset, None, table.names, kind=table.kind)


def read(path: Path) -> PictureTable:
    """The rows of a .csv file, whose first one names the columns.

    One column holds files' names, from the table's folder on: that with such a name as "file", or
    else the first. The others are numbers (a regression), 0 and 1 (labels), or a single one of
    text: a class, or several labels between | or ; or commas.

    Args:
        path: The file.

    Raises:
        UsageError: It holds something else; the message says in which line.
    """
    head, rows = _rows(path)
    place = next((n for n, name in enumerate(head) if name.lower() in FILE_COLUMNS), 0)
    files = [str(path.parent / row[place]) for row in rows]
    for line, file in enumerate(files, 2):
        if not Path(file).is_file():
            raise UsageError(
                f"'{path}', line {line}: there is no file '{printable(file)}'. Column "
                f"'{head[place]}' must name pictures, from the table's folder on."
            )
    if (path.parent / head[place]).is_file():
        raise UsageError(
            f"'{path}', line 1 must name the columns, such as 'file,width'. It names a picture, "
            f"'{printable(head[place])}'."
        )
    names = [name for n, name in enumerate(head) if n != place]
    columns = [[row[n] for row in rows] for n in range(len(head)) if n != place]
    kind, names, targets = _targets(path, names, columns)
    return PictureTable(files, kind, names, targets)


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    with input_file.opened(path) as file:
        content = _text(path, file.read(MOST_BYTES))
    first = content.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(content), delimiter=delimiter) if row]
    except csv.Error as error:
        raise UsageError(f"'{path}' is no table: {error}.") from error
    if len(rows) < 2 or len(rows[0]) < 2:
        raise UsageError(
            f"'{path}' must have a line with the names of its columns, a column of files and one "
            "or more of what is to be learnt, such as 'file,width' above 'a.png,12.5'."
        )
    head = [name.strip() for name in rows[0]]
    twice = next((name for n, name in enumerate(head) if name in head[:n]), None)
    if twice is not None:
        raise UsageError(f"'{path}', line 1: two columns are named '{printable(twice)}'.")
    for line, row in enumerate(rows[1:], 2):
        if len(row) != len(head):
            raise UsageError(f"'{path}', line {line}: expected {len(head)} cells, not {len(row)}.")
    return head, [[cell.strip() for cell in row] for row in rows[1:]]


def _text(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"'{path}', line {line} is no text in UTF-8. Save the table as 'CSV UTF-8'."
        ) from error


def _targets(
    path: Path, names: list[str], columns: list[list[str]]
) -> tuple[Kind, list[str], NDArray[np.generic]]:
    if len(columns) == 1 and any(not _is_number(cell) for cell in columns[0]):
        return _of_text(path, names[0], columns[0])
    for name, cells in zip(names, columns, strict=True):
        for line, cell in enumerate(cells, 2):
            if not _is_number(cell):
                raise UsageError(
                    f"'{path}', line {line}: column '{name}' must hold finite numbers. Received "
                    f"{cell!r}. Of several columns all are numbers; leave out the others."
                )
    numbers = targets.as_float32(np.array(columns, np.float64).T, f"'{path}'")
    is_labels = len(names) > 1 and bool(np.isin(numbers, (0, 1)).all())
    return ("labels" if is_labels else "values"), names, numbers


def _of_text(
    path: Path, name: str, cells: list[str]
) -> tuple[Kind, list[str], NDArray[np.generic]]:
    """Classes of a column of text, or labels where a cell holds several or none."""
    if any(map(_is_measure, cells)):
        line, cell = next((n, cell) for n, cell in enumerate(cells, 2) if not _is_number(cell))
        raise UsageError(
            f"'{path}', line {line}: column '{name}' must hold finite numbers, with decimal "
            f"points, in all rows, or names of classes. Received '{printable(cell)}'."
        )
    used = [separator for separator in SEPARATORS if any(separator in cell for cell in cells)]
    if not used:
        empty = next((line for line, cell in enumerate(cells, 2) if not cell), None)
        if empty is not None:
            raise UsageError(f"'{path}', line {empty}: column '{name}' is empty.")
        classes = sorted(set(cells))
        return "classes", classes, np.array([classes.index(cell) for cell in cells], np.int32)
    sets = [{part.strip() for part in cell.split(used[0])} - {""} for cell in cells]
    labels = sorted(set().union(*sets))
    held = np.array([[label in cell for label in labels] for cell in sets], np.float32)
    return "labels", labels, held


def _is_measure(cell: str) -> bool:
    """Whether text is a number and no class's name: "2.5", "2,5" or "nan", but not "7"."""
    try:
        return not float(cell.replace(",", ".", 1)).is_integer()
    except ValueError:
        return False


def _is_number(cell: str) -> bool:
    try:
        return bool(np.isfinite(float(cell)))
    except ValueError:
        return False
