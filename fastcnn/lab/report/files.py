"""A report as files: JSON with everything, CSV with a line for each result."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import asdict
from typing import Any

from fastcnn.lab.report.totals import totals
from fastcnn.lab.results import Report, Result
from fastcnn.utils import atomic_file

FIGURES = (
    *("strategy", "variant", "verdict", "reason", "minimum_ms", "median_ms", "gflops", "of_sgemm"),
    *("of_roofline", "workspace", "error", "to_direct", "to_peer"),
)


def as_json(report: Report) -> str:
    """Return a report as JSON, with the sums that its text shows."""
    sums = [asdict(total) for total in totals(report)]
    return json.dumps({**report.described(), "totals": sums}, indent=1, allow_nan=False)


def as_csv(report: Report) -> str:
    """Return a report's results as CSV; what a result lacks is empty."""
    text = io.StringIO()
    rows = [_row(report, result) for result in report.results]
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(report: Report, result: Result) -> dict[str, Any]:
    named = result.problem
    choice = report.choice(named, result.direction)
    return {
        "set": named.set,
        "name": named.name,
        "count": named.count,
        "descriptor": named.descriptor,
        "batch": named.batch,
        "direction": result.direction,
        **{figure: getattr(result, figure) for figure in FIGURES},
        "auto": int(choice is not None and choice.strategy == result.strategy),
        "intensity": result.intensity,
        "threads": report.machine["threads"],
        "device": report.machine.get("device", "cpu"),
        "precision": report.machine.get("precision", "float32"),
    }


write = atomic_file.write_text


def check(path: str | os.PathLike[str]) -> None:
    """ValueError in words unless a file can be written there: worth asking before measuring."""
    try:
        atomic_file.check(path)
    except OSError as error:
        raise ValueError(str(error)) from error
