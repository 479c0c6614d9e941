"""What a model says of files, as lines to read, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, TypeAlias

from fastcnn.cli.options.errors import UsageError
from fastcnn.utils import atomic_file
from fastcnn.utils.naming import shown

Entry: TypeAlias = dict[str, Any]
"""Of one file: "image", its path, and "classes" or "values" and more, see `models.predictions`."""

COLUMNS = ("image", "rank", "label", "name", "probability")
VALUE_COLUMNS = ("image", "output", "value")


def as_line(entry: Entry) -> str:
    """The entry as a line to read."""
    if "values" in entry:
        names = entry.get("names") or [""] * len(entry["values"])
        values = zip(names, entry["values"], strict=True)
        return shown(
            f"{entry['image']}: {', '.join(f'{n} {value:.6g}'.strip() for n, value in values)}"
        )
    classes = (f"{best['name']} {100 * best['probability']:.1f} %" for best in entry["classes"])
    said = f" (above 50 %: {', '.join(entry['true']) or 'none'})" if "true" in entry else ""
    return shown(f"{entry['image']}: {', '.join(classes)}{said}")


def as_json(report: list[Entry]) -> str:
    """A list of all entries."""
    return json.dumps(report) + "\n"


def as_csv(report: list[Entry]) -> str:
    """A row for each class of each image, the likeliest first, or for each value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(VALUE_COLUMNS if report and "values" in report[0] else COLUMNS)
    for entry in report:
        for number, value in enumerate(entry.get("values", ())):
            output = entry["names"][number] if "names" in entry else number
            writer.writerow([entry["image"], output, value])
        for rank, best in enumerate(entry.get("classes", ()), 1):
            row = [best["label"], best["name"], best["probability"]]
            writer.writerow([entry["image"], rank, *row])
    return text.getvalue()


FORMATS = {".csv": as_csv, ".json": as_json}


def check(path: str) -> None:
    """UsageError where a file's name does not say its format, OSError where none can be written."""
    if Path(path).suffix.lower() not in FORMATS:
        raise UsageError(f"--out must end in {' or '.join(FORMATS)}. Received '{path}'.")
    atomic_file.check(path)


def write(path: str, report: list[Entry]) -> None:
    """Write all entries to a file whose ending says the format."""
    text = FORMATS[Path(path).suffix.lower()](report)
    with atomic_file.replacing(path) as file:
        file.write(text.encode())
