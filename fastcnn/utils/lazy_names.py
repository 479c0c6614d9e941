"""Names that a package offers, from modules that are imported when a name is first used.

    if TYPE_CHECKING:
        from fastcnn.data.augment.mixing import CutMix, MixUp

    __all__ = ["CutMix", "MixUp"]
    __getattr__, __dir__ = lazy_names(
        __name__, {"fastcnn.data.augment.mixing": "CutMix MixUp"}
    )

What few programs need then costs the others nothing at their start. Type checkers and editors read
the first lines (PEP 562 says what Python does with the last).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's `__getattr__` and `__dir__`.

    The package's own modules are found by their names as well, as after an import of them.

    Args:
        package: Its name.
        modules: The names that it takes from each module, separated by spaces.
    """
    sources = {name: module for module, names in modules.items() for name in names.split()}
    namespace = vars(sys.modules[package])

    def get(name: str) -> Any:
        if name in sources:
            value = getattr(import_module(sources[name]), name)
            namespace[name] = value
            return value
        module = f"{package}.{name}"
        try:
            if not name.startswith("_"):
                return import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
        raise AttributeError(f"module '{package}' has no attribute '{name}'")

    def listed() -> list[str]:
        return sorted({*namespace, *sources, *namespace.get("__all__", ())})

    return get, listed
