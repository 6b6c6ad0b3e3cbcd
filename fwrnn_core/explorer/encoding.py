"""Numbers in JSON: little-endian float32 as base64, which a browser decodes in one call."""

from __future__ import annotations

import base64
import binascii

import numpy as np
import numpy.typing as npt

from fwrnn_core.errors import RecordError


def encode(values: npt.ArrayLike) -> str:
    """Values as base64 of little-endian float32 (row-major).

    >>> encode([1.0, -2.0])
    'AACAPwAAAMA='
    """
    return base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode("ascii")


def decode(text: str) -> npt.NDArray[np.float64]:
    """The values back, as a flat float64 array.

    >>> decode("AACAPwAAAMA=").tolist()
    [1.0, -2.0]

    Raises:
        RecordError: the text is not base64 of whole float32 numbers.
    """
    try:
        raw = base64.b64decode(text, validate=True)
        return np.frombuffer(raw, dtype="<f4").astype(np.float64)
    except (binascii.Error, ValueError) as error:
        raise RecordError(f"not base64 of float32 numbers: {error}") from None
