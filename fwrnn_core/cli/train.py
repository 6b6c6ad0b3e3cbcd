"""``fwrnn train``: train named runs of the catalogue, or a config file."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fwrnn_core.cli.wording import add_command, add_no_progress, progress
from fwrnn_core.errors import ConfigError

if TYPE_CHECKING:
    from fwrnn_core.training import RunConfig

# Where the system refuses torch a thread, the process ends without a word.
_MOST_THREADS = 1024
_EPILOG = """\
examples:
  fwrnn train --list                          what there is to train: every run, with its epochs
  fwrnn train har2/published/fw-k5            one run, with a progress bar
  fwrnn train table3 --jobs 2                 a group of runs, two at a time
  fwrnn train 'mnist-rnn/*' --stop-after 10   the first ten epochs of each; later calls go on
  fwrnn train my-run.json                     a config of your own (start from --show)
  fwrnn train har2/published/adam --show      print that run's config as JSON

groups:
  fig3 fig4 fig5 fig6 table2 table3         the paper's, in its own settings
  fair-search fair fair-equal               every method tuned alike; the search first, then runs
                                            of equal passes over the data, of equal gradients
  fig3-search fig3-tuned                    the same for the Adding task
  table3-seeds fig4-equal indrnn-equal      more seeds; equal settings
  ablations                                 one argument at a time
  theory a5                                 with what the theory assumes measured on the way

A run that was interrupted, or killed, goes on from its last epoch. A run whose record exists is
not trained again. Datasets are downloaded when they are first needed. Records go to data/records
in a checkout, else to ~/.local/share/fwrnn/records; FWRNN_HOME changes that.

Exit status: 0 trained; 1 a run diverged or failed; 2 a mistake in what you typed; 130 interrupted.
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        "train",
        "train runs of the paper's experiments, or your own",
        "Train what is missing of the named runs and file a record of each.",
        _EPILOG,
    )
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="a run's name, a group, a 'glob*', or a .json file"
    )
    parser.add_argument(
        "--list", action="store_true", help="list the runs (all, if none is named) and stop"
    )
    parser.add_argument("--show", action="store_true", help="print the configs as JSON and stop")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="runs side by side (default 1)"
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="CPU threads per run (default 1)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 … (default auto)")
    parser.add_argument(
        "--stop-after", type=int, metavar="N", help="file a partial record after N epochs"
    )
    add_no_progress(parser)
    parser.set_defaults(handler=run)


def resolve(names: list[str]) -> list[tuple[RunConfig, str]]:
    """Configs for names, groups, globs and files, each once, in order, beside what named them.

    Raises ``ConfigError`` for a name that does not exist, a file that is not a config, and for two
    configs of one name: only one of them could file its record.
    """
    from fwrnn_core import experiments

    found: dict[str, tuple[RunConfig, str]] = {}
    for name in names:
        configs = [_read(name)] if name.endswith(".json") else experiments.select(name)
        for config in configs:
            earlier, place = found.setdefault(config.name, (config, name))
            if earlier.id != config.id:
                raise ConfigError(
                    f"{name}: its run is called {config.name!r} like that of {place}, and their "
                    f"settings differ; give one of them another name"
                )
    return list(found.values())


def _read(file: str) -> RunConfig:
    """The config in a JSON file."""
    from fwrnn_core.training import RunConfig

    try:
        body = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{file}: cannot be read as a run config ({reason})") from None
    try:
        return RunConfig.from_dict(body)
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{file}: {error}") from None


def run(args: argparse.Namespace) -> int:
    """Handle ``fwrnn train``."""
    from fwrnn_core import experiments, paths
    from fwrnn_core.training.environment import resolve_device
    from fwrnn_core.training.records import path_of

    _check(args)
    if not args.runs and not args.list:
        raise ConfigError("name a run to train; `fwrnn train --list` lists them")
    asked = resolve(args.runs or ["*"])
    configs = [config for config, _ in asked]
    if args.show:
        shown = [c.to_dict() for c in configs]
        print(json.dumps(shown[0] if len(shown) == 1 else shown, indent=2))
        return 0
    if later := experiments.waiting(*args.runs):
        print(f"fwrnn: {experiments.waits(later)}", file=sys.stderr)
    if args.list:
        for config in configs:
            print(f"{config.id}  {config.epochs:>4} epochs  {config.name}")
        return 0
    resolve_device(args.device)
    options: dict[str, Any] = {"device": args.device, "threads": args.threads}
    options |= {"stop_after": args.stop_after, "progress": progress(args)}
    if len(configs) == 1:
        from fwrnn_core.training import Interrupted, train
        from fwrnn_core.training.queue import missing

        if not missing(configs, args.stop_after):
            print(f"{configs[0].name} had its record already", file=sys.stderr)
        try:
            record = train(configs[0], **options)
        except ConfigError as error:  # data, options and probes are looked at only now
            file = asked[0][1]
            raise ConfigError(
                f"{file}: {error}" if file.endswith(".json") else str(error)
            ) from None
        except Interrupted as error:
            print(f"fwrnn: {error}", file=sys.stderr)
            return 130
        outcomes = [(record.name, record.status)]
    else:
        from fwrnn_core.training import queue

        results = queue.train_all(configs, jobs=args.jobs, **options)
        outcomes = [(r.name, r.status) for r in results]
        already = len(configs) - len(results)
        if already:
            print(f"{already} of {len(configs)} runs had their record already", file=sys.stderr)
    for name, status in outcomes:
        print(f"{name}: {status}{_where(name) if status == 'diverged' else ''}")
    # Outside a checkout nobody would guess the folder.
    one = len(configs) == 1
    print(f"Record: {path_of(configs[0].name)}" if one else f"Records: {paths.records()}")
    states = {status for _, status in outcomes}
    if "interrupted" in states:
        return 130
    return 1 if states & {"failed", "diverged"} else 0


def _check(args: argparse.Namespace) -> None:
    """Refuse a number out of its range before names are looked at, and anything trained."""
    for option in ("jobs", "threads", "stop_after"):
        value = getattr(args, option)
        most = _MOST_THREADS if option == "threads" else math.inf
        if value is not None and not 1 <= value <= most:
            flag = option.replace("_", "-")
            valid = ">= 1" if most == math.inf else f"1 … {most}"
            raise ConfigError(f"--{flag} = {value} is out of range; valid: {valid}")


def _where(name: str) -> str:
    """At which step a run diverged, and what is left of it."""
    from fwrnn_core.training import checkpoint, records

    record = records.read(records.path_of(name))
    at = record.body["diverged"]
    place = f"epoch {at['epoch']}, minibatch {at['minibatch']}, after {at['update']} updates"
    kept = checkpoint.path_of(record.config.id)
    left = f"; its last good state is kept in {kept}" if kept.exists() else ""
    return f" (loss {at['loss']} at {place}){left}"
