"""Named sets of problems: the distinct convolutions of published networks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable

from fastcnn.graph.problem import Problem
from fastcnn.lab.problems import descriptor, networks
from fastcnn.lab.results import NamedProblem
from fastcnn.utils import naming

BATCH = 8
SETS: dict[str, Callable[[], networks.Convolutions]] = {
    "lenet": networks.lenet,
    "cifar": networks.cifar,
    "alexnet": networks.alexnet,
    "zfnet": networks.zfnet,
    "vgg16": networks.vgg16,
    "vgg19": networks.vgg19,
    "googlenet": networks.googlenet,
    "resnet34": networks.resnet34,
    "resnet50": networks.resnet50,
    "xception": networks.xception,
    "convnet-benchmarks": networks.convnet_benchmarks,
}


def named(text: str, batch: int | None = None) -> list[NamedProblem]:
    """Return the problems that a text names: a set, one of it ("vgg16:conv3_1"), or a descriptor.

    `batch` counts before a descriptor's own. ValueError in words for anything else, and for
    problems that this computer's memory cannot hold.
    """
    chosen = [_described(text, batch)] if _is_descriptor(text) else _of_set(text, batch or BATCH)
    for problem in chosen:
        check_memory(problem)
    return chosen


def problems(text: str) -> dict[str, Problem]:
    """Return the problems that a text names by their names; errors as in `named`."""
    return {entry.name: entry.problem for entry in named(text, 1)}


def all_named(texts: Iterable[str], batch: int | None = None) -> list[NamedProblem]:
    """Return the problems of several texts, each once."""
    return list(dict.fromkeys(problem for text in texts for problem in named(text, batch)))


def about(name: str) -> str:
    """Return what a set is, in a line."""
    return " ".join((SETS[name].__doc__ or "").split())


def _is_descriptor(text: str) -> bool:
    return text not in SETS and descriptor.looks_like_descriptor(text)


def _described(text: str, batch: int | None) -> NamedProblem:
    problem, own, name = descriptor.parse(text)
    images = batch or own or BATCH
    plain = descriptor.describe(problem, images)
    return NamedProblem(name or plain, problem, images, plain)


def _of_set(text: str, batch: int) -> list[NamedProblem]:
    asked, colon, wanted = text.partition(":")
    try:
        own = naming.lookup("set", asked, {name: name for name in SETS})
    except ValueError as error:
        raise ValueError(f"{error} Or give a descriptor, as {descriptor.EXAMPLE}.") from None
    convolutions = dict(SETS[own]())
    counts = Counter(convolutions.values())
    names: dict[Problem, str] = {}
    for name, problem in convolutions.items():
        names.setdefault(problem, name)
    if colon:
        choices = {name: name for name in convolutions}
        name = naming.lookup(f"convolution of {own}", wanted, choices)
        names = {convolutions[name]: name}
    return [
        NamedProblem(
            name, problem, batch, descriptor.describe(problem, batch), own, counts[problem]
        )
        for problem, name in names.items()
    ]


def check_memory(problem: NamedProblem) -> None:
    """ValueError unless the arrays, copies for aligned access included, fit into memory."""
    try:
        most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return
    need = 2 * problem.bytes
    if need > most:
        raise ValueError(
            f"{problem.title} needs {need / 1e9:.0f} GB for its images, results and kernel. This "
            f"computer has {most / 1e9:.0f} GB: take a smaller batch or problem."
        )
