"""The lab's pictures, as files: `fastcnn bench conv --plot` and `fastcnn bench sweep --plot`."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from fastcnn.lab.plots import bars, crossover, roofline, style
from fastcnn.lab.problems.sweep import Sweep
from fastcnn.lab.report import captions
from fastcnn.lab.report.text import machine_line
from fastcnn.lab.results import Report


def check_path(path: str | PathLike[str]) -> None:
    """ValueError unless pictures can be drawn to such a file: worth asking before measuring."""
    if Path(path).suffix.lower() not in style.FORMATS:
        endings = ", ".join(style.FORMATS)
        raise ValueError(f"a picture's name must end in one of {endings}. Received '{path}'.")


def conv(report: Report, path: str | PathLike[str]) -> list[Path]:
    """Draw a comparison twice: for out.png into out-roofline.png and out-bars.png.

    Returns the paths. OSError in words where a
    file cannot be written.
    """
    machine = captions.place(machine_line(report.machine), report)
    figures = {"roofline": roofline.draw, "bars": bars.draw}
    return [
        style.save(draw(report, machine), style.beside(path, name))
        for name, draw in figures.items()
    ]


def sweep(report: Report, path: str | PathLike[str], swept: Sweep) -> list[Path]:
    """Draw the map of a sweep over two parameters, or the lines over one, to a file."""
    machine = captions.place(machine_line(report.machine), report)
    return [style.save(crossover.draw(report, swept, machine), path)]
