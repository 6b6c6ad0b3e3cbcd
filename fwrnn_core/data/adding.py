"""The Adding task: values, two markers, and the sum of the two marked values.

Long memory in its plainest form (Hochreiter & Schmidhuber 1997, section 5.4), in the
variant of Arjovsky et al. 2016: values uniform on (0, 1), one marker in each half of the sequence.
"""

from __future__ import annotations

import numpy as np

from fwrnn_core.errors import ConfigError


def generate(length: int, count: int, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """``count`` sequences: inputs ``float32 [count, length, 2]``, targets ``float32 [count]``.

    Feature 0 holds the values, feature 1 the markers. For an even length the numbers are drawn in
    the order of the generator that the paper cites, so the same state gives its very sequences.

    >>> x, y = generate(6, 3, np.random.RandomState(0))
    >>> x.shape, bool((x[..., 1].sum(1) == 2).all())
    ((3, 6, 2), True)
    >>> bool(np.allclose((x[..., 0] * x[..., 1]).sum(1), y))
    True
    """
    if length < 2:
        raise ConfigError(f"length must be at least 2 (one marker in each half), got {length}")
    values = rng.uniform(size=(length, count)).T.astype(np.float32)
    half = length // 2
    if length % 2 == 0:
        marks = rng.randint(half, size=(count, 2))
    else:
        marks = np.stack([rng.randint(half, size=count), rng.randint(length - half, size=count)], 1)
    marks[:, 1] += half
    x = np.zeros((count, length, 2), dtype=np.float32)
    x[..., 0] = values
    rows = np.arange(count)
    x[rows, marks[:, 0], 1] = 1
    x[rows, marks[:, 1], 1] = 1
    return x, values[rows, marks[:, 0]] + values[rows, marks[:, 1]]
