import numpy as np
import numpy.typing as npt

def product(
    left: npt.NDArray[np.float32], right: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]: ...
