"""`fastcnn info`: show what fastcnn found on this computer."""

from __future__ import annotations

import argparse
import json
import textwrap
from typing import Any

from fastcnn.cli.resolve import system_info

WIDTH = 80


def run(args: argparse.Namespace) -> int:
    """Print the processor, threads, caches, kernel cache, CUDA and versions."""
    system = system_info.describe()
    print(json.dumps(system) if args.json else _text(system))
    return 0


def _text(system: dict[str, Any]) -> str:
    cuda = system["cuda"]
    sizes = ", ".join(f"{name} {_size(size)}" for name, size in system["caches"].items())
    rows = {
        "processor": system["processor"],
        "vector width": f"{system['vector_bits']} bits, {system['vector_bits'] // 32} floats",
        "threads": f"{system['threads']} of {system['cores']} cores",
        "caches": sizes or "unknown",
        "kernel cache": _kernel_cache(system["kernel_cache"]),
        "CUDA": _cuda(cuda),
        "system": system["system"],
        "versions": ", ".join(f"{name} {version}" for name, version in system["versions"].items()),
    }
    width = max(map(len, rows)) + 2
    return "\n".join(
        textwrap.fill(
            f"{name:<{width}}{value}",
            WIDTH,
            subsequent_indent=" " * width,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for name, value in rows.items()
    )


def _kernel_cache(cache: dict[str, Any]) -> str:
    if cache["directory"] is None:
        return "none (FASTCNN_CACHE=0, or no home)"
    text = f"{cache['directory']}, {cache['kernels']} kernels, {_size(cache['bytes'])}"
    if cache["damaged"]:
        text += f"; damaged, and compiled anew when needed: {', '.join(cache['damaged'])}"
    if cache["untrusted"]:
        text += f"; not read, since others could have written them: {', '.join(cache['untrusted'])}"
    if cache["refused"]:
        text += f". {cache['refused']}"
    return text


def _cuda(cuda: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in cuda.get("packages", {}).items())
    used = f" ({packages})" if packages else ""
    if not cuda["available"]:
        return f"no: {cuda['reason']}{used}"
    if cuda["simulated"]:
        return f"simulated on the CPU, for tests{used}"
    memory = f"{cuda['free'] / 2**30:.1f} of {cuda['memory'] / 2**30:.1f} GiB free"
    about = f"compute capability {cuda['capability']}, {memory}, driver for CUDA {cuda['driver']}"
    return f"{cuda['name']}, {about}{used}"


def _size(count: int) -> str:
    for limit, unit in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= limit:
            return f"{count / limit:.3g} {unit}"
    return f"{count} bytes"
