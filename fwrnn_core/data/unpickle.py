"""Read the signals out of a pickle of old pandas frames, without pandas and without trust.

A pickle is a program. This reader runs it on an interpreter that knows twelve names and refuses
every other; the pandas classes among them are stand-ins that only remember what they were given,
so neither pandas nor the version that wrote the file is needed.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np

from fwrnn_core.errors import DataError


class _Frame:
    """Stands in for pandas' DataFrame and BlockManager: keeps the state, runs nothing."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Index:
    """Stands in for pandas' Index classes, which serve only as arguments here."""


def _reconstructor(cls: type, base: type, state: Any) -> Any:
    if cls is not _Frame or base is not object or state is not None:
        raise DataError("the pickle builds an object that is not a data frame; not read")
    return _Frame()


def _new_index(cls: type, content: dict[str, Any]) -> dict[str, Any]:
    return content


def _encode(text: str, encoding: str) -> bytes:
    # Protocol 2 stores bytes as text in latin1; no other codec belongs here.
    if encoding != "latin1":
        raise DataError(f"the pickle asks for the codec {encoding!r}; not read")
    return text.encode("latin1")


# numpy moved this function between versions; an array knows where its own lives.
_array_reconstruct = np.empty(0).__reduce__()[0]

ADMITTED: dict[tuple[str, str], Any] = {
    ("copy_reg", "_reconstructor"): _reconstructor,
    ("__builtin__", "object"): object,
    ("__builtin__", "slice"): slice,
    ("_codecs", "encode"): _encode,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _array_reconstruct,
    ("pandas.core.frame", "DataFrame"): _Frame,
    ("pandas.core.internals.managers", "BlockManager"): _Frame,
    ("pandas.core.indexes.base", "_new_Index"): _new_index,
    ("pandas.core.indexes.base", "Index"): _Index,
    ("pandas.core.indexes.range", "RangeIndex"): _Index,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            # Looked up under the names of the file, so Python 2 names are not translated.
            return ADMITTED[module, name]
        except KeyError:
            raise DataError(
                f"the pickle asks for {module}.{name}, which a table of sensor signals does not "
                "need; it was not read"
            ) from None


@dataclass(frozen=True)
class Recording:
    """One experiment of one subject at 50 Hz: ``signals`` ``float64 [6, n]`` (acceleration x y z
    in g, angular velocity x y z in rad/s) and ``labels`` ``int64 [n]`` (−1 where unlabelled)."""

    subject: int
    signals: np.ndarray
    labels: np.ndarray


SIGNALS = ("acc-x", "acc-y", "acc-z", "gyro-x", "gyro-y", "gyro-z")


def _columns(frame: _Frame) -> dict[str, np.ndarray]:
    """The frame's columns by name, from the block layout of pandas 0.14 … 1.0."""
    manager = frame.state["_data"].state[3]["0.14.1"]
    names = [str(name) for name in manager["axes"][0]["data"]]
    return {
        name: row
        for block in manager["blocks"]
        for name, row in zip(names[block["mgr_locs"]], block["values"], strict=True)
    }


def recordings(content: bytes) -> list[Recording]:
    """All recordings in a pickled ``{subject: [frame, …]}``, by subject and then as stored.

    Raises :class:`~fwrnn_core.errors.DataError` for a pickle that needs any name but the twelve
    admitted, or that holds something else.
    """
    try:
        frames = _Unpickler(io.BytesIO(content)).load()
        result = []
        for subject in sorted(frames):
            for frame in frames[subject]:
                columns = _columns(frame)
                signals = np.stack([columns[name] for name in SIGNALS]).astype(np.float64)
                labels = columns["label"].astype(np.int64)
                result.append(Recording(int(subject), signals, labels))
        return result
    except DataError:
        raise
    except Exception as error:  # a broken pickle can fail in any way
        raise DataError(f"the pickle is not the table of signals it should be: {error}") from error
