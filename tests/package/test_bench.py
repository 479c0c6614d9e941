"""The measuring scripts start as a reader starts them, without what pytest adds to the path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_examples import ENVIRONMENT

BENCH = Path(__file__).parents[2] / "bench"
SCRIPTS = [
    path.name for path in sorted(BENCH.glob("*.py")) if "ArgumentParser" in path.read_text("utf-8")
]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_says_what_it_measures(name, tmp_path):
    command = [sys.executable, BENCH / name, "--help"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=ENVIRONMENT, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert f"usage: {name}" in done.stdout


def test_the_scripts_are_found():
    assert {"compare.py", "data_load.py", "gpu.py"} <= set(SCRIPTS)


def test_a_batch_of_no_images_is_refused():
    command = [sys.executable, BENCH / "networks.py", "--batch", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=ENVIRONMENT)
    assert done.returncode == 2
    assert "expected a whole number of at least 1, got 0" in done.stderr
