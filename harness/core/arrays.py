"""The type of the arrays that the harness computes with, of any shape and dtype."""

import numpy as np

Array = np.ndarray
