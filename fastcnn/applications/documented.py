"""What the docstring of every network's function says."""

from __future__ import annotations

from fastcnn.utils.docstrings import described_by

documented = described_by("""A network.

Args:
    input_shape: One image's, (height, width, channels).
    classes: The number of classes.
    **options: Of all networks: `weights`, `include_top`, `pooling`, `rescale`, `seed`, ...

Returns:
    The network, not compiled.

Raises:
    ValueError: Images of that shape are too small, or an argument is out of its range.
    TypeError: An option is unknown or an argument of a wrong type.
""")
"""Decorates such a function, in whose docstring only what is its own needs to stand."""
