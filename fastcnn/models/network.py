"""A network of layers in a row, as the programs that engines run."""

from __future__ import annotations

from collections.abc import Sequence

from fastcnn import strategies
from fastcnn.graph.autodiff import append_backward
from fastcnn.graph.fusion import drop_unused, fuse
from fastcnn.graph.inspection import Inspection, append_inspection
from fastcnn.graph.losses import append_losses, gradients_of, results_of
from fastcnn.graph.program import Buffer, Program
from fastcnn.layers.base import Layer
from fastcnn.layers.containers import append_trace, lower_network
from fastcnn.losses import Loss
from fastcnn.models import lookup
from fastcnn.training.trainer import Trainer


class Network(Trainer):
    """A model, as far as it becomes programs."""

    def program(
        self,
        training: bool = False,
        fused: bool = True,
        until: str | None = None,
        images: int = 32,
        traced: bool = False,
        layers: Sequence[Layer] | None = None,
    ) -> Program:
        """Return the network as ops, with the strategies that compute its convolutions; print it.

        Args:
            training: Whether the layers act as in training: dropout, statistics of the batch.
            fused: Whether ops are joined, as they are before they run.
            until: The path of a layer, behind which the program stops; None for the last one.
            images: The size of a batch, for which strategies are chosen.
            traced: Whether it ends in the outputs of all layers, side by side.
            layers: Layers of the model in a row, by themselves; None for all.

        Returns:
            The program.

        Raises:
            KeyError: No layer has the path `until`.
            ValueError: A layer names a strategy that cannot compute its convolution.
        """
        program = self._ops(training, fused, until, traced, layers)
        strategies.assign(program, images, self.error_bound, self.device, self.precision)
        return program

    def _ops(
        self,
        training: bool,
        fused: bool = True,
        until: str | None = None,
        traced: bool = False,
        layers: Sequence[Layer] | None = None,
    ) -> Program:
        whole = traced or until is not None
        chain = self.layers if layers is None else layers
        program = lower_network(chain, chain[0].input_shape, training, whole)
        if until is not None:
            program.output = program.outputs_of[until]
        if traced:
            program.output = append_trace(program)
        program.output = program.readable(program.output)
        if fused:
            fuse(program)
        if not training:
            drop_unused(program, {program.output})
        return program

    def trace_program(self, images: int, layers: Sequence[Layer] | None = None) -> Program:
        """Return the program that ends in the outputs of all layers, not fused.

        Args:
            images: The size of a batch, for which strategies are chosen.
            layers: Layers of the model in a row, by themselves; None for all.

        Returns:
            The program, at inference.
        """
        return self.program(fused=False, images=images, traced=True, layers=layers)

    def inspection_program(
        self, inspection: Inspection, images: int, layers: Sequence[Layer] | None = None
    ) -> tuple[Program, dict[str, Buffer]]:
        """Return the program that ends in outputs of layers, and in a gradient.

        Args:
            inspection: What is asked for.
            images: The size of a batch, for which strategies are chosen.
            layers: Layers of the model in a row, by themselves; None for all.

        Returns:
            The program, at inference, and its buffers by what they are in it.

        Raises:
            ValueError: There is no such gradient, or an op passes none on.
        """
        chain = self.layers if layers is None else layers
        program = lower_network(chain, chain[0].input_shape, training=False, whole=True)
        roles = append_inspection(program, inspection, self.loss)
        strategies.assign(program, images, self.error_bound, self.device, self.precision)
        return program, roles

    def program_and_roles(
        self,
        kind: str,
        images: int = 32,
        loss: Loss | None = None,
        layers: Sequence[Layer] | None = None,
    ) -> tuple[Program, dict[str, Buffer]]:
        """Return the program of a step and its buffers by role.

        Args:
            kind: "train", "test" or "predict".
            images: The size of a batch, for which strategies are chosen.
            loss: One that takes the place of the model's; None for the model's own.
            layers: Layers of the model in a row, by themselves; None for all.

        Returns:
            The program, and its buffers by what they are in it: "output", "gradient", ...
        """
        program = self._ops(training=kind == "train", layers=layers)
        roles = {"output": program.output}
        if kind != "predict":
            roles |= append_losses(program, loss or self.loss)
        if kind == "train":
            append_backward(program, gradients_of(program, roles))
        wanted = {program.output}
        if kind != "predict":
            wanted = {roles["gradient"], roles["finite"], *results_of(program, roles)}
        drop_unused(program, wanted)
        strategies.assign(program, images, self.error_bound, self.device, self.precision)
        return program, roles

    def penalty(self) -> float:
        """Return the sum of the regularizers' penalties of all trainable parameters.

        Returns:
            What a training step adds to the mean loss of a batch.
        """
        total = 0.0
        for parameter in self.parameters:
            if parameter.trainable and parameter.regularizer is not None:
                values = self.state.values[parameter.offset : parameter.offset + parameter.size]
                total += parameter.regularizer(values)
        return total

    def pin_strategies(self, images: int = 32) -> None:
        """Name the strategies now in force, in the layers' settings.

        A model that leaves them to "auto" may compute other bits where other times were measured,
        or on another computer. Named ones stay as they are, through save and load too.

        Args:
            images: The size of a batch, for which strategies are chosen.

        Raises:
            ValueError: A layer of a user's own has no setting that holds them.
        """
        settings_to_pin = []
        chosen = strategies.training_choices(self, images)
        for op in self._ops(training=True).ops:
            if op.kind in strategies.DIRECTION_OF:
                names = strategies.pinned(op, images, self.error_bound, self.device, self.precision)
                names |= strategies.sparse_directions(op, chosen)
                layer = lookup.layer(self, op.layer)
                setting = lookup.strategy_setting(layer, op.attributes["strategy"], names)
                if setting is not None:
                    settings_to_pin.append((layer, setting, names))
        for layer, setting, names in settings_to_pin:
            layer._assign(**{setting: strategies.wish(layer.label, names)})
        self.plan_anew()
