"""What the docstring of every augmentation says."""

from __future__ import annotations

from fastcnn.utils.docstrings import described_by

documented = described_by("""An augmentation.

Args:
    fill_mode: What is outside of the image: "reflect" (d c b a | a b c d | d c b a), "wrap" (a b c
        d | a b c d | a b c d), "nearest" (a a a a | a b c d | d d d d) or "constant", `fill_value`.
    interpolation: Between pixels, "bilinear" or "nearest".
    fill_value: The value outside for "constant".
    value_range: (lowest, highest) value of the pixels, which results are cut to.

Raises:
    TypeError: A number is none.
    ValueError: One is out of its range, or an argument has none of these forms.
""")
"""Decorates such a class, in whose docstring only what is its own needs to stand."""
