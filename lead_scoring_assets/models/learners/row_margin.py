"""How a learner scores one lead at a time."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

RowMargin = Callable[[npt.NDArray[np.float32]], float]
"""From a row of the encoder's numbers, shape (columns,), to log odds before calibration: bit for bit those of `margins`."""
