"""A progress bar for reading many files, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from fastcnn.data.crew import Chunk

Some = TypeVar("Some", bound=Chunk)


def shown(title: str, chunks: Iterable[Some], total: int) -> Iterator[Some]:
    """The chunks as they come; where stderr is a terminal, a bar shows how many files are done."""
    if not sys.stderr.isatty():
        yield from chunks
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24, complete_style="cyan", finished_style="cyan"),
        MofNCompleteColumn(),
        Remaining(),
    )
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=total)
        for chunk in chunks:
            progress.advance(task, chunk.count)
            yield chunk
