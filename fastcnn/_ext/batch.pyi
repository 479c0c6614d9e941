from typing import Any

import numpy as np
import numpy.typing as npt

def gather(
    x: npt.NDArray[Any], indices: npt.NDArray[np.int64], out: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]: ...
