"""`fastcnn export`: write a model for other programs."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.resolve import model as models
from fastcnn.models.sequential import Sequential
from fastcnn.utils import atomic_file
from fastcnn.utils.naming import shown

WRITERS = {
    ".onnx": Sequential.to_onnx,
    ".keras": Sequential.to_keras,
    ".safetensors": Sequential.save_weights,
    ".weights.h5": Sequential.save_weights,
}
"""By the ending of a file's name: a model of ONNX or Keras, or weights alone."""


def run(args: argparse.Namespace) -> int:
    """Write the file and tell its size."""
    ending = next((ending for ending in WRITERS if args.out.endswith(ending)), None)
    if ending is None:
        raise UsageError(
            f"--out must end in {', '.join(WRITERS)}, which says the format. Received '{args.out}'."
        )
    atomic_file.check(args.out)
    model = models.with_weights(args.model, args.weights)
    WRITERS[ending](model, args.out)
    size = os.path.getsize(args.out)
    if args.json:
        print(json.dumps({"file": str(Path(args.out)), "bytes": size}))
    else:
        print(f"{shown(args.out)}: {size:,} bytes")
    return 0
