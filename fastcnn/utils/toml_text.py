"""Plain values as TOML, which Python reads and does not write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def value(content: object) -> str:
    """Return a value as TOML writes it.

    Args:
        content: A text, a number, a list or a mapping of such.

    Raises:
        TypeError: It is something else.
    """
    if isinstance(content, bool):
        return "true" if content else "false"
    if isinstance(content, int | float):
        return repr(content)
    if isinstance(content, str):  # JSON's escapes are TOML's, which wants one more
        return json.dumps(content, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(content, list | tuple):
        return f"[{', '.join(map(value, content))}]"
    if isinstance(content, Mapping):
        pairs = (f"{_key(name)} = {value(inner)}" for name, inner in content.items())
        return f"{{ {', '.join(pairs)} }}" if content else "{}"
    raise TypeError(f"TOML has no value for {content!r}.")


def lines(content: Mapping[str, object]) -> str:
    """Return a mapping as lines of TOML, without names whose value is None.

    Args:
        content: Values by name.
    """
    held = {name: inner for name, inner in content.items() if inner is not None}
    return "".join(f"{_key(name)} = {value(inner)}\n" for name, inner in held.items())


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else value(name)
