"""One output of a notebook's cell, which changes while a training runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from fastcnn.utils import markup

Display = Callable[..., Any]
"""IPython's `display`."""

KEPT = 10
"""Lines that stay below the bar; of those before them only the number is told."""


def display() -> Display | None:
    """Return IPython's `display` in a notebook's kernel; None elsewhere.

    Rich draws there by ipywidgets alone, whose output a saved notebook does not keep; this needs
    nothing and is kept.
    """
    ipython = sys.modules.get("IPython")  # every kernel has imported it
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or getattr(shell, "kernel", None) is None:
        return None
    from IPython.display import display

    return display


class Output:
    """A bar, and the lines of what has ended."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._handle: Any = None
        self._lines: list[str] = []
        self._has_bar = False

    @property
    def shown(self) -> bool:
        """Whether anything has been shown."""
        return self._handle is not None

    def bar(self, title: str, done: int, total: int | None, told: str) -> None:
        """Show how much of something is done, with a few words."""
        span = "" if total is None else f' value="{done}" max="{total}"'
        self._show(f"{markup.text(title)} <progress{span}></progress> {markup.text(told)}")

    def line(self, text: str) -> None:
        """Add a line, and take the bar away."""
        self._lines.append(text)
        self._show("")

    def close(self) -> None:
        """Take away a bar that nothing ended."""
        if self._has_bar:
            self._show("")

    def _show(self, bar: str) -> None:
        self._has_bar = bool(bar)
        earlier = len(self._lines) - KEPT
        lines = ([f"… {earlier} more"] if earlier > 0 else []) + self._lines[-KEPT:]
        style = 'style="margin:0;white-space:pre-wrap"'
        page = f"<div>{bar}<pre {style}>{markup.text(chr(10).join(lines))}</pre></div>"
        content = {"text/html": page, "text/plain": "\n".join(lines)}
        if self._handle is None:
            self._handle = self._display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
