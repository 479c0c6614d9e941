"""bench/gpu.py: what it checks, what it writes, and that it makes up no times."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
sys.path.insert(0, str(BENCH))

from contestants import Result  # noqa: E402
from gpu import cases, checking, racing  # noqa: E402
from gpu.checking import Check  # noqa: E402
from gpu.clock import Clock  # noqa: E402
from gpu.paper import NO_TIMES, Paper  # noqa: E402
from gpu.racing import Race  # noqa: E402
from gpu.scale import FULL, TINY  # noqa: E402

from fastcnn import zoo  # noqa: E402
from fastcnn.kernels.cuda.convolution import STRATEGIES  # noqa: E402
from fastcnn.lab import sets  # noqa: E402

CARD = {"processor": "Abacus 9000", "simulated": False, "multiprocessors": 2, "memory": 1 << 33}
CARD |= {"compute_capability": "9.0", "driver": "1.2", "package": "numba-cuda 0"}


def paper(folder: Path, simulated: bool = False) -> Paper:
    machine = {"card": {**CARD, "simulated": simulated}, "precision": "float32"}
    return Paper(folder, {**machine, "system": "Linux", "versions": {"fastcnn": "1"}})


def run(monkeypatch, *arguments: str) -> int:
    """The exit status of `python bench/gpu.py`."""
    monkeypatch.setattr(sys, "argv", ["gpu.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(BENCH / "gpu.py"), run_name="__main__")
    return ended.value.code


def test_a_run_in_the_simulator(monkeypatch, tmp_path, capsys):
    assert run(monkeypatch, "--tiny", "--only", "curve", "--out", str(tmp_path)) == 0
    json_file, table = sorted(tmp_path.iterdir())
    assert "numba-s-cuda-simulator" in json_file.name
    curve = json.loads(json_file.read_text())["curve"]
    assert curve["steps"] == len(curve["cuda"]) == TINY.steps
    assert curve["apart"] < curve["target"]
    text = table.read_text()
    assert NO_TIMES in text
    assert "3 steps: at most" in text
    assert text in capsys.readouterr().out


def test_a_run_that_has_no_time(monkeypatch, tmp_path):
    """Each part ends at once, with a note."""
    arguments = ("--only", "check,race", "--time-limit", "0", "--out", str(tmp_path))
    monkeypatch.setenv("FASTCNN_PEER_PYTHON", str(tmp_path / "no-python"))
    assert run(monkeypatch, "--tiny", *arguments) == 0
    notes = json.loads(next(tmp_path.glob("*.json")).read_text())["notes"]
    assert notes[0] == "Not all was checked: the time was over."
    assert notes[1].startswith("PyTorch did not race: ")
    assert notes[2] == "Not all nets raced: the time was over."


def test_parts_are_known(monkeypatch, capsys):
    assert run(monkeypatch, "--only", "check,rice") == 2
    assert "expected some of check,curve,race,conv, not 'check,rice'" in capsys.readouterr().err


def test_a_wrong_strategy_is_found(monkeypatch):
    strict = STRATEGIES["direct"]._replace(error=1e-12)
    monkeypatch.setitem(STRATEGIES, "direct", strict)
    first = next(iter(checking.checks(TINY, lambda: False)))
    assert first.what == "2x2, forward, direct"
    assert "it states 1e-12" in first.wrong


def test_a_wrong_layer_is_found(monkeypatch):
    monkeypatch.setitem(checking.building.TOLERANCE, "sum", 1e-12)
    case = checking.layer_cases.CASES["1x1 one channel, batch 1"]
    tolerances = case.forward, case.backward
    found = checking._compared("one", [case.layer()], case, "float32", tolerances)
    assert found.error is None
    assert "allowed 1e-12" in found.wrong


def test_all_cases_are_there():
    assert {*cases.LAYERS, *cases.TINY_LAYERS} <= set(checking.layer_cases.CASES)
    assert set(cases.TINY_LOSSES) <= set(cases.LOSSES)
    assert set(cases.TINY_OPTIMIZERS) <= set(cases.OPTIMIZERS)
    assert set(FULL.nets) <= set(zoo.NETWORKS)
    assert set(FULL.sets) <= set(sets.SETS)
    for problem in cases.PROBLEMS.values():
        assert min(problem.out_height, problem.out_width) > 0


RACE = Race(
    "lenet5",
    "train",
    128,
    "float32",
    [
        Result("fastcnn", "fastcnn", [1.0, 2.0, 1.0]),
        Result("PyTorch", "eager", [4.0, 4.0, 4.0]),
        Result("PyTorch", "eager channels-last", [3.0, 3.0, 2.0]),
        Result("PyTorch", "graph", [0.5, 0.5, 0.5]),
    ],
)


def test_the_race_as_a_table(tmp_path):
    made = paper(tmp_path)
    made.races.append(RACE)
    row = "| lenet5 | train | 128 | float32 | 1.000 | 3.000 | 0.500 |  | 2.00 | 0.50 |  |"
    assert row in made.text()
    assert NO_TIMES not in made.text()
    assert made.text().startswith("# fastcnn on a GPU\n\nAbacus 9000, 2 multiprocessors, 8 GiB, ")
    made = paper(tmp_path, simulated=True)
    made.races.append(RACE)
    (line,) = (line for line in made.text().splitlines() if line.startswith("| lenet5"))
    assert line.count(NO_TIMES) == 5  # fastcnn, eager and graph, and two ratios
    assert "3.000" not in line


def test_what_is_wrong_is_said(tmp_path):
    made = paper(tmp_path)
    made.checks += [Check("a", "float32", 1e-7, None), Check("b", "tf32", None, "it is off")]
    assert [one.what for one in made.failed] == ["b"]
    assert "1 of 2 are right." in made.text()
    assert "- WRONG: b, tf32: it is off" in made.text()
    made.write()
    assert [path.exists() for path in made.files] == [True, True]
    assert "abacus-9000" in made.files[0].name


def test_a_peer_that_is_not_there(tmp_path, monkeypatch):
    assert "No such file" in racing.peer(str(tmp_path / "python"), simulated=True)
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "no torch here" in racing.peer(sys.executable, simulated=True)


def test_the_clock():
    assert not Clock(1e6).past(1e-3)
    assert Clock(0).past(0.5)
