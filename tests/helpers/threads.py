"""Functions of a test in threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np


def run_together(function: Callable[..., None], arguments: Iterable[tuple[Any, ...]]) -> None:
    """Call a function with each of the arguments, all at once; return when all calls have ended."""
    threads = [threading.Thread(target=function, args=each) for each in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def predict_together(models: list[Any], x: Any, times: int = 30) -> None:
    """Let models predict at once, again and again: each must get what it gets alone."""
    expected = [model.predict(x) for model in models]
    wrong = []

    def ask(model: Any, outputs: Any) -> None:
        for _ in range(times):
            if not np.array_equal(model.predict(x), outputs):
                wrong.append(model)

    run_together(ask, zip(models, expected, strict=True))
    assert not wrong
