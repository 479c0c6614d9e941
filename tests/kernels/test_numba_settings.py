"""Numba's settings are told without its import, and are those that it would tell."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys
from fastcnn.utils import numba_settings
told = {name: numba_settings.setting(name) for name in numba_settings.DEFAULTS}
told["threads"] = numba_settings.threads()
imported = "numba" in sys.modules
from numba import config
right = {name: vars(config)[name] for name in numba_settings.DEFAULTS}
right["threads"] = config.NUMBA_NUM_THREADS
print(json.dumps([imported, told, right]))
"""


@pytest.mark.parametrize(
    ("variables", "file", "imported"),
    [
        ({}, "", False),
        ({"NUMBA_NUM_THREADS": "3"}, "", False),
        ({"NUMBA_OPT": "1", "NUMBA_BOUNDSCHECK": "1"}, "", True),
        ({}, "opt: 2\nnum_threads: 5\n", True),
    ],
)
def test_settings_are_numbas(variables, file, imported, tmp_path):
    if file:
        (tmp_path / ".numba_config.yaml").write_text(file)
    others = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**others, **variables},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    has_numba, told, right = json.loads(done.stdout)
    assert told == right
    assert has_numba == imported


def test_a_setting_that_a_program_changes_counts(monkeypatch):
    import numba

    from fastcnn.utils.numba_settings import setting

    monkeypatch.setattr(numba.config, "LOOP_VECTORIZE", 0)
    assert setting("LOOP_VECTORIZE") == 0
