"""The notebooks run from their first cell to their last, and are kept without outputs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from code_blocks import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path):
    folders = dict.fromkeys(("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR"), tmp_path)
    others = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    # A notebook runs in its own folder, where it saves its model.
    copy = shutil.copy(path, tmp_path)
    command = [sys.executable, "-m", "jupyter", "execute", copy]
    done = subprocess.run(
        [*command, "--inplace", "--timeout", "300"],
        cwd=tmp_path,
        env={**others, **folders},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    shown = nbformat.read(copy, as_version=4)
    kinds = [output.output_type for cell in shown.cells for output in cell.get("outputs", ())]
    assert "error" not in kinds and "display_data" in kinds


def test_notebooks_are_kept_without_outputs():
    assert len(NOTEBOOKS) == 2
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            assert not cell.get("outputs") and cell.get("execution_count") is None, path.name
