from typing import Any

import numpy as np
import numpy.typing as npt

FILL_MODES: tuple[str, ...]
REACH: int

def resample(
    x: npt.NDArray[Any],
    indices: npt.NDArray[np.int64],
    out: npt.NDArray[np.float32],
    *,
    matrices: npt.NDArray[np.float64] | None = None,
    fill_mode: str = "constant",
    fill_value: Any = 0.0,
    nearest: bool = False,
    linear: npt.NDArray[np.float32] | None = None,
    offset: npt.NDArray[np.float32] | None = None,
    mean: npt.NDArray[np.float32] | None = None,
    limits: tuple[float, float] = (0.0, 255.0),
    scale: Any = None,
    shift: Any = None,
) -> npt.NDArray[np.float32]: ...
