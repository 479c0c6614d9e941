"""The example of a user's own pieces trains, saves and loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_custom_pieces_train_and_are_loaded():
    script = Path(__file__).parents[2] / "examples" / "custom_pieces.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Focal 'focal': right, computed in float64" in done.stdout
    assert done.stdout.endswith("the loaded model gives the same: True\n")
