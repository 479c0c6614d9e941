"""Programs started several times at once, by the mpirun beside this Python or the system's."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
DEADLINE = 240  # seconds; a hang is an error, not a wait


def command(ranks, program, *arguments):
    beside = Path(sys.executable).parent
    mpirun = shutil.which("mpirun", path=f"{beside}{os.pathsep}{os.environ['PATH']}")
    assert mpirun, "These tests need an mpirun: pip install mpich."
    return [mpirun, "-n", str(ranks), sys.executable, str(HERE / program), *map(str, arguments)]


def environment(simulator=None):
    # Ranks share the cores, as they do for a user.
    variables = {name: value for name, value in os.environ.items() if name != "NUMBA_NUM_THREADS"}
    folders = [str(HERE), str(HERE.parent / "helpers"), variables["PYTHONPATH"]]
    if simulator is not None:
        variables |= {"NUMBA_ENABLE_CUDASIM": "1", "CUDA_VISIBLE_DEVICES": "4,7"}
        folders.append(str(simulator))
    return {**variables, "PYTHONPATH": os.pathsep.join(folders)}


def run(ranks, program, *arguments, simulator=None):
    """The finished process; `ranks` 0 starts the program by itself, and `simulator` is the folder
    of what runs simulated GPUs."""
    line = command(max(ranks, 1), program, *arguments)
    return subprocess.run(
        line if ranks else line[3:],
        env=environment(simulator),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )


def told(folder):
    """What the ranks of a run left in a folder, in their order."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("rank*.json"))]


def start(ranks, program, *arguments):
    return subprocess.Popen(
        command(ranks, program, *arguments),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
