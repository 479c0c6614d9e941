"""A progress bar for reading many files, on a terminal."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import TypeVar

from fastcnn.data.images.parallel_decode import Chunk
from fastcnn.utils import messages

Some = TypeVar("Some", bound=Chunk)


def shown(
    title: str, chunks: Generator[Some, None, None], total: int
) -> Generator[Some, None, None]:
    """Yield chunks as they come; where stderr is a terminal, a bar shows how many files are done.

    They are closed with this generator, which whoever may leave off early has to close.

    Args:
        title: Before the bar.
        chunks: What comes.
        total: Files of all chunks.
    """
    with closing(chunks):
        if messages.on_terminal():
            yield from _with_bar(title, chunks, total)
        else:
            yield from chunks


def _with_bar(
    title: str, chunks: Generator[Some, None, None], total: int
) -> Generator[Some, None, None]:
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
