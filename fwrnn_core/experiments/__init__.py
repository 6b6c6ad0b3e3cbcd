"""The paper's runs, and ours beside them, as data: names and :class:`RunConfig` objects, no code.

Names read like paths: ``har2/published/fw-k5`` is the paper's setting of "Ours K=5" on HAR-2. The
notebooks, ``fwrnn train`` and ``fwrnn records`` all take their runs from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from itertools import chain

from fwrnn_core.errors import ConfigError, unknown
from fwrnn_core.experiments import ablations, fair, published, theory, tuned
from fwrnn_core.training import RunConfig

# The paper's figures and tables, and the ablations, by the names a reader would ask for.
GROUPS: dict[str, tuple[str, ...]] = {
    "fig3": ("adding/published/*",),
    "fig3-search": ("adding/tuned/search/*",),
    "fig3-tuned": ("adding/tuned/final/*",),
    "fig4": ("mnist-rnn/published/*",),
    "fig4-equal": ("mnist-rnn/equal/*",),
    "fig5": ("mnist-indrnn/published/*",),
    "table2": ("mnist-indrnn/published/*",),
    "indrnn-equal": ("mnist-indrnn/equal/*",),
    "fig6": ("har2/published/*", "noisy-har2/published/*"),
    "table3": ("har2/published/*", "noisy-har2/published/*"),
    "table3-seeds": ("har2/seeds/*", "noisy-har2/seeds/*"),
    "ablations": ("ablations/*",),
    "theory": ("theory/*",),
    "a5": ("theory/har2/fw-*",),
    "fair-search": ("fair/*/search/*",),
    "fair": ("fair/*/final/*",),
    "fair-equal": ("fair/*/equal/*",),
}
# Groups whose runs follow from a search, and the group that is the search.
SEARCHES = {"fair": "fair-search", "fair-equal": "fair-search", "fig3-tuned": "fig3-search"}


def catalogue() -> dict[str, RunConfig]:
    """Every run by name; runs that follow from a search appear once the search is complete.

    >>> catalogue()["har2/published/fw-k5"].optimizer.inner_steps
    5
    """
    runs: dict[str, RunConfig] = {}
    parts = (published, tuned, ablations, fair, theory)
    for config in chain.from_iterable(part.runs() for part in parts):
        if config.name in runs:
            raise ValueError(f"two runs are called {config.name}")
        runs[config.name] = config
    return runs


def planned() -> list[str]:
    """Names of every run, also of those that follow from a search which is not complete yet.

    >>> "fair/har2/final/adam/seed-1" in planned()
    True
    """
    names = dict.fromkeys(catalogue())
    for task in fair.SEEDS:
        settled = {m for m in fair.METHODS if fair.names(task, m, "final")[1] in names}
        for method in fair.METHODS:
            # The equal runs of a search that is complete are in the catalogue, if there are any.
            names |= dict.fromkeys(fair.names(task, method, "final").values())
            if not {method, fair.BASELINE} <= settled:
                names |= dict.fromkeys(fair.names(task, method, "equal").values())
    for method in tuned.METHODS:
        names |= dict.fromkeys(tuned.final_names(method).values())
    return list(names)


def waiting(*patterns: str) -> dict[str, str]:
    """Planned runs that a name, group or shell pattern stands for and whose search is not complete
    yet: they have no config. Each with the group that is the search.

    >>> waiting("har2/published/*")
    {}
    """
    patterns = tuple(p for name in patterns for p in GROUPS.get(name, (name,)))
    known, found = catalogue(), {}
    for name in planned():
        if name not in known and any(fnmatchcase(name, p) for p in patterns):
            group = next(g for g in SEARCHES if any(fnmatchcase(name, p) for p in GROUPS[g]))
            found[name] = SEARCHES[group]
    return found


def select(name: str) -> list[RunConfig]:
    """The runs that a name, a group (``table3``) or a shell pattern stands for, never empty.

    Raises :class:`~fwrnn_core.errors.ConfigError` with the nearest valid names.

    >>> select("har2")
    Traceback (most recent call last):
    fwrnn_core.errors.ConfigError: 'har2' is a folder, no run; 'har2/*' is all that it holds
    """
    patterns = GROUPS.get(name, (name,))
    found = [c for n, c in catalogue().items() if any(fnmatchcase(n, p) for p in patterns)]
    if not found and (later := waiting(name)):
        raise ConfigError(f"{name!r}: {waits(later)}")
    if not found:
        raise nothing("run", name, [*catalogue(), *GROUPS], "`fwrnn train --list` lists every run")
    return found


def waits(later: Mapping[str, str]) -> str:
    """What to tell about the runs that :func:`waiting` found.

    >>> waits({"fair/har2/final/adam/seed-1": "fair-search"})
    '1 run waits for its search, which decides its settings: `fwrnn train fair-search` first'
    """
    first = " and ".join(f"`fwrnn train {group}`" for group in dict.fromkeys(later.values()))
    who = "1 run waits for its" if len(later) == 1 else f"{len(later)} runs wait for their"
    what = "its" if len(later) == 1 else "their"
    return f"{who} search, which decides {what} settings: {first} first"


def nothing(kind: str, name: str, known: Iterable[str], listed: str) -> ConfigError:
    """The error for a name that stands for nothing: the nearest of ``known``, which are too many
    to list, and in ``listed`` what lists them."""
    known, folder = list(known), name.rstrip("/") + "/"
    if any(n.startswith(folder) for n in known):
        return ConfigError(f"{name!r} is a folder, no {kind}; '{folder}*' is all that it holds")
    near = str(unknown(kind, name, known)).partition(" Valid:")[0]
    return ConfigError(f"{near} {listed}")
