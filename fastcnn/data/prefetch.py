"""Work done ahead in threads, its results taken in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

Piece = TypeVar("Piece")
Slot = TypeVar("Slot")
Result = TypeVar("Result")


def ahead(
    prepare: Callable[[Piece, Slot], Result],
    pieces: Iterable[Piece],
    slots: Sequence[Slot],
    workers: int,
) -> Generator[Result, None, None]:
    """Yield what becomes of each piece, in order; threads work ahead.

    A slot is used again only when the caller asks for the next result, so that at most
    ``len(slots)`` results exist. With 0 workers the caller does the work, when a result is due, in
    the first slot. What ``prepare`` raises is raised where its result is due. When the iteration
    ends, in whatever way, nothing that waits is begun any more, and the threads have ended.

    Args:
        prepare: Called with a piece and one of the slots, in turn.
        pieces: What there is to do.
        slots: The memory, say, that a piece is made in.
        workers: How many threads.
    """
    if not workers:
        for piece in pieces:
            yield prepare(piece, slots[0])
        return
    from concurrent.futures import ThreadPoolExecutor  # and with it logging

    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="fastcnn-batches") as threads:
        try:
            for piece, slot in zip(pieces, cycle(slots), strict=False):
                if len(waiting) == len(slots):
                    yield waiting.popleft().result()
                waiting.append(threads.submit(prepare, piece, slot))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
