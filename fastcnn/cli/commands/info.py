"""`fastcnn info`: show what fastcnn found on this computer."""

from __future__ import annotations

import argparse
import json
from typing import Any

from fastcnn.cli.resolve import system_info


def run(given: argparse.Namespace) -> int:
    """Prints the processor, threads, caches, kernel cache, CUDA and versions."""
    found = system_info.describe()
    print(json.dumps(found) if given.json else _text(found))
    return 0


def _text(found: dict[str, Any]) -> str:
    cuda = found["cuda"]
    sizes = ", ".join(f"{name} {_size(size)}" for name, size in found["caches"].items())
    rows = {
        "processor": found["processor"],
        "vector width": f"{found['vector_bits']} bits, {found['vector_bits'] // 32} floats",
        "threads": f"{found['threads']} of {found['cores']} cores",
        "caches": sizes or "unknown",
        "kernel cache": _kernel_cache(found["kernel_cache"]),
        "CUDA": _cuda(cuda),
        "system": found["system"],
        "versions": ", ".join(f"{name} {one}" for name, one in found["versions"].items()),
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def _kernel_cache(kept: dict[str, Any]) -> str:
    if kept["directory"] is None:
        return "none (FASTCNN_CACHE=0, or no home)"
    text = f"{kept['directory']}, {kept['kernels']} kernels, {_size(kept['bytes'])}"
    if kept["damaged"]:
        text += f"; damaged, and compiled anew when needed: {', '.join(kept['damaged'])}"
    if kept["refused"]:
        text += f". {kept['refused']}"
    return text


def _cuda(found: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {one}" for name, one in found.get("packages", {}).items())
    used = f" ({packages})" if packages else ""
    if not found["available"]:
        return f"no: {found['reason']}{used}"
    if found["simulated"]:
        return f"simulated on the CPU, for tests{used}"
    memory = f"{found['free'] / 2**30:.1f} of {found['memory'] / 2**30:.1f} GiB free"
    about = f"compute capability {found['capability']}, {memory}, driver for CUDA {found['driver']}"
    return f"{found['name']}, {about}{used}"


def _size(count: int) -> str:
    for limit, unit in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= limit:
            return f"{count / limit:.3g} {unit}"
    return f"{count} bytes"
