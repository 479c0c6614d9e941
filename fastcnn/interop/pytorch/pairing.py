"""The layers of a model and the modules of a state dict: who is whose, and what has no partner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fastcnn.hdf5.errors import FormatError
from fastcnn.interop.pytorch.shortest_walk import Module, pair
from fastcnn.interop.pytorch.slots import Slot
from fastcnn.interop.pytorch.state_dict import StateDict, described, modules_of

MORE_MODULES = 300
"""By how many a file may have more modules than a model, before it is not looked at further."""


@dataclass
class Pairing:
    """Which layers got which modules' weights, and what was left out, with the reason.

    Layers are named by their paths, the two convolutions of a SeparableConv2D by its path and
    "/depthwise" or "/pointwise", modules by their names in the state dict.
    """

    modules: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        width = max(map(len, self.modules), default=0)
        lines = [f"{layer:{width}} <- {module}" for layer, module in self.modules.items()]
        lines += [f"skipped {name}: {reason}" for name, reason in self.skipped.items()]
        return "\n".join(lines)


def paired(
    source: str, slots: Sequence[Slot], arrays: StateDict, skip_mismatch: bool
) -> tuple[list[Module | None], Pairing]:
    """Return each slot's module, and the same as a report.

    Args:
        source: What errors call the state dict.
        slots: What the layers need.
        arrays: The state dict.
        skip_mismatch: Whether what has no partner is left out.

    Raises:
        FormatError: Something has no partner, and is no auxiliary classifier.
    """
    modules = modules_of(arrays)
    if len(modules) > len(slots) + MORE_MODULES:
        raise FormatError(
            f"'{source}' does not fit the model: it has {len(modules):,} modules, and the model "
            f"needs {len(slots):,}. Nothing was loaded."
        )
    attempts = [_Attempt(slots, modules)]
    for kept in () if attempts[0].complete else _without_auxiliaries(slots, modules):
        attempts.append(_Attempt(*kept))
        if attempts[-1].complete:
            break
    best = attempts[-1] if attempts[-1].complete else attempts[0]
    if not best.modules or not (best.complete or skip_mismatch):
        raise FormatError(
            f"'{source}' does not fit the model. {attempts[0].mismatch()} Nothing was loaded."
            + ("" if skip_mismatch else " skip_mismatch=True leaves out what does not fit.")
        )
    return [best.modules.get(slot.name) for slot in slots], _report(best, slots, modules)


class _Attempt:
    """Some slots and modules, paired."""

    def __init__(self, slots: Sequence[Slot], modules: Sequence[Module]) -> None:
        numbers = pair(slots, modules)
        self.slots = slots
        self.modules = {
            slot.name: modules[number]
            for slot, number in zip(slots, numbers, strict=True)
            if number is not None
        }
        taken = {*numbers}
        self.left = [module for number, module in enumerate(modules) if number not in taken]
        self.complete = not self.left and len(self.modules) == len(slots)

    def mismatch(self) -> str:
        """Return a sentence on the first of what has no partner."""
        before = ""
        for slot in self.slots:
            module = self.modules.get(slot.name)
            if module is None:
                return self._missing(slot, before)
            before = module.name
        (first, *more) = self.left
        others = f", and {len(more)} more" if more else ""
        return f"It has {_module(first)}{others}, for which the model has no layer."

    def _missing(self, slot: Slot, before: str) -> str:
        place = f", behind '{before}'," if before else ""
        needs = f"Layer '{slot.name}' needs {described(slot.shapes)}"
        if not self.left:
            return f"{needs}, and there is none left{place[:-1]}."
        missed = len(self.slots) - len(self.modules)
        return (
            f"{needs}. In its place{place} stands {_module(self.left[0])}. In all, {missed} of "
            f"{len(self.slots)} layers with weights have no partner, and {len(self.left)} of the "
            "file's modules."
        )


def _module(module: Module) -> str:
    return f"'{module.name}' with {described(module.shapes)}"


def _without_auxiliaries(
    slots: Sequence[Slot], modules: Sequence[Module]
) -> Iterator[tuple[Sequence[Slot], Sequence[Module]]]:
    """Yield both sides without the auxiliary classifiers of one of them, or of both."""
    main_slots = [slot for slot in slots if not slot.auxiliary]
    main_modules = [module for module in modules if not _is_auxiliary(module)]
    if len(main_modules) < len(modules):
        yield slots, main_modules
    if len(main_slots) < len(slots):
        yield main_slots, modules
        if len(main_modules) < len(modules):
            yield main_slots, main_modules


def _is_auxiliary(module: Module) -> bool:
    return any(part.lower().startswith("aux") for part in module.name.split("."))


def _report(best: _Attempt, slots: Sequence[Slot], modules: Sequence[Module]) -> Pairing:
    pairing = Pairing({layer: module.name for layer, module in best.modules.items()})
    for slot in slots:
        if slot.name not in best.modules:
            pairing.skipped[slot.name] = f"no module has {described(slot.shapes)}"
    used = {*pairing.modules.values()}
    for module in modules:
        if module.name not in used:
            pairing.skipped[module.name] = f"no layer takes {described(module.shapes)}"
    return pairing
