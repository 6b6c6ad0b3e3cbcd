"""Old pandas frames without pandas, and pickles that want more than they need."""

import builtins
import os
import pickle
import sys
import types

import numpy as np
import pytest

from fwrnn_core.data import unpickle
from fwrnn_core.errors import DataError


@pytest.fixture
def pandas_of_2020(monkeypatch):
    """Classes under the names that the file uses, enough to write such a pickle."""

    class Frame:
        pass

    class Manager:
        def __getstate__(self):
            return self.state

    class Index:
        def __init__(self, data):
            self.data = data

        def __reduce__(self):
            return _new_index, (type(self), {"data": self.data, "name": None})

    def _new_index(cls, content):
        raise AssertionError("only written, never called")

    names = {
        "pandas.core.frame": {"DataFrame": Frame},
        "pandas.core.internals.managers": {"BlockManager": Manager},
        "pandas.core.indexes.base": {"Index": Index, "_new_Index": _new_index},
    }
    for package in ("pandas", "pandas.core", "pandas.core.internals", "pandas.core.indexes"):
        monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
    for module_name, members in names.items():
        module = types.ModuleType(module_name)
        for name, member in members.items():
            member.__module__, member.__qualname__, member.__name__ = module_name, name, name
            setattr(module, name, member)
        monkeypatch.setitem(sys.modules, module_name, module)

    def frame(columns: dict[str, np.ndarray]) -> Frame:
        """Float columns in one block, integer columns in another, as pandas keeps them."""
        signals = [name for name in columns if columns[name].dtype.kind == "f"]
        others = [name for name in columns if name not in signals]
        ordered = signals + others
        axis = Index(np.array(ordered, dtype=object))
        blocks = [
            {
                "values": np.stack([columns[name] for name in part]),
                "mgr_locs": slice(ordered.index(part[0]), ordered.index(part[-1]) + 1, 1),
            }
            for part in (signals, others)
        ]
        manager = Manager()
        manager.state = ([axis], [], [], {"0.14.1": {"axes": [axis], "blocks": blocks}})
        result = Frame()
        result._data = manager
        return result

    def write(content: object) -> bytes:
        # Protocol 1 with Python 2 names, as in the file; numpy's old module name as well.
        data = pickle.dumps(content, protocol=1, fix_imports=True)
        return data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")

    return frame, write


def columns_of(rng: np.random.RandomState, count: int) -> dict[str, np.ndarray]:
    columns = {name: rng.standard_normal(count) for name in reversed(unpickle.SIGNALS)}
    return {**columns, "sequence": np.arange(count), "label": rng.randint(-1, 13, count)}


def test_signals_and_labels_come_back_by_name(pandas_of_2020):
    frame, write = pandas_of_2020
    rng = np.random.RandomState(0)
    tables = {2: [columns_of(rng, 7)], 1: [columns_of(rng, 5), columns_of(rng, 6)]}
    content = write({k: [frame(c) for c in v] for k, v in tables.items()})
    assert b"pandas.core.frame" in content
    back = unpickle.recordings(content)
    assert [r.subject for r in back] == [1, 1, 2]
    for recording, columns in zip(back, [*tables[1], *tables[2]], strict=True):
        for row, name in zip(recording.signals, unpickle.SIGNALS, strict=True):
            np.testing.assert_array_equal(row, columns[name])
        np.testing.assert_array_equal(recording.labels, columns["label"])


def test_no_module_is_imported(pandas_of_2020, monkeypatch):
    frame, write = pandas_of_2020
    content = write({1: [frame(columns_of(np.random.RandomState(0), 5))]})
    for name in [name for name in sys.modules if name.startswith("pandas")]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def guarded(name, *rest):
        assert not name.startswith("pandas"), name
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", guarded)
    assert len(unpickle.recordings(content)) == 1


class _Call:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (os.system, ("touch fwrnn-was-here",)),
        (eval, ("open('fwrnn-was-here', 'w')",)),
        (print, ("fwrnn",)),
        (np.load, ("x.npy",)),
        (pickle.loads, (b"N.",)),
    ],
)
@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_any_other_name_is_refused_and_not_called(
    function, arguments, protocol, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps({1: [_Call(function, *arguments)]}, protocol=protocol)
    with pytest.raises(DataError, match="asks for .* it was not read"):
        unpickle.recordings(content)
    assert list(tmp_path.iterdir()) == []


def test_admitted_names_cannot_be_turned_against_us():
    # _reconstructor(object, object, None) and encode with another codec are not what a frame needs.
    for program in (
        b"ccopy_reg\n_reconstructor\n(c__builtin__\nobject\nc__builtin__\nobject\nNtR.",
        b"c_codecs\nencode\n(Vtext\nVrot13\ntR.",
    ):
        with pytest.raises(DataError, match="not read"):
            unpickle.recordings(program)


@pytest.mark.parametrize("content", [b"", b"N.", b"garbage", b"I3\n.", pickle.dumps({1: [2]})])
def test_other_content_is_a_sentence(content):
    with pytest.raises(DataError, match="not the table of signals"):
        unpickle.recordings(content)


def test_a_frame_without_a_column_is_refused(pandas_of_2020):
    frame, write = pandas_of_2020
    columns = columns_of(np.random.RandomState(0), 5)
    del columns["gyro-y"]
    with pytest.raises(DataError, match="gyro-y"):
        unpickle.recordings(write({1: [frame(columns)]}))


def test_the_list_of_admitted_names_is_short_and_harmless():
    assert len(unpickle.ADMITTED) == 12
    assert not {m for m, _ in unpickle.ADMITTED} & {"os", "posix", "subprocess", "sys", "builtins"}
