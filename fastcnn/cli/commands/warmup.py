"""`fastcnn warmup`: compile every kernel into the cache."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

import fastcnn
from fastcnn.cli.resolve import system_info
from fastcnn.kernels.cpu.runtime import compile, compile_cache, kernel


def run(args: argparse.Namespace) -> int:
    """Compile or load every kernel and the executor, and say what it took."""
    start = time.perf_counter()
    _first_step()
    compile.load(kernel.all_kernels())
    folder = compile_cache.cache_directory()
    report = {
        "seconds": time.perf_counter() - start,
        "kernels": len(kernel.all_kernels()),
        "directory": None if folder is None else str(folder),
        "bytes": system_info.folder_size(folder),
    }
    print(json.dumps(report) if args.json else _text(report))
    return 0


def _first_step() -> None:
    """A step brings in every kernel's module."""
    layers = [fastcnn.layers.Flatten(), fastcnn.layers.Dense(2)]
    model = fastcnn.Sequential(layers, input_shape=(2, 2, 1), device="cpu")
    model.compile("sgd", "mean_squared_error")
    model.train_on_batch(np.zeros((2, 2, 2, 1), np.float32), np.zeros((2, 2), np.float32))


def _text(report: dict[str, Any]) -> str:
    sentence = f"{report['kernels']} kernels ready in {report['seconds']:.1f} s"
    if report["directory"] is None:
        return f"{sentence}; none is kept (FASTCNN_CACHE=0, or no home)."
    return f"{sentence}, {report['bytes'] / 2**20:.1f} MiB in {report['directory']}."
