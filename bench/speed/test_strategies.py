"""Every strategy on a few problems of the lab's sets, each direction by itself.

python -m pytest bench/speed/test_strategies.py --benchmark-group-by=param:problem,param:direction

`fastcnn bench conv` compares them side by side; this keeps their speed from one commit to the next
(--benchmark-save, --benchmark-compare).
"""

from __future__ import annotations

import numpy as np
import pytest

from fastcnn.autotune.benchmark import arrays
from fastcnn.functional import Convolution
from fastcnn.lab.problems import sets
from fastcnn.strategies import DIRECTIONS, STRATEGIES

PROBLEMS = {
    text: sets.named(text)[0]
    for text in (
        "cifar:small2",
        "resnet34:conv1",
        "resnet34:conv4_1b",
        "googlenet:3a_5x5",
        "googlenet:3b_1x1",
        "xception:block5_1d",
    )
}
CASES = [
    (text, direction, name)
    for text, problem in PROBLEMS.items()
    for direction in DIRECTIONS
    for name, strategy in STRATEGIES.items()
    if strategy.declines(direction, problem.problem) is None
]


@pytest.mark.parametrize(("problem", "direction", "strategy"), CASES)
def test_strategy(benchmark, problem, direction, strategy):
    case = PROBLEMS[problem]
    operands = arrays(direction, case.problem, case.batch)
    convolution = Convolution(strategy, direction, case.problem, *operands)
    assert np.isfinite(convolution()).all()
    benchmark.pedantic(convolution, rounds=20, warmup_rounds=2)
    benchmark.extra_info["GFLOP/s"] = round(case.flops / benchmark.stats["median"] / 1e9)
    benchmark.extra_info["workspace"] = convolution.workspace
