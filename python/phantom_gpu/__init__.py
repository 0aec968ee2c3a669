"""Cycle-level, discrete-event GPU microarchitecture simulator.

The functions are the commands of the command line. Keyword arguments are its options, with ``_`` for ``-``: ``True`` is
an option without a value, a list or a dictionary one that is repeated (``set={"l1.ways": 64}`` is ``--set l1.ways=64``),
``None`` and ``False`` leave it out. What ``--json -`` writes comes back as dictionaries; the contract of its names is the
command line's, and ``explain`` says what each number means.
"""

import csv
import json
import os
from collections.abc import Mapping

from ._phantom_gpu import PhantomGpuError, run

__all__ = [
    "PhantomGpuError",
    "Session",
    "Sweep",
    "benchmark",
    "command",
    "explain",
    "kernels",
    "load_model",
    "merge",
    "metrics",
    "research",
    "simulate",
    "sweep",
    "validate",
]


def command(name, *inputs, **options):
    """Runs the command ``name`` and returns what it writes to standard output, as text.

    >>> command("trace info", "traces/tiny.pgt")
    """
    words = name.split()
    for option, value in options.items():
        flag = "--" + option.rstrip("_").replace("_", "-")
        words += _words(flag, value)
    # Behind `--` nothing is an option, whatever it looks like.
    words += ["--", *map(os.fspath, inputs)] if inputs else []
    return run(words).decode()


def _words(flag, value):
    if value is None or value is False:
        return []
    if value is True:
        return [flag]
    if isinstance(value, Mapping):
        pairs = ((key, str(v).lower() if isinstance(v, bool) else v) for key, v in value.items())
        return [word for key, v in pairs for word in (flag, f"{key}={v}")]
    if isinstance(value, (list, tuple)):
        return [word for one in value for word in _words(flag, one)]
    return [f"{flag}={os.fspath(value) if isinstance(value, os.PathLike) else value}"]


def _numbers(name, *inputs, **options):
    return json.loads(command(name, *inputs, json="-", **options))


def simulate(*trace, gpu, **options):
    """The report of traces, ``synth:`` kernels or applications on the machine ``gpu``.

    >>> simulate("traces/tiny.pgt", gpu="v100", set={"l1.ways": 64})["kernels"][0]["cycles"]
    """
    inputs = list(trace)
    # The name of the argument, for those who write it.
    named = options.pop("trace", [])
    inputs += [named] if isinstance(named, (str, os.PathLike)) else list(named)
    return _numbers("simulate", *inputs, gpu=gpu, **options)


def benchmark(model, gpu, **options):
    """The report of a model on a GPU, layer by layer; a list of reports where lists were given."""
    return _numbers("benchmark", model=model, gpu=gpu, **options)


def load_model(model, **options):
    """Operators, products, parameters and memory of a model."""
    return json.loads(command("load-model", model, json=True, **options))


def validate(**options):
    """Predicted times of kernels against measured ones."""
    return _numbers("validate", **options)


def research(*inputs, gpu, features, **options):
    """The report of traces, ``synth:`` kernels or a ``model`` under the instruments of research features, by name: their
    sections are under ``research``.

    >>> research("traces/tiny.pgt", gpu="v100", features=["architecture-research"], variants=["larger-l1"], slopes=True)
    """
    names = [features] if isinstance(features, str) else list(features)
    return _numbers("research", *inputs, gpu=gpu, features=names, **options)


def explain(*names):
    """What numbers of the report mean."""
    return command("explain", *names)


class Session:
    """A machine: a GPU and what is different about it.

    >>> Session("v100", set={"sm.scheduler": "lrr"}).simulate("traces/tiny.pgt")
    """

    def __init__(self, gpu, set=None):
        self.gpu = gpu
        self.set = dict(set or {})

    def __repr__(self):
        return f"Session({self.gpu!r}, set={self.set!r})"

    def with_set(self, **keys):
        """The same machine with other keys; ``__`` stands for the dot: ``with_set(l1__ways=64)``."""
        more = {key.replace("__", "."): value for key, value in keys.items()}
        return Session(self.gpu, {**self.set, **more})

    def simulate(self, *trace, **options):
        """As the function, on this machine."""
        return simulate(*trace, gpu=self.gpu, **self._with(options))

    def benchmark(self, model, **options):
        """As the function, on this machine."""
        return benchmark(model, self.gpu, **self._with(options))

    def _with(self, options):
        return {**options, "set": {**self.set, **options.get("set", {})}}


class Sweep:
    """The folder of a sweep that was run."""

    def __init__(self, folder):
        self.folder = os.fspath(folder)

    @property
    def csv(self):
        """The path of the table of all points."""
        return os.path.join(self.folder, "results.csv")

    @property
    def summary(self):
        """Best points, Pareto front, effects of axes."""
        with open(os.path.join(self.folder, "summary.json"), encoding="utf-8") as file:
            return json.load(file)

    def rows(self):
        """A dictionary for each point: its columns, as text, as they stand in ``csv``."""
        with open(self.csv, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def table(self):
        """The points as a table of pyarrow, which has to be installed."""
        import pyarrow.parquet

        return pyarrow.parquet.read_table(os.path.join(self.folder, "results.parquet"))

    def report(self, point):
        """The report of a point by its number; ``None`` where it has none."""
        with open(os.path.join(self.folder, "manifest.json"), encoding="utf-8") as file:
            key = json.load(file)["points"][point]["key"]
        with open(os.path.join(self.folder, "points", f"{key}.json"), encoding="utf-8") as file:
            return json.load(file).get("report")

    def metric(self, of):
        """``of(report)`` for each point in order; ``None`` where there is no report."""
        reports = (self.report(int(row["point"])) for row in self.rows())
        return [None if report is None else of(report) for report in reports]


def sweep(file, output, **options):
    """Runs the points of a sweep that have no result in ``output`` yet."""
    command("sweep", file, output=output, **options)
    return Sweep(output)


def merge(*folders, output=None):
    """Puts the results of several folders of one sweep together, in ``output`` or in the first of them."""
    command("sweep merge", *folders, output=output)
    return Sweep(output or folders[0])


def metrics(reports, **functions):
    """A dictionary for each report with what each function says of it.

    >>> metrics([report], ipc=lambda r: r["totals"]["warp_instructions"] / r["totals"]["cycles"])
    """
    return [{name: of(report) for name, of in functions.items()} for report in reports]


def kernels(report):
    """The kernels of a report as flat rows: ``l1.sector_hits`` for what is within. For ``pandas.DataFrame``."""
    return [_flat(kernel) for kernel in report["kernels"]]


def _flat(value, name=""):
    if not isinstance(value, dict):
        return {name: value}
    row = {}
    for key, inner in value.items():
        row.update(_flat(inner, f"{name}.{key}" if name else key))
    return row
