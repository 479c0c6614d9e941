"""What every loss is."""

from __future__ import annotations

from fastcnn.utils import naming
from fastcnn.utils.settings import ConfiguredSettings


class Loss(ConfiguredSettings):
    """What the program needs to know of a loss.

    ``kernel`` is the loss kernel for outputs as declared by ``from_logits``. Where the network
    ends in the activation ``fuses``, ``fused_kernel`` computes both from the values before it.
    ``target`` is "sparse" (labels int32[n]) or "dense" (float32 like the outputs), whose values lie
    in ``target_range`` where there is one. ``has_classes`` says whether the outputs are scores of
    classes, ``yes_no`` whether each output answers a question of its own, with yes above the
    ``threshold``. ``option`` is the kernel's one extra number.

    Args:
        name: What it is called; None makes a name from the class.
    """

    kernel = ""
    target = "dense"
    target_range: tuple[float, float] | None = None
    has_classes = False
    yes_no = False
    from_logits = False
    fuses: str | None = None
    fused_kernel: str | None = None
    option = 0.0

    def __init__(self, name: str | None = None) -> None:
        self.name = name or naming.snake_case(type(self).__name__)

    def _check_constructed(self) -> None:
        super()._check_constructed()
        if not self.kernel:
            raise TypeError(
                f"{type(self).__name__}: its class must name one of fastcnn's loss kernels, kernel "
                "= '...'. A loss in NumPy or Numba derives from fastcnn.losses.CustomLoss or "
                "CompiledLoss. See help(fastcnn.losses.Loss)."
            )

    @property
    def threshold(self) -> float:
        """The output above which the answer is yes."""
        return 0.0 if self.from_logits else 0.5

    def plan_key(self) -> tuple[object, ...]:
        """Return what the ops of a loss depend on."""
        kernels = self.kernel, self.fused_kernel, self.fuses
        return (*kernels, self.option, self.target, self.has_classes)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {"name": self.name}
