"""The numbers that readers of lines get, in C; see `shortest`."""

import numpy as np

def convert(values: np.ndarray, found: np.ndarray, places: np.ndarray, /) -> int: ...
