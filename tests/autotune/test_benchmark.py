"""Strategies timed against each other: turns, who leaves, and what other programs take."""

from __future__ import annotations

import os
from collections import Counter

import fake_benchmark
import numpy as np
import pytest
from fake_benchmark import NAMES, PROBLEM

from fastcnn.autotune import benchmark, cpu_contention
from fastcnn.graph.problem import Problem
from fastcnn.strategies import DIRECTIONS, STRATEGIES


@pytest.fixture
def watch(monkeypatch) -> fake_benchmark.CallTimer:
    return fake_benchmark.installed(monkeypatch)


def run(direction="forward", problem=PROBLEM, images=8, seconds=0.2):
    made = benchmark.StrategyBenchmark(direction, problem, images)
    assert made.run(seconds, lambda: False)
    return made


def test_strategies_take_turns(watch):
    watch.seconds |= {"direct": 1e-3, "winograd": 1.2e-3, "winograd-2x2": 1.4e-3}
    found = run()
    assert found.times == pytest.approx({"direct": 1.0, "winograd": 1.2, "winograd-2x2": 1.4})
    assert sorted(watch.turns[:3]) == sorted(NAMES)
    rounds = len(watch.turns) // 3
    assert watch.turns == watch.turns[:3] * rounds
    assert benchmark.SETTLED <= rounds <= benchmark.MOST_ROUNDS
    assert watch.now < 0.2 + 2 * 3 * benchmark.PACE + 0.1


def test_the_slow_leave(watch):
    watch.seconds |= {"direct": 0.1, "winograd": 0.31, "winograd-2x2": 0.16}
    found = run()
    turns = Counter(watch.turns)
    # Too slow after the first round; later; and nobody is left to compare with.
    assert turns == {"winograd": 1, "winograd-2x2": 3, "direct": 3}
    assert watch.calls["winograd"] == 2  # one to warm up
    assert found.times == pytest.approx({"direct": 100, "winograd": 310, "winograd-2x2": 160})


def test_another_programs_turns_do_not_count(watch):
    watch.seconds["winograd"] = 0.5e-3
    undisturbed = dict(watch.seconds)
    generator = np.random.default_rng(0)

    def disturb(name):
        for one, seconds in undisturbed.items():
            watch.seconds[one] = 8e-3 if generator.random() < 0.4 else seconds

    watch.on_call = disturb
    found = run()
    assert found.times == pytest.approx({"direct": 1.0, "winograd": 0.5, "winograd-2x2": 1.0})


def test_what_needs_too_much_memory_is_left_out(watch):
    watch.workspace["winograd"] = benchmark.MOST_WORKSPACE + 1
    watch.beyond_memory.add("winograd-2x2")
    found = run()
    assert set(found.times) == {"direct"}
    assert found.left_out == {
        "winograd": "it needs 2.0 GiB of workspace",
        "winograd-2x2": "there is not enough memory",
    }


def test_only_those_that_can_take_part(watch):
    assert benchmark.StrategyBenchmark("forward", Problem(9, 9, 3, 3, (7, 7)), 8).contenders == [
        "direct"
    ]
    assert sorted(benchmark.StrategyBenchmark("dx", PROBLEM, 8).contenders) == sorted(NAMES)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_contest_of_real_convolutions(direction):
    found = run(direction, seconds=0.01)
    automatic = {name: one for name, one in STRATEGIES.items() if one.automatic}
    able = {name for name, one in automatic.items() if not one.declines(direction, PROBLEM)}
    assert set(found.times) == able >= set(NAMES)
    assert all(ms > 0 for ms in found.times.values())


@pytest.mark.parametrize(
    ("others", "threads", "cores", "share"),
    [
        (0.0, 2, 2, 0.0),
        (1.0, 2, 2, 0.25),
        (3.0, 1, 1, 1.0),
        # Six processors are left to others, for twelve seconds in all.
        (12.0, 2, 8, 0.0),
        (13.0, 2, 8, 0.25),
    ],
)
def test_disturbance_is_what_others_took_of_our_processors(
    tmp_path, monkeypatch, others, threads, cores, share
):
    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

        def process_time(self):
            return 1.5 * self.now

    def system_says(busy):
        ticks = round(busy * os.sysconf("SC_CLK_TCK"))
        path.write_text(f"cpu  {ticks} 0 0 999 999 0 0 0 0 0\ncpu0 ...\n")

    clock, path = Clock(), tmp_path / "stat"
    monkeypatch.setattr(cpu_contention, "SYSTEM_TIMES", path)
    monkeypatch.setattr(cpu_contention, "time", clock)
    monkeypatch.setattr(cpu_contention, "num_threads", lambda: threads)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    system_says(100.0)
    found = cpu_contention.CpuContention()
    clock.now = 2.0
    system_says(100.0 + 1.5 * 2.0 + others)
    assert found.share == pytest.approx(share)


def test_disturbance_is_none_where_the_system_does_not_tell(tmp_path, monkeypatch):
    monkeypatch.setattr(cpu_contention, "SYSTEM_TIMES", tmp_path / "none")
    assert cpu_contention.CpuContention().share == 0
