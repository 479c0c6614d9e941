"""Contests, tuning and the lab on the GPU, as far as that is not a matter of time."""

from __future__ import annotations

import csv
import io
import json
from types import SimpleNamespace

import fake_benchmark
import numpy as np
import pytest

import fastcnn
from fastcnn import layers as L
from fastcnn import strategies
from fastcnn.autotune import benchmark, tuner
from fastcnn.cli import main
from fastcnn.graph.problem import Problem
from fastcnn.kernels.cuda.conv import STRATEGIES
from fastcnn.kernels.cuda.runtime import peak_rates
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.lab.measure import gpu_ceilings, layer_times, problem_run
from fastcnn.lab.measure.validation import Examiner
from fastcnn.lab.results import Report
from fastcnn.strategies import choose, timing_cache

TINY = Problem(3, 4, 2, 3, (2, 2), padding=((1, 0), (0, 0)))


@pytest.fixture(autouse=True)
def own_measurements(tmp_path, monkeypatch):
    monkeypatch.setenv(timing_cache.ENVIRONMENT, str(tmp_path / "measured"))


@pytest.fixture
def quick(monkeypatch):
    """One call a turn, and nothing before it."""
    monkeypatch.setattr(benchmark, "_clearing", lambda: lambda: None)
    monkeypatch.setattr(benchmark, "SETTLED", 1)
    for module in (benchmark, problem_run):
        monkeypatch.setattr(module, "PACE", 0.0)
    monkeypatch.setattr(gpu_ceilings, "SAMPLES", 1)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def watch(quick, monkeypatch) -> fake_benchmark.CallTimer:
    monkeypatch.delitem(STRATEGIES, "im2col")
    return fake_benchmark.installed(monkeypatch)


# The card's limits


def test_multiply_adds():
    threads = peak_rates.THREADS
    y = cuda.to_device(np.zeros(threads, np.float32))
    arguments = (np.int32(1), y, np.int32(threads), np.int32(1), np.float32(0.5))
    peak_rates.multiply_adds.compiled[1, threads](*arguments)
    start = np.arange(threads)[:, None] + np.arange(peak_rates.CHAINS)
    half = 0.5**peak_rates.STEPS
    # A sum s becomes s / 2 + 1 / 2 so many times: 1 + (s - 1) / 2^STEPS.
    np.testing.assert_allclose(y.copy_to_host(), (1 + (start - 1) * half).sum(axis=1), rtol=1e-6)


def test_copy():
    pieces = 40
    x = np.random.default_rng(0).random(pieces * 16, np.float32)
    source, target = cuda.to_device(x), cuda.to_device(np.zeros_like(x))
    peak_rates.copy.compiled[1, 32](np.int32(1), source, target, np.int32(pieces))
    np.testing.assert_array_equal(target.copy_to_host(), x)


def test_ceilings(quick):
    found = gpu_ceilings.CardSampler().ceilings
    assert found.sgemm_gflops is None
    assert min(found.fma_gflops, found.copy_gbytes) > 0
    assert found.named == ("multiply-adds", found.fma_gflops)
    assert found.compute_gflops == found.fma_gflops


# Contests


def test_a_contest_of_real_convolutions(quick, monkeypatch):
    for name in ("winograd", "winograd-2x2"):  # minutes here
        monkeypatch.delitem(STRATEGIES, name)
    found = benchmark.StrategyBenchmark("forward", TINY, 2, "cuda", "tf32")
    assert sorted(found.contenders) == ["direct", "im2col"]
    assert found.run(0.0, lambda: False)
    assert set(found.times) == {"direct", "im2col"}
    assert all(ms > 0 for ms in found.times.values())
    assert found.disturbance == 0


def test_a_gpu_keeps_convolutions_while_there_is_memory(monkeypatch):
    def made(name, *arguments, device, precision):
        assert (device, precision) == ("cuda", "tf32")
        if len(alive) == 2:
            alive.clear()
            raise RuntimeError("CUDA_ERROR_OUT_OF_MEMORY")
        alive.append(name)
        return SimpleNamespace(name=name)

    alive: list[str] = []
    monkeypatch.setattr(benchmark, "Convolution", made)
    maker = benchmark.Maker("dx", TINY, (np.zeros(1), np.zeros(1)), "cuda", "tf32")
    first = maker.make("direct")
    assert maker.make("direct") is first
    maker.make("im2col")
    maker.make("winograd")
    assert alive == ["winograd"]
    assert maker.make("direct") is not first


def test_not_enough_memory_at_all(monkeypatch):
    def made(*arguments, **settings):
        raise RuntimeError("CUDA_ERROR_OUT_OF_MEMORY")

    monkeypatch.setattr(benchmark, "Convolution", made)
    maker = benchmark.Maker("dx", TINY, (np.zeros(1), np.zeros(1)), "cuda", "float32")
    with pytest.raises(MemoryError):
        maker.make("direct")


def test_workspace_may_be_a_part_of_the_gpus_memory(monkeypatch):
    assert benchmark.too_large(3 << 30, "cpu") == "it needs 3.0 GiB of workspace"
    monkeypatch.setattr(benchmark, "_memory", lambda: 80 << 30)
    assert benchmark.too_large(3 << 30, "cuda") is None
    assert benchmark.too_large(11 << 30, "cuda") == "it needs 11.0 GiB of workspace"


# Tuning


def test_a_gpus_times_are_its_own(watch):
    watch.seconds["winograd"] = 0.4e-3
    problem = fake_benchmark.PROBLEM
    report = tuner.tune([problem], 8, training=False, device="cuda")
    (row,) = report.rows
    assert row.after == ("winograd", "measured")
    assert "winograd ms" in str(report)
    assert report.sentence.startswith("Tuned for batches of 8 on simulator: 1 of 1")
    assert report.described()["device"] == "cuda"
    assert choose("forward", problem, 8, device="cuda").why == "measured"
    assert choose("forward", problem, 8).why == "estimated"


def test_other_programs_do_not_disturb_a_gpu(watch):
    watch.disturbance = 0.9
    (row, *_) = tuner.tune([fake_benchmark.PROBLEM], 8, device="cuda").rows
    assert not row.disturbed


def test_a_model_is_tuned_for_its_device(watch):
    watch.seconds["winograd-2x2"] = 0.4e-3
    model = fastcnn.Sequential([L.Conv2D(8, 3), L.Flatten(), L.Dense(3)], (12, 12, 4))
    report = tuner.tune(model.to("cuda"), 8)
    assert (report.device, report.threads) == ("cuda", 1)
    chosen = strategies.training_choices(model, 8)
    assert {(one.strategy, one.why, one.device) for one in chosen} == {
        ("winograd-2x2", "measured", "cuda")
    }
    estimate = choose("forward", chosen[0].problem, 8, measured=False, device="cuda").name
    others = strategies.beside_estimate(chosen, 8, model.error_bound)
    assert (chosen[0] in others) == (estimate != "winograd-2x2")
    model.to("cpu")
    assert {one.why for one in strategies.training_choices(model, 8)} == {"estimated"}


def test_a_precision_is_tuned_by_itself(watch):
    """What was fastest with tensor cores says nothing of float32, and the other way round."""
    watch.seconds["direct"] = 0.1e-3
    report = tuner.tune(
        [fake_benchmark.PROBLEM], 8, training=False, device="cuda", precision="tf32"
    )
    assert report.rows[0].after == ("direct", "measured")
    key = "forward", fake_benchmark.PROBLEM, 8
    assert choose(*key, device="cuda", precision="tf32") == ("direct", "measured")
    assert choose(*key, device="cuda").why == "estimated"
    model = fastcnn.Sequential([L.Conv2D(8, 3), L.Flatten(), L.Dense(3)], (12, 12, 4))
    tuner.tune(model.to("cuda", "tf32"), 8)
    assert {one.why for one in strategies.training_choices(model, 8)} == {"measured"}
    model.to("cuda", "float32")
    assert {one.why for one in strategies.training_choices(model, 8)} == {"estimated"}


def test_tensor_cores_have_costs_of_their_own():
    wide = Problem(56, 56, 256, 256, (3, 3), padding=((1, 1), (1, 1)))
    for direction in ("forward", "dx", "dw"):
        exact, cut = (
            STRATEGIES["im2col"].cost(direction, wide, 64, precision)
            for precision in ("float32", "tf32")
        )
        assert cut < exact
        direct = STRATEGIES["direct"]
        assert direct.cost(direction, wide, 64, "tf32") == direct.cost(direction, wide, 64)


def test_tune_on_the_command_line(watch, capsys):
    command = ["tune", "--set", "mb2ic8ih12oc8kh3", "--device", "cuda", "--precision", "tf32"]
    assert main([*command, "--inference", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["device"], found["precision"]) == ("cuda", "tf32")
    assert found["place"] == "simulator in tf32"


# The lab


def test_bench_conv(quick, capsys, tmp_path):
    path = tmp_path / "a.csv"
    options = ["--direction", "forward", "--repeat", "1", "--csv", str(path), "--json"]
    strategies = ["--strategy", "direct", "fft"]
    command = ["bench", "conv", "mb2ic2ih3oc2kh2", "--device", "cuda", *strategies, *options]
    assert main(command) == 0
    found = Report.parsed(json.loads(capsys.readouterr().out))
    direct, fft = found.results
    assert (direct.strategy, direct.verdict, direct.of_sgemm) == ("direct", "ok", None)
    assert direct.of_roofline > 0
    assert (fft.verdict, fft.reason) == ("declined", "it has no kernels for device 'cuda'")
    assert (found.machine["device"], found.machine["precision"]) == ("cuda", "float32")
    assert found.machine["card"]["simulated"]
    assert found.disturbance == 0
    (row, _) = csv.DictReader(io.StringIO(path.read_text()))
    assert (row["device"], row["precision"], row["of_sgemm"]) == ("cuda", "float32", "")


def test_bench_conv_as_text(quick, capsys):
    options = ["--strategy", "im2col", "--direction", "dx", "--repeat", "1"]
    command = ["bench", "conv", "mb1ic1ih2oc1kh2", "--device", "cuda", "--precision", "tf32"]
    assert main([*command, *options]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Numba's CUDA simulator, tf32: the times are Python's and say nothing")
    assert "Ceilings of this run: multiply-adds" in said
    assert "sgemm" not in said


def test_tf32_may_err_more_and_no_more_than_that(monkeypatch):
    finding = Examiner("forward", TINY, 2, "cuda", "tf32").examine("im2col")
    assert finding.wrong is None
    assert 1e-5 < finding.error < 2e-3
    finding = Examiner("forward", TINY, 2, "cuda").examine("im2col")
    assert finding.wrong is None
    assert finding.error < 1e-6
    strict = STRATEGIES["im2col"]._replace(error=1e-9)
    monkeypatch.setitem(STRATEGIES, "im2col", strict)
    finding = Examiner("forward", TINY, 2, "cuda", "tf32").examine("im2col")
    assert "it states 2e-07" in finding.wrong


def test_layers_are_timed_on_the_cpu_alone(capsys):
    assert main(["bench", "model", "lenet5", "--device", "cuda"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--device cuda: layers are timed by a clock inside the CPU's executor" in line
    model = fastcnn.Sequential([L.Flatten(), L.Dense(2)], (2, 2, 1), device="cuda")
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="expected a model on device 'cpu'"):
        layer_times.measure(model, 2)
