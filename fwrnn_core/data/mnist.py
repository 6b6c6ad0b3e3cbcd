"""MNIST, read pixel by pixel: 784 steps of one value, in reading order or permuted.

The images stay ``uint8`` until a batch is made (55 MB instead of 220 MB).
"""

from __future__ import annotations

import numpy as np

from fwrnn_core.data import sources
from fwrnn_core.errors import DataError

PIXELS = 784
# Mean and standard deviation of the training pixels on the scale 0 … 1, as commonly rounded.
MEAN, STD = 0.1307, 0.3081
# The authors' seed of the fixed permutation.
PERMUTATION_SEED = 42
_DTYPE_UINT8 = 0x08


def parse_idx(data: np.ndarray, what: str) -> np.ndarray:
    """The array in an IDX file of unsigned bytes, given the file's bytes (``uint8``).

    >>> parse_idx(np.array([0, 0, 8, 1, 0, 0, 0, 2, 7, 9], np.uint8), "example")
    array([7, 9], dtype=uint8)
    """
    if len(data) < 4 or data[0] or data[1] or data[2] != _DTYPE_UINT8:
        raise DataError(f"{what} is not an IDX file of unsigned bytes")
    header = 4 + 4 * int(data[3])
    shape = tuple(int(n) for n in data[4:header].view(">u4"))
    if header + int(np.prod(shape)) != len(data):
        raise DataError(f"{what} holds {len(data) - header} values, its header says {shape}")
    return data[header:].reshape(shape)


def permutation(seed: int = PERMUTATION_SEED) -> np.ndarray:
    """The fixed order of the 784 pixels: pixel ``permutation()[t]`` is shown at step t.

    >>> permutation()[:3].tolist()
    [598, 590, 209]
    """
    return np.random.RandomState(seed).permutation(PIXELS)


def load(source: str = "auto", order: np.ndarray | None = None) -> list[np.ndarray]:
    """x_train, y_train, x_test, y_test; every source gives the same bytes.

    Images are ``uint8 [N, 784, 1]``, labels ``int64 [N]``; ``order`` rearranges the pixels.
    """
    chosen = sources.ensure("mnist", source)
    arrays = []
    for file in chosen.files:
        array = parse_idx(sources.read(file), file.path)
        if array.ndim == 3:
            array = array.reshape(len(array), PIXELS)
            if order is not None:
                array = np.take(array, order, axis=1)
            arrays.append(array[..., None])
        else:
            arrays.append(array.astype(np.int64))
    return arrays
