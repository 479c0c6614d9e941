"""bench/gpu.py: what it checks, what it writes, and that it makes up no times."""

from __future__ import annotations

import json
import runpy
import sys
from functools import partial
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[3] / "bench"
sys.path.insert(0, str(BENCH))

from competitors import Result  # noqa: E402
from gpu import cases, compare, correctness, tile_cases  # noqa: E402
from gpu.compare import Race  # noqa: E402
from gpu.correctness import Check  # noqa: E402
from gpu.deadline import Clock  # noqa: E402
from gpu.report import NO_TIMES, RunReport  # noqa: E402
from gpu.scale import FULL, TINY  # noqa: E402

from fastcnn import applications, functional  # noqa: E402
from fastcnn.autotune.benchmark import arrays  # noqa: E402
from fastcnn.kernels.cuda.conv import (  # noqa: E402
    STRATEGIES,
    direct_tile_selection,
    direct_weight_gradient,
    im2col,
)
from fastcnn.kernels.cuda.gemm import gemm, tile_selection  # noqa: E402
from fastcnn.lab.problems import sets  # noqa: E402

CARD = {"processor": "Abacus 9000", "simulated": False, "multiprocessors": 2, "memory": 1 << 33}
CARD |= {"compute_capability": "9.0", "driver": "1.2", "package": "numba-cuda 0"}


def run_report(folder: Path, simulated: bool = False) -> RunReport:
    machine = {"card": {**CARD, "simulated": simulated}, "precision": "float32"}
    return RunReport(folder, {**machine, "system": "Linux", "versions": {"fastcnn": "1"}})


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
    """Each part ends at once, with a note; a run that did not check says so."""
    arguments = ("--only", "check,race", "--time-limit", "0", "--out", str(tmp_path))
    monkeypatch.setenv("FASTCNN_PEER_PYTHON", str(tmp_path / "no-python"))
    assert run(monkeypatch, "--tiny", *arguments) == 3
    found = json.loads(next(tmp_path.glob("*.json")).read_text())
    left, notes = found["unchecked"], found["notes"]
    assert len(left) == len(correctness.tasks(TINY)) == len(set(left))
    assert "2x2, forward, direct, tf32" in left
    assert notes[0] == f"{len(left)} of {len(left)} were not checked."
    assert notes[1].startswith("PyTorch did not race: ")
    assert notes[2] == "Not all nets raced: the time was over."
    text = next(tmp_path.glob("*.md")).read_text()
    assert "**Not checked, since the time was over:**" in text
    assert "- the same bits from run to run, float32\n" in text


@pytest.mark.parametrize(("wrong", "status"), [(None, 3), ("off", 1)])
def test_checks_end_in_the_middle(monkeypatch, tmp_path, capsys, wrong, status):
    """What was checked until then counts, a wrong one more than those that are left."""
    past = iter([False, False, True])
    monkeypatch.setattr(correctness, "tasks", lambda scale: THREE)
    monkeypatch.setattr(Clock, "past", lambda clock, share: next(past))
    monkeypatch.setitem(RESULTS, "b", wrong)
    assert run(monkeypatch, "--tiny", "--only", "check", "--out", str(tmp_path)) == status
    found = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert [one["what"] for one in found["checks"]] == ["a", "b"]
    assert found["unchecked"] == ["c, float32"]
    assert found["notes"] == ["1 of 3 were not checked."]
    assert ("b, float32: WRONG: off" in capsys.readouterr().out) == (wrong is not None)


RESULTS: dict[str, str | None] = {"a": None, "b": None, "c": None}


def outcome(what: str) -> float:
    if RESULTS[what]:
        raise AssertionError(RESULTS[what])
    return 1e-7


THREE = [correctness.Task(one, "float32", partial(outcome, one)) for one in RESULTS]


def test_parts_are_known(monkeypatch, capsys):
    assert run(monkeypatch, "--only", "check,rice") == 2
    assert "expected some of check,curve,race,conv, not 'check,rice'" in capsys.readouterr().err


def test_a_wrong_strategy_is_found(monkeypatch):
    strict = STRATEGIES["direct"]._replace(error=1e-12)
    monkeypatch.setitem(STRATEGIES, "direct", strict)
    first = correctness.tasks(TINY)[0].checked()
    assert first.what == "2x2, forward, direct"
    assert "it states 1e-12" in first.wrong


def test_a_wrong_layer_is_found(monkeypatch):
    monkeypatch.setitem(correctness.building.TOLERANCE, "sum", 1e-12)
    name = "1x1 one channel, batch 1"
    found = next(one for one in correctness.tasks(TINY) if one.what == name).checked()
    assert found.error is None
    assert "allowed 1e-12" in found.wrong


def test_all_cases_are_there():
    assert {*cases.LAYERS, *cases.TINY_LAYERS} <= set(correctness.layer_cases.CASES)
    assert set(cases.TINY_LOSSES) <= set(cases.LOSSES)
    assert set(cases.TINY_OPTIMIZERS) <= set(cases.OPTIMIZERS)
    assert set(cases.ENDINGS) <= set(cases.LOSSES)
    assert set(FULL.nets) <= set(applications.NETWORKS)
    assert set(FULL.sets) <= set(sets.SETS)
    for problem in cases.PROBLEMS.values():
        assert min(problem.out_height, problem.out_width) > 0


def test_every_tile_is_checked(monkeypatch):
    """What would be emitted for the checks of tiles are all of the convolutions' kernels."""
    found: set[str] = set()

    def emitted(calls, images, arrays):
        found.update(call.kernel.name for call in calls)

    monkeypatch.setattr(functional, "_OnCuda", emitted)
    before = tile_selection.TILES, direct_tile_selection.TILES, direct_weight_gradient.TILES
    for precision in FULL.precisions:
        for one in tile_cases.forced(precision):
            given = arrays(one.direction, one.problem, cases.IMAGES)
            with one.alone():
                functional.Convolution(
                    *(one.strategy, one.direction, one.problem, *given),
                    device="cuda",
                    precision=precision,
                )
    assert before == (
        tile_selection.TILES,
        direct_tile_selection.TILES,
        direct_weight_gradient.TILES,
    )
    tables = im2col.FORWARD, im2col.DX, im2col.DW, gemm.KERNELS
    tables += direct_tile_selection.KERNELS, direct_weight_gradient.KERNELS
    kernels = {one.name for table in tables for one in table.values()}
    assert kernels | {"direct_plain", "direct_plain_gradient"} <= found


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
    made = run_report(tmp_path)
    made.races.append(RACE)
    row = "| lenet5 | train | 128 | float32 | 1.000 | 3.000 | 0.500 |  | 2.00 | 0.50 |  |"
    assert row in made.text()
    assert NO_TIMES not in made.text()
    assert made.text().startswith("# fastcnn on a GPU\n\nAbacus 9000, 2 multiprocessors, 8 GiB, ")
    made = run_report(tmp_path, simulated=True)
    made.races.append(RACE)
    (line,) = (line for line in made.text().splitlines() if line.startswith("| lenet5"))
    assert line.count(NO_TIMES) == 5  # fastcnn, eager and graph, and two ratios
    assert "3.000" not in line


def test_what_is_wrong_is_said(tmp_path):
    made = run_report(tmp_path)
    made.checks += [Check("a", "float32", 1e-7, None), Check("b", "tf32", None, "it is off")]
    assert [one.what for one in made.failed] == ["b"]
    assert "1 of 2 are right." in made.text()
    assert "- WRONG: b, tf32: it is off" in made.text()
    made.write()
    assert [path.exists() for path in made.files] == [True, True]
    assert "abacus-9000" in made.files[0].name


def test_a_peer_that_is_not_there(tmp_path, monkeypatch):
    assert "No such file" in compare.peer(str(tmp_path / "python"), simulated=True)
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("PYTHONSAFEPATH")  # the peer's script imports the one beside it
    assert "no torch here" in compare.peer(sys.executable, simulated=True)


def test_the_clock():
    assert not Clock(1e6).past(1e-3)
    assert Clock(0).past(0.5)
    clock = Clock(1e6)
    clock._begun -= 6e5
    assert clock.past(0.5)
    clock.share_out()
    assert not clock.past(0.5)
    clock._begun -= 2e5
    assert clock.past(0.5)
    assert not clock.past(0.6)
