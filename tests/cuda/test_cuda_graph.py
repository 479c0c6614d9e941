"""When a step is launched call by call, when it is recorded, and when it is repeated."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from cuda import bindings

from fastcnn.backends.cuda import graphs


class Recorded:
    """Stands for a graph: notes what is recorded and launched."""

    events: list[str]

    def __init__(self, stream, enqueue):
        self.events.append("record")
        enqueue()

    def launch(self):
        self.events.append("launch")


@pytest.fixture
def events(monkeypatch) -> list[str]:
    Recorded.events = []
    monkeypatch.setattr(graphs, "Graph", Recorded)
    monkeypatch.setattr(graphs, "SIMULATED", False)
    return Recorded.events


def test_the_first_run_compiles_the_second_records(events):
    replay = graphs.Replay(None, lambda: events.append("enqueue"))
    for _ in range(4):
        replay.run()
    assert events == ["enqueue", "record", "enqueue", "launch", "launch", "launch"]


def test_what_cannot_be_recorded_is_launched_call_by_call(events, monkeypatch):
    def refuse(stream, enqueue):
        raise OSError("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED")

    monkeypatch.setattr(graphs, "Graph", refuse)
    replay = graphs.Replay(None, lambda: events.append("enqueue"))
    replay.run()
    with pytest.warns(RuntimeWarning, match="could not be recorded .*CAPTURE_UNSUPPORTED"):
        replay.run()
    replay.run()
    assert events == ["enqueue"] * 3


def test_a_first_run_that_failed_is_not_followed_by_recording(events):
    """It may not have compiled everything."""

    def enqueue():
        events.append("enqueue")
        if len(events) == 1:
            raise ZeroDivisionError

    replay = graphs.Replay(None, enqueue)
    with pytest.raises(ZeroDivisionError):
        replay.run()
    replay.run()
    replay.run()
    assert events == ["enqueue", "enqueue", "record", "enqueue", "launch"]


class Driver:
    """Stands for cuda.bindings.driver: answers (error, results...) and notes what was asked."""

    class CUstreamCaptureMode:
        CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = "thread"

    def __init__(self, failing: str = ""):
        self.asked: list[str] = []
        self.failing = failing

    def __getattr__(self, name):
        results = {"cuStreamEndCapture": ("graph",), "cuGraphInstantiate": ("ready",)}

        def answer(*arguments):
            self.asked.append(name)
            return (int(name == self.failing), *results.get(name, ()))

        return answer


class Stream:
    handle = 7


@pytest.fixture
def driver(monkeypatch):
    def use(failing=""):
        made = Driver(failing)
        monkeypatch.setattr(bindings, "driver", made)
        monkeypatch.setattr(graphs, "cuda", SimpleNamespace(defer_cleanup=nullcontext))
        return made

    return use


def test_a_graph_is_recorded_built_and_launched(driver):
    used = driver()
    made = graphs.Graph(Stream, lambda: used.asked.append("work"))
    made.launch()
    del made
    assert used.asked == [
        *("cuStreamBeginCapture", "work", "cuStreamEndCapture", "cuGraphInstantiate"),
        *("cuGraphDestroy", "cuGraphLaunch", "cuGraphExecDestroy"),
    ]


@pytest.mark.parametrize(
    "call", ["cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiate"]
)
def test_what_the_driver_refuses_is_raised(driver, call):
    used = driver(call)
    with pytest.raises(RuntimeError, match="1"):
        graphs.Graph(Stream, lambda: None)
    if call == "cuGraphInstantiate":
        assert used.asked[-1] == "cuGraphDestroy"


def test_an_error_while_recording_ends_the_recording(driver):
    used = driver()
    with pytest.raises(ZeroDivisionError):
        graphs.Graph(Stream, lambda: 1 / 0)
    assert used.asked == ["cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphDestroy"]
    used = driver("cuStreamEndCapture")
    with pytest.raises(ZeroDivisionError):
        graphs.Graph(Stream, lambda: 1 / 0)
    assert used.asked == ["cuStreamBeginCapture", "cuStreamEndCapture"]  # there is no graph
