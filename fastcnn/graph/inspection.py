"""What is asked of a network at inference beside its outputs: layers' outputs, and a gradient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fastcnn.graph.autodiff import append_gradient
from fastcnn.graph.fusion import drop_unused, fuse
from fastcnn.graph.losses import append_losses, scores_of
from fastcnn.graph.program import GRADIENT, Buffer, Program
from fastcnn.losses import Loss

LOSS, SCORES = "the loss", "the scores"
"""What stands in place of a layer's path: the model's loss, and its outputs before a last softmax
or sigmoid."""

GRADIENT_ROLE = "gradient of the source"


@dataclass(frozen=True)
class GradientRequest:
    """A gradient of LOSS, of SCORES or of a layer's outputs, with respect to the images, or to the
    outputs of the layer `source`; `relu_rule` says how it passes ReLU."""

    target: str
    source: str | None = None
    relu_rule: str = GRADIENT


@dataclass(frozen=True)
class Inspection:
    """What a program of this kind ends in: the outputs of the layers at these paths, and a
    gradient. Equal ones share a plan."""

    outputs: tuple[str, ...] = ()
    gradient: GradientRequest | None = None

    def roles(self) -> tuple[str, ...]:
        """Return what the buffers that are read after a run are called among the roles."""
        gradient = () if self.gradient is None else (GRADIENT_ROLE,)
        return (*map(role_of, self.outputs), *gradient)


def role_of(path: str) -> str:
    """Return what the outputs of the layer at a path are called among a program's roles."""
    return f"output of {path}"


def append_inspection(
    program: Program, inspection: Inspection, loss: Loss | None
) -> dict[str, Buffer]:
    """Make a network's program, not fused, end in what is asked for; returns buffers by role.

    Roles: those of `Inspection.roles`; of a gradient also target, which holds the labels of a loss,
    or else the factor of each output whose weighted sum the gradient is of; weight, of a loss.
    """
    request = inspection.gradient
    roles = {role_of(path): program.readable(_at(program, path)) for path in inspection.outputs}
    program.results.update(roles.values())
    program.output = program.readable(program.output)
    targets: Mapping[str, Buffer] = {}
    if request is not None:
        source = program.input if request.source is None else _at(program, request.source)
        of = _target(program, request.target)
        program.relu_rule = request.relu_rule
        program.results.update((source, of))
    fuse(program)
    if request is not None:
        if request.target == LOSS and loss is not None:
            targets = append_losses(program, loss)
            pair = targets["scores"], targets["gradient"]
            targets = {name: targets[name] for name in ("target", "weight")}
        else:
            seed = program.buffer(of.shape)
            targets, pair = {"target": seed}, (of, seed)
        gradient = append_gradient(program, [pair], source)
        roles[GRADIENT_ROLE] = _apart(program, gradient, targets.values())
    drop_unused(program, set(roles.values()))
    return {**roles, **targets}


def _at(program: Program, path: str) -> Buffer:
    return program.outputs_of[path]


def _target(program: Program, target: str) -> Buffer:
    if target in (LOSS, SCORES):
        return scores_of(program)
    return _at(program, target)


def _apart(program: Program, gradient: Buffer, outside: Iterable[Buffer]) -> Buffer:
    """Return a gradient in memory of its own, not in that of an array from outside."""
    roots = program.roots()
    if roots.get(gradient, gradient) in {*outside, program.input}:
        return program.add("copy", [gradient], gradient.shape)
    return gradient
