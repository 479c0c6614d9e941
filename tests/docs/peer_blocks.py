"""Run the other columns of the pages for who comes from another framework, by hand.

python tests/docs/peer_blocks.py PYTHON    (which has Keras 3, PyTorch, onnx and safetensors)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from code_blocks import ROOT, blocks

COLUMNS = {"Keras": "keras.md", "PyTorch": "pytorch.md"}
IMAGES = """\
import numpy as np
x = np.random.default_rng(0).integers(0, 256, (256, 28, 28, 1)).astype("uint8")
y = np.random.default_rng(1).integers(0, 10, 256)
x_test, y_test = x[:64], y[:64]
"""


def main(python: str) -> None:
    for framework, page in COLUMNS.items():
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        column = [block.text for block in blocks(text) if block.title == framework]
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                [python, "-c", "\n".join([IMAGES, *column])],
                cwd=folder,
                env={**os.environ, "KERAS_BACKEND": "torch"},
                check=True,
            )
        print(f"{page}: {len(column)} blocks of {framework} run.")


if __name__ == "__main__":
    main(sys.argv[1])
