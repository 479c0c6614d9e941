"""`fastcnn bench conv`: what it checks, times, says and leaves."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import time
from pathlib import Path

import pytest
from test_strategies import PROBLEMS

import fastcnn
from fastcnn import devices, strategies
from fastcnn.autotune import benchmark
from fastcnn.cli import main
from fastcnn.lab.measure import ceilings, peer, problem_run, runner
from fastcnn.lab.measure.problem_run import Task
from fastcnn.lab.problems import sets
from fastcnn.lab.results import Ceilings, Report, winner
from fastcnn.strategies import DIRECTIONS, STRATEGIES
from fastcnn.training import progress

SMALL = "mb2ic3ih6oc5kh3ph1"
LARGE = "mb2ic4ih7oc4kh7ph3"  # not for Winograd
DIRECT = STRATEGIES["direct"]
RECTIFIED = DIRECT._replace(  # computes forward with a ReLU that nobody asked for
    forward=lambda calls, problem, x, kernel, bias, y, relu=False, scale=None: DIRECT.forward(
        calls, problem, x, kernel, bias, y, True, scale
    )
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Small ceilings, and one call a turn."""
    monkeypatch.setattr(ceilings, "SGEMM_SIZE", 32)
    monkeypatch.setattr(ceilings, "COPIED", 1 << 16)
    monkeypatch.setattr(ceilings, "PACE", 1e-4)
    monkeypatch.setattr(problem_run, "PACE", 0.0)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def fake_torch(monkeypatch):
    monkeypatch.setitem(
        peer.SCRIPTS, "torch", Path(__file__).parents[1] / "helpers" / "fake_peer.py"
    )


def bench(capsys, *arguments) -> tuple[int, str, str]:
    """The exit status of `fastcnn bench conv`, and what it said on stdout and stderr."""
    try:
        status = main(["bench", "conv", *arguments])
    except SystemExit as ended:
        status = ended.code
    said = capsys.readouterr()
    return status, said.out, said.err


def measured(*arguments, capsys, status=0):
    """The report of a run as JSON."""
    code, out, err = bench(capsys, *arguments, "--json")
    assert code == status, err
    return json.loads(out)


def test_wrong_shows_no_time(monkeypatch, capsys):
    monkeypatch.setitem(STRATEGIES, "direct", RECTIFIED)
    code, out, _ = bench(capsys, SMALL, "--repeat", "1")
    assert code == 1
    (row,) = (line for line in out.splitlines() if "WRONG" in line and "is WRONG" not in line)
    assert row.split() == ["direct", "WRONG"]
    assert "direct is WRONG in forward: " in out
    found = Report.parsed(
        measured(SMALL, "--repeat", "1", "--direction", "forward", capsys=capsys, status=1)
    )
    one = next(one for one in found.results if one.strategy == "direct")
    assert (one.verdict, one.minimum_ms, one.gflops, one.to_direct) == ("WRONG", None, None, None)
    assert found.wrong
    assert all(one.to_direct is None for one in found.results)


def test_a_stated_error_that_is_not_kept_is_wrong(monkeypatch, capsys):
    strict = STRATEGIES["winograd"]._replace(error=1e-12)
    monkeypatch.setitem(STRATEGIES, "winograd", strict)
    code, out, _ = bench(capsys, SMALL, "--strategy", "winograd", "--direction", "dx")
    assert code == 1
    assert "of the largest magnitude; it states 1e-12" in " ".join(out.split())


# What is measured


def test_figures(capsys):
    data = measured(SMALL, "--repeat", "2", capsys=capsys)
    found = Report.parsed(data)
    assert json.loads(json.dumps(found.described())).items() <= data.items()
    limits = found.ceilings
    assert min(limits.sgemm_gflops, limits.fma_gflops, limits.copy_gbytes) > 0
    assert found.machine["threads"] == fastcnn.num_threads()
    assert (found.repeat, found.interrupted, found.peer) == (2, False, None)
    (problem,) = found.problems
    assert problem == sets.named(SMALL)[0]
    able = [
        (direction, name)
        for direction in DIRECTIONS
        for name, one in STRATEGIES.items()
        if one.declines(direction, problem.problem) is None
    ]
    timed = [one for one in found.results if one.verdict == "ok"]
    assert [(one.direction, one.strategy) for one in timed] == able
    for one in timed:
        assert 0 < one.minimum_ms <= one.median_ms
        assert one.gflops == pytest.approx(problem.flops / one.minimum_ms / 1e6)
        assert one.of_sgemm == pytest.approx(one.gflops / limits.sgemm_gflops)
        roof = min(limits.compute_gflops, problem.intensity * limits.copy_gbytes)
        assert one.of_roofline == pytest.approx(one.gflops / roof)
        # The definitions allocate for themselves, beside what the engine plans.
        assert one.workspace > 0 or one.strategy.startswith("reference")
        assert one.error <= STRATEGIES[one.strategy].error
        assert one.to_direct == 1 if one.strategy == "direct" else one.to_direct > 0
        assert one.to_peer is None
    for direction in DIRECTIONS:
        choice = found.choice(problem, direction)
        taken = strategies.choose(direction, problem.problem, 2)
        assert (choice.strategy, choice.why) == taken
        own = [one for one in timed if one.direction == direction]
        assert choice.best == winner(own).strategy
        assert choice.to_best > 0


def test_only_what_is_asked(capsys):
    arguments = ("--strategy", "Direct", "--direction", "dw", "dx", "--batch", "3", "--repeat", "1")
    found = Report.parsed(measured(SMALL, *arguments, capsys=capsys))
    assert [(one.direction, one.strategy) for one in found.results] == [
        ("dx", "direct"),
        ("dw", "direct"),
    ]
    assert found.problems[0].batch == 3
    assert found.choices == []


def test_auto_alone_is_what_it_takes(capsys):
    found = Report.parsed(
        measured(SMALL, "--strategy", "auto", "--direction", "dx", "--repeat", "1", capsys=capsys)
    )
    (one,), (choice,) = found.results, found.choices
    assert one.strategy == choice.strategy == choice.best
    assert choice.to_best == 1


def test_declines_have_their_reason(capsys):
    code, out, _ = bench(capsys, LARGE, "--repeat", "1")
    assert code == 0
    assert "winograd declines forward, dx, dw: " in out
    found = Report.parsed(measured(LARGE, "--repeat", "1", capsys=capsys))
    one = next(one for one in found.results if one.strategy == "winograd")
    assert one.verdict == "declined"
    assert one.reason == STRATEGIES["winograd"].declines("forward", one.problem.problem)
    assert one.median_ms is one.workspace is one.error is None


def test_too_little_memory_is_a_decline(monkeypatch, capsys):
    def greedy(*arguments, **options):
        raise MemoryError

    def greedy_above_2(direction, problem, images):
        return greedy() if images > 2 else real(direction, problem, images)

    real = benchmark.arrays
    arguments = (LARGE, "--direction", "dx", "--strategy", "direct")
    for where, name, value in (
        (problem_run, "_timed", greedy),
        (benchmark, "arrays", greedy_above_2),  # those to check are there, those to time are not
        (benchmark, "arrays", greedy),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(where, name, value)
            code, out, _ = bench(capsys, *arguments, "--batch", "3")
        assert code == 0
        assert "direct declines dx: there is not enough memory" in out


def test_one_that_is_far_behind_runs_one_round(monkeypatch):
    turns = []
    monkeypatch.setattr(problem_run, "LONG", 0.0)
    monkeypatch.setattr(
        problem_run,
        "_timed",
        lambda call, device: turns.append(1) or [[1.0], [9.0], [1.0]][len(turns) - 1],
    )
    (problem,) = sets.named(SMALL)
    one = problem_run.ProblemRun(Task(problem, "dx", ("direct", "winograd")))
    one.run(2, lambda: False, lambda what: None)
    direct, far = one.results(Ceilings(1.0, 1.0, 1.0))
    assert len(turns) == 3
    assert (direct.minimum_ms, far.minimum_ms, far.to_direct) == (1.0, 9.0, 1 / 9)


# The peer


def test_peer(capsys, fake_torch):
    arguments = ("--peer", "torch", "--repeat", "2", "--direction", "forward")
    found = Report.parsed(measured(SMALL, *arguments, capsys=capsys))
    assert found.peer == "torch"
    assert found.machine["versions"]["torch"] == "1.2.3"
    other = found.results[-1]
    assert (other.strategy, other.peer, other.variant) == ("torch", True, "channels_last")
    assert (other.minimum_ms, other.median_ms, other.to_peer) == (10.0, 11.0, 1.0)
    assert other.workspace is other.error is None
    for one in found.results[:-1]:
        # The fastest call of each of two rounds against 10 ms.
        assert 10 / one.to_peer >= one.minimum_ms * (1 - 1e-12)
    assert not winner(found.results).peer
    code, out, _ = bench(capsys, SMALL, *arguments)
    assert code == 0
    assert "torch, NHWC" in out
    assert "x torch" in out


def test_a_peer_that_fails_in_a_problem(capsys, fake_torch, monkeypatch):
    for failing, said in (("prepare", "no prepare today"), ("dying", "it ended: the peer is dead")):
        monkeypatch.setenv("FAKE_PEER", failing)
        found = Report.parsed(measured(SMALL, "--peer", "torch", "--repeat", "1", capsys=capsys))
        others = [one for one in found.results if one.peer]
        assert [one.verdict for one in others] == 3 * ["declined"]
        assert said in others[0].reason
        assert all(one.to_peer is None for one in found.results)


def test_a_peer_that_cannot_be_had(capsys, fake_torch, monkeypatch, tmp_path):
    monkeypatch.setenv("FAKE_PEER", "describe")
    code, _, err = bench(capsys, SMALL, "--peer", "torch")
    assert code == 2
    assert "no describe today. Name a Python that has it by --peer-python" in err
    code, _, err = bench(capsys, SMALL, "--peer", "torch", "--peer-python", str(tmp_path / "no"))
    assert code == 2
    assert "cannot be run: No such file" in err
    assert err.count("\n") == 1


def test_torch_that_is_not_installed(capsys, monkeypatch, tmp_path):
    """The real script, in an interpreter whose torch cannot be imported."""
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    code, _, err = bench(capsys, SMALL, "--peer", "torch")
    assert code == 2
    assert "ImportError: no torch here." in err


def test_the_peer_is_suspended_between_requests(fake_torch):
    with peer.Peer("torch") as other:
        state = Path(f"/proc/{other._process.pid}/stat")
        assert other.prepare("dx", PROBLEMS["1x1"], 2) == ["channels_first", "channels_last"]
        if state.exists():  # Linux tells
            end = time.monotonic() + 10
            while state.read_text().rsplit(")", 1)[1].split()[0] != "T":
                assert time.monotonic() < end, "it still runs"
        assert other.run("channels_last", 1.0, 1) == [12.0, 10.0]
    assert other._process.poll() is not None


# Interrupted


def test_what_was_measured_is_kept(capsys, tmp_path, monkeypatch):
    """Ctrl-C in the second problem's timing: the first one is whole, and the files are written."""

    @contextlib.contextmanager
    def tally(title, total):
        assert (title, total) == ("bench conv", 4)

        def show(done, now):
            shown.append(now)
            if done == 2 and now.endswith(": direct"):
                os.kill(os.getpid(), signal.SIGINT)

        yield show

    shown = []
    monkeypatch.setattr(progress, "tally", tally)
    files = ("--json", str(tmp_path / "a.json"), "--csv", str(tmp_path / "a.csv"))
    choice = ("--strategy", "direct", "--direction", "forward", "dx", "--repeat", "2")
    code, out, _ = bench(capsys, SMALL, LARGE, *choice, *files)
    assert code == 130
    assert "Interrupted: what was measured until then." in out
    found = Report.parsed(json.loads((tmp_path / "a.json").read_text()))
    assert found.interrupted
    assert [(one.problem.descriptor, one.direction) for one in found.results] == [
        (SMALL, "forward"),
        (SMALL, "dx"),
        (LARGE, "forward"),
    ]
    assert all(one.median_ms for one in found.results)
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 4
    assert shown[0] == "ceilings"
    assert f"{SMALL} forward: checking direct" in shown


def test_interrupted_before_anything(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(
        progress, "tally", lambda title, total: contextlib.nullcontext(lambda done, now: stop())
    )

    def stop():
        if not stopped:
            stopped.append(True)
            os.kill(os.getpid(), signal.SIGINT)

    stopped = []
    csv_file = tmp_path / "a.csv"
    plot = tmp_path / "a.png"
    code, out, _ = bench(capsys, SMALL, "--csv", str(csv_file), "--plot", str(plot))
    assert code == 130
    assert "Interrupted" in out
    assert csv_file.read_text() == "\n"
    assert not plot.exists()


# Files


def test_csv(capsys, tmp_path):
    path = tmp_path / "out.csv"
    code, out, _ = bench(capsys, LARGE, "--csv", str(path), "--repeat", "1", "--direction", "dx")
    assert code == 0
    assert "min ms" in out
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert {row["strategy"] for row in rows} == set(STRATEGIES)
    direct = next(row for row in rows if row["strategy"] == "direct")
    assert (direct["descriptor"], direct["direction"], direct["verdict"]) == (LARGE, "dx", "ok")
    assert float(direct["median_ms"]) > 0
    assert float(direct["to_direct"]) == 1
    assert float(direct["intensity"]) == sets.named(LARGE)[0].intensity
    declined = next(row for row in rows if row["strategy"] == "winograd")
    assert (declined["verdict"], declined["median_ms"]) == ("declined", "")
    assert "7x7" in declined["reason"]


def test_json_to_a_file_leaves_the_tables(capsys, tmp_path):
    path = tmp_path / "out.json"
    code, out, err = bench(capsys, "lenet:C3", "--json", str(path), "--repeat", "1")
    assert code == 0
    assert "lenet C3: 14x14x6 -> 16, 5x5, mb8ic6ih14oc16kh5" in out
    assert "Ceilings of this run: sgemm" in out
    assert err == "" or "compiling" in err
    sums = json.loads(path.read_text())["totals"]
    assert [(one["set"], one["direction"]) for one in sums] == [
        ("lenet", name) for name in (*DIRECTIONS, "all")
    ]


def test_pictures(capsys, tmp_path):
    path = tmp_path / "out.png"
    code, _, err = bench(capsys, SMALL, "--plot", str(path), "--repeat", "1")
    assert code == 0
    for kind in ("roofline", "bars"):
        drawn = tmp_path / f"out-{kind}.png"
        assert drawn.stat().st_size > 10_000
        assert f"Drawn: {drawn}" in err


def test_list(capsys):
    code, out, _ = bench(capsys, "--list")
    assert code == 0
    for name in sets.SETS:
        assert f"\n{name}: " in f"\n{out}"
    assert "VGG-16" in out
    assert "mb8ic512ih14oc512kh3ph1" in out
    code, out, _ = bench(capsys, "lenet", LARGE, "--list", "--json")
    assert [one["name"] for one in json.loads(out)] == ["C1", "C3", "C5", LARGE]


# What is refused

REFUSED = {
    "": "give a SET or a descriptor first",
    "vgg17": "Unknown set 'vgg17'. Did you mean",
    "ic3ih4oc4kh9": "the kernel reaches over 9 pixels",
    "ic-3ih4oc4kh3": "'ic' must be from 1",
    "lenet --batch 0": "expected a whole number of at least 1, not '0'",
    "lenet --batch 99999999999": "take a smaller batch or problem",
    "lenet --strategy winnograd": "Unknown strategy 'winnograd'. Did you mean 'winograd'?",
    "lenet --direction up": "invalid choice: 'up'",
    "lenet --device cuda": "device='cuda': it is out to lunch.",
    "lenet --precision tf32": "precision='tf32' needs a GPU",
    "lenet --device tpu": "invalid choice: 'tpu'",
    "lenet --peer jax": "invalid choice: 'jax'",
    "lenet --peer-python x": "give --peer torch, too",
    "lenet --repeat 0": "expected a whole number of at least 1",
    "lenet --json @/no/a.json": "there is no folder",
    "lenet --csv @": "it is a folder",
    "lenet --plot @/a.gif": "must end in one of .png",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_refusals_come_before_measuring(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "measure", None)
    monkeypatch.setattr(devices, "why_not_cuda", lambda: "it is out to lunch")
    words = [word.replace("@", str(tmp_path)) for word in arguments.split()]
    code, out, err = bench(capsys, *words)
    assert code == 2
    assert REFUSED[arguments] in err
    assert err.count("\n") == 1
    assert out == ""
