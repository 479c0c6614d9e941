"""A command that several processes run: the first one tells, all end together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from fastcnn.distributed import agreement
from fastcnn.distributed.ranks import Ranks
from fastcnn.utils import messages


@contextlib.contextmanager
def shared(ranks: Ranks) -> Iterator[None]:
    """Let rank 0 alone say anything; where a rank cannot even begin to train, no other waits for
    it, and rank 0 says why."""
    if ranks.rank:
        messages.silence()
    try:
        yield
    except Exception as error:
        if not ranks.voted:
            agreement.tell_error(ranks, error)
        raise
