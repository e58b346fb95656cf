"""The command ``mixtura``: fit, select, predict, report, sample and show, on files.

Results go to standard output; progress goes to standard error, and only where a person watches.
The status is 0, or 1 for a fit or a file that cannot be used, or 2 for a command that makes no
sense; what went wrong is one sentence on standard error.
"""

from __future__ import annotations

import argparse
import csv
import importlib.resources
import os
import shutil
import signal
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mixtura import GaussianMixture, Mixture, Selection, __version__, evaluate, io, scan, validation
from mixtura.em import Reason
from mixtura.engine import Engine, make_engine
from mixtura.families import ALIASES, FAMILIES, UNIVARIATE
from mixtura.mixture import model_of_document
from mixtura.progress import Teller, counted, reading
from mixtura.reading import LISTED, Table, feature_names, read_table
from mixtura.report import plotly_script, reported
from mixtura.rows import UNKNOWN, AnyArray, Rows
from mixtura.scanning import Scan, columns_of, found
from mixtura.select import CRITERIA, selected
from mixtura.sources import Streamed, each_batch, held_whole, surveyed
from mixtura.summary import facts_of, facts_of_fit, text_of
from mixtura.tables import appending_text, check_table, write_table, writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INTERRUPTED = 130
PIPE_CLOSED = 141
"""What a shell reports of a program that the signals SIGINT and SIGPIPE end."""

MOST_COUNTS = 1_000
"""Numbers of components that can be asked for."""

RANKED = 5
"""Models that are printed, best first."""

MOST_PORT = 65_535

WIDTH = 100
"""Columns of text where the output is no terminal."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``mixtura``.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; default those of the process.

    Returns
    -------
    int
        Exit status: 0, 1 (a fit or a file that cannot be used), 130 (interrupted), 141 (nobody
        reads the output any more).

    Raises
    ------
    SystemExit
        With status 2 if the arguments make no sense, 0 after ``--help`` and ``--version``.

    Examples
    --------
    >>> main(["show", "no-such-model.json"])
    1
    """
    arguments = _parser().parse_args(argv)
    try:
        with _told_to_stop(), _warnings_in_a_line():
            arguments.run(arguments)
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return PIPE_CLOSED
    except OSError as error:
        # Whatever happens to a file is a ValueError by now: this is the output itself.
        _drop_output()
        _say(f"cannot write to standard output: {error.strerror or error}")
        return 1
    except (ValueError, ImportError, MemoryError) as error:
        _say(str(error) or "not enough memory")
        return 1
    return 0


# Arguments ---------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """A parser that says in one sentence what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mixtura",
        description="Gaussian mixture models on tables.",
        epilog="DATA is a file in CSV, TSV, Parquet, Feather, Arrow or .npy, or a pattern of several in quotes; its "
        "numeric columns are used unless some are named.  Cells that are empty or NA are missing values.  A table that "
        "is larger than memory is read again for each pass.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mixtura {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], None], text: str) -> _Parser:
        added = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        added.set_defaults(run=run)
        return added

    demo = command("demo", _demo, "Fit the eruptions of Old Faithful: a tour on real data.")
    demo.add_argument("--out", metavar="DIR", default="demo-output", help="folder (%(default)s)")

    fit = command("fit", _fit, "Fit a mixture to the rows of a table.")
    fit.add_argument("data", metavar="DATA")
    fit.add_argument(
        "-k", required=True, type=_at_least(1), metavar="K", help="number of components (mixtura select finds one)"
    )
    fit.add_argument(
        "--type",
        default="full",
        help=f"covariance type: {', '.join([*ALIASES, *FAMILIES, *UNIVARIATE])} (%(default)s)",
    )
    _add_columns(fit)
    _add_weight(fit)
    _add_errors(fit)
    fit.add_argument(
        "--labels",
        metavar="COLUMN",
        help="column with the component of each row, 0, 1, ..., as far as it is known: -1 or empty where not (the "
        "table is then held in memory)",
    )
    fit.add_argument("--out", metavar="FILE", help="write the model, as JSON")
    fit.add_argument("--plot", metavar="FILE", help="draw the model and the rows: .png, .svg, .pdf")
    fit.add_argument("--report", metavar="FILE", help="write a page about the model and the rows, .html")
    fit.add_argument(
        "--checkpoint", metavar="FILE", help="keep the fit in a file as it goes: the same command goes on from there"
    )
    _add_seed(fit)
    _add_json(fit)

    select = command("select", _select, "Choose the covariance type and the number of components by a criterion.")
    select.add_argument("data", metavar="DATA")
    select.add_argument(
        "-k", default=range(1, 10), type=_counts, metavar="K", help="numbers of components: 1:9, or 2,3,5 (1:9)"
    )
    select.add_argument(
        "--types", default="all", type=_types, metavar="A,B", help="covariance types, or all fourteen of them (all)"
    )
    select.add_argument("--criterion", choices=CRITERIA, default="bic", help="what chooses (%(default)s)")
    select.add_argument("--time", type=_seconds, metavar="SECONDS", help="begin nothing new after so many seconds")
    _add_columns(select)
    _add_weight(select)
    select.add_argument(
        "--effective-size",
        action="store_true",
        help="weights say how much a row stands for, not how often it came: count as many rows as tell as much",
    )
    _add_errors(select)
    select.add_argument("--out", metavar="FILE", help="write the chosen model, as JSON")
    select.add_argument("--table", metavar="FILE", help="write the table of all models: .csv, .tsv, .parquet")
    select.add_argument("--plot", metavar="FILE", help="draw the criterion: .png, .svg, .pdf")
    select.add_argument("--report", metavar="FILE", help="write a page about the models and the rows, .html")
    _add_seed(select)
    _add_json(select)

    predict = command("predict", _predict, "Say which component each row of a table belongs to.")
    predict.add_argument("model", metavar="MODEL")
    predict.add_argument("data", metavar="DATA")
    _add_table(predict)
    _add_columns(predict)
    _add_errors(predict)
    predict.add_argument("--proba", action="store_true", help="also the probability of each component: p0, p1, ...")
    predict.add_argument("--density", action="store_true", help="also log_density")

    report = command("report", _report, "Write a page about a model and the rows of a table.")
    report.add_argument("model", metavar="MODEL")
    report.add_argument("data", metavar="DATA")
    report.add_argument("-o", "--out", required=True, metavar="FILE", help="the page, .html")
    _add_columns(report)
    _add_weight(report)
    _add_seed(report)
    _add_json(report)

    sample = command("sample", _sample, "Draw rows from a model.")
    sample.add_argument("model", metavar="MODEL")
    sample.add_argument("-n", required=True, type=_at_least(0), metavar="N", help="number of rows")
    _add_table(sample)
    _add_seed(sample)

    show = command("show", _show, "Say what is in a model file.")
    show.add_argument("model", metavar="MODEL")
    _add_json(show)

    teach = command("teach", _teach, "Serve a page, on this machine alone, that teaches mixtures and EM step by step.")
    teach.add_argument("--port", type=_port, default=0, metavar="N", help="port (0: any that is free)")
    teach.add_argument("--lang", choices=("en", "ja"), help="English or Japanese (that of the browser)")
    teach.add_argument("--no-browser", action="store_true", help="print the address only, and open no browser")
    return parser


def _add_columns(parser: _Parser) -> None:
    parser.add_argument("--columns", type=_names, metavar="A,B", help="columns to use, instead of all numeric ones")


def _add_weight(parser: _Parser) -> None:
    parser.add_argument("--weight", metavar="COLUMN", help="column with one weight per row")


def _add_errors(parser: _Parser) -> None:
    parser.add_argument(
        "--errors",
        type=_names,
        metavar="A,B",
        help="columns of standard errors (standard deviations, in the units of the values), one for each column that "
        "is used, in the same order (the table is then held in memory)",
    )


def _add_seed(parser: _Parser) -> None:
    parser.add_argument("--seed", type=_at_least(0), default=0, metavar="N", help="seed of the randomness (0)")


def _add_json(parser: _Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")


def _add_table(parser: _Parser) -> None:
    parser.add_argument(
        "-o",
        "--out",
        metavar="FILE",
        help="write CSV, TSV or Parquet, as the name ends; default: CSV to standard output",
    )


def _at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"expected an integer of at least {least}, got {text!r}")
        return value

    return parse


def _port(text: str) -> int:
    value = _at_least(0)(text)
    if value > MOST_PORT:
        raise argparse.ArgumentTypeError(f"expected a port up to {MOST_PORT}, got {text!r}")
    return value


def _counts(text: str) -> list[int]:
    """Numbers of components: a range a:b, both ends included, or a list."""
    try:
        if ":" in text:
            first, last = (int(part) for part in text.split(":"))
            found = list(range(first, min(last, first + MOST_COUNTS) + 1))
        else:
            found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1 or len(found) > MOST_COUNTS:
        raise argparse.ArgumentTypeError(
            f"expected a range like 1:9 or numbers like 2,3,5, {MOST_COUNTS} at most, got {text!r}"
        )
    return found


def _types(text: str) -> str | list[str]:
    names = _names(text)
    known = [*ALIASES, *FAMILIES, *UNIVARIATE]
    if names == ["all"]:
        return "all"
    if not names or any(name not in known for name in names):
        raise argparse.ArgumentTypeError(f"expected all, or names among {', '.join(known)}, got {text!r}")
    return names


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number of seconds, got {text!r}")
    return value


def _names(text: str) -> list[str]:
    """Names separated by commas; quotes hold a name together that has a comma."""
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]


# Commands ----------------------------------------------------------------------------------------


def _demo(arguments: argparse.Namespace) -> None:
    folder = arguments.out
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot make the folder {folder}: {error.strerror}") from error
    endings = ("csv", "png", "json", "html")
    rows, picture, model, page = (os.path.join(folder, f"faithful.{ending}") for ending in endings)
    io.check_writable(rows)
    _check_picture(picture)
    io.check_writable(model)
    _check_report(page)
    with importlib.resources.as_file(importlib.resources.files("mixtura") / "data") as data:
        table = read_table(io.write_whole(rows, (data / "faithful.csv").read_bytes()))
    print(
        f"Old Faithful, a geyser in Yellowstone: {len(table.x)} eruptions, how long each lasted\n"
        "and how long it was until the next, in minutes (Azzalini and Bowman 1990).\n"
    )
    gm = GaussianMixture(2, random_state=0, trace=True)
    _fit_to_table(gm, table, None)
    print(text_of(facts_of_fit(gm, table.n_missing), _width()))
    print("\nIn plain words, there are two kinds of eruption:")
    lengths = np.argsort(gm.means_[:, 0])
    for kind, k in zip(("short", "long"), lengths, strict=True):
        length, wait = gm.means_[k]
        print(
            f"  {kind:5}  {gm.weights_[k]:4.0%} of all; they last about {length:.1f} minutes, "
            f"and the next comes after about {wait:.0f} (component {k})"
        )
    _draw(picture, (10.0, 4.5), lambda figure: _draw_demo(figure, gm, table))
    gm.save(model)
    with _progress(f"writing {page}"):
        gm.report(table.x, page)
    print(
        f"\nWritten:\n  {rows}   the rows, to try the other commands on\n"
        f"  {picture}   the rows with the two components; the log-likelihood per pass\n"
        f"  {page}  a report to open in a browser: point at rows, move EM pass by pass, try other models\n"
        f"  {model}  the model, for mixtura show, predict and sample"
    )


def _draw_demo(figure: Figure, gm: GaussianMixture, table: Table) -> None:
    from mixtura import plot

    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    names = ("eruption lasted (minutes)", "until the next one (minutes)")
    plot.scatter(gm, table.x, ax=left, feature_names=names)
    plot.loglik(gm, ax=right)


def _fit(arguments: argparse.Namespace) -> None:
    _check_files(arguments)
    table = _read(arguments.data, arguments.columns, arguments.weight, arguments.errors, arguments.labels)
    gm = GaussianMixture(
        arguments.k,
        covariance_type=arguments.type,
        random_state=arguments.seed,
        trace=arguments.report is not None,  # whose passes it shows
    )
    if isinstance(table, Scan):
        x, n_missing = _fit_to_scan(gm, table, arguments.checkpoint)
    else:
        x, n_missing = _fit_to_table(gm, table, arguments.checkpoint)
    if gm.stop_reason_ is Reason.INTERRUPTED:  # a command that is stopped leaves no results that look whole
        raise KeyboardInterrupt
    _say_remarks(gm)
    if arguments.out is not None:
        gm.save(arguments.out)
    if arguments.plot is not None:
        _draw(arguments.plot, (7.0, 5.0), lambda figure: gm.plot(x, ax=figure.subplots()))
    if arguments.report is not None:
        _write_report(arguments.report, gm, table, arguments.seed)
    files = {"model": arguments.out, "plot": arguments.plot, "report": arguments.report}
    facts = {"data": arguments.data, **files, **facts_of_fit(gm, n_missing)}
    if arguments.json:
        print(io.dumps(facts))
        return
    print(text_of(facts, _width()))
    _say_files(arguments)


def _check_values(table: Table) -> None:
    """Refuse what no model can be fitted to, by the names of the columns, and say what is missing."""
    validation.finite(table.x, table.names, missing=True)
    validation.some_told(validation.missing(table.x), table.names)
    _say_missing(table.x.size, *_n_missing(table.x))


def _n_missing(x: AnyArray) -> tuple[int, int]:
    """How many values are missing, and of how many rows nothing is known."""
    gone = np.isnan(x)
    return int(gone.sum()), int(gone.all(axis=1).sum())


def _say_missing(n_values: int, n_missing: int, n_empty: int) -> None:
    if n_missing:
        nothing = f"; of {counted(n_empty, 'row')} nothing is known" if n_empty else ""
        are = "is" if n_missing == 1 else "are"
        _say(f"{n_missing} of {n_values} values {are} missing: rows count by what is known of them{nothing}")


def _fit_to_table(gm: GaussianMixture, table: Table, checkpoint: str | None) -> tuple[AnyArray, int]:
    """Fit to what is in memory; rows to draw, and how many values are missing."""
    _check_values(table)
    errors = validation.standard_errors(table.errors, table.x, table.names)
    labels = None if table.labels is None else np.where(np.isnan(table.labels), UNKNOWN, table.labels)
    what = f"fitting {counted(gm.n_components, 'component')} to {counted(len(table.x), 'row')}"
    with _progress(what) as say:
        task = partial(gm._task, table.x, table.weight, labels, errors)
        gm._fit_kept(task, checkpoint, partial(Teller.of, lambda text: say(f"{what}: {text}")))
    # The rows came without their names, which scikit-learn takes from data frames only.
    gm.feature_names_in_ = np.array(table.names, dtype=object)
    return table.x, table.n_missing


def _fit_to_scan(gm: GaussianMixture, table: Scan, checkpoint: str | None) -> tuple[AnyArray, int]:
    """Fit to what is larger than memory; some of the rows to draw, and how many values are missing."""
    with _reading(f"looking at {table.described}", table) as (_, watched):
        survey = surveyed(watched)
    _say_missing(survey.n_rows * table.n_features, survey.n_missing, survey.n_empty)
    what = f"fitting {counted(gm.n_components, 'component')} to {counted(survey.n_rows, 'row')}"
    with _reading(what, replace(table, n_rows=survey.n_rows)) as (say, watched):
        gm._fit_kept(partial(gm._task_over, Streamed(survey, watched)), checkpoint, partial(Teller.of, say))
    return survey.at_hand.x, survey.n_missing


def _say_remarks(gm: GaussianMixture) -> None:
    for subject, remark in gm.remarks_.items():
        if subject != "convergence":  # said in words that suit a command
            _say(f"warning: {remark}")
    if not gm.converged_:
        _say(
            f"warning: the fit had not converged after {counted(gm.n_iter_, 'pass', 'passes')}: "
            "its numbers would still change a little, and fewer components may suit the rows better"
        )


def _select(arguments: argparse.Namespace) -> None:
    _check_files(arguments)
    table = _read(arguments.data, arguments.columns, arguments.weight, arguments.errors)
    asked = partial(
        selected,
        n_components=arguments.k,
        covariance_types=arguments.types,
        criterion=arguments.criterion,
        time_budget=arguments.time,
        random_state=arguments.seed,
        effective_size=arguments.effective_size,
    )
    if isinstance(table, Scan):
        with _reading("comparing models", table) as (say, watched):
            selection = asked(watched, progress=_compared(say))
        _say_missing(selection.n_rows * selection.n_features, selection.n_missing, 0)
    else:
        _check_values(table)
        errors = validation.standard_errors(table.errors, table.x, table.names)
        with _progress("comparing models") as say:
            selection = asked(
                table.x,
                sample_weight=table.weight,
                error_covariance=errors,
                names=table.names,
                progress=_compared(say),
            )
    if arguments.table is not None:
        columns = {key: np.array([one[key] for one in selection.records]) for key in selection.records[0]}
        write_table(arguments.table, columns)
    gm = selection.best_
    if arguments.out is not None:
        gm.save(arguments.out)
    if arguments.plot is not None:
        _draw(arguments.plot, (8.0, 5.0), lambda figure: selection.plot(ax=figure.subplots()))
    if arguments.report is not None:
        _write_report(arguments.report, selection, table, arguments.seed)
    best = facts_of_fit(gm, selection.n_missing)
    if arguments.json:
        files = {"model": arguments.out, "plot": arguments.plot, "table_file": arguments.table}
        files["report"] = arguments.report
        print(io.dumps({"data": arguments.data, **files, **selection.facts(), "best": best}))
        return
    for line in selection.summary().splitlines():
        print(textwrap.fill(line, _width(), subsequent_indent="  "))
    print(f"\n{_ranking(selection)}\n\n{text_of({'data': arguments.data, **best}, _width())}")
    _say_files(arguments)


def _compared(say: Callable[[str], None]) -> Callable[[int, int], None]:
    return lambda done, total: say(f"comparing models: {done} of {total}")


def _ranking(selection: Selection) -> str:
    """The best models, one in a line."""
    values = ["bic", "icl", "aic", *(["cv"] if selection.criterion == "cv" else [])]
    lines = [f"{'type':>9}  {'K':>3}  {'log-likelihood':>14}  {'df':>5}" + "".join(f"  {name:>12}" for name in values)]
    for one in selection.ranked[:RANKED]:
        numbers = "".join(f"  {one[name]:12.4f}" for name in values)
        lines.append(
            f"{one['covariance_type']:>9}  {one['n_components']:3d}  {one['loglik']:14.4f}  {one['df']:5d}{numbers}"
        )
    return "\n".join(lines)


def _predict(arguments: argparse.Namespace) -> None:
    if arguments.out is not None:
        check_table(arguments.out)
    document, mixture = _read_model(arguments.model)
    table = _read(arguments.data, arguments.columns or document["feature_names"], None, arguments.errors)
    _check_columns(table, mixture, arguments.data)
    if isinstance(table, Scan):
        _predict_scan(arguments, mixture, table)
        return
    validation.finite(table.x, table.names, missing=True)
    _say_missing(table.x.size, *_n_missing(table.x))
    errors, missing = validation.standard_errors(table.errors, table.x, table.names), validation.missing(table.x)
    rows = Rows(table.x, missing=missing, noise=validation.error_covariance(errors, table.x, missing))
    with _progress(f"predicting {len(table.x)} rows"):
        columns = evaluate.columns(mixture, rows, make_engine(), proba=arguments.proba, density=arguments.density)
    _put_table(arguments.out, columns)


def _predict_scan(arguments: argparse.Namespace, mixture: Mixture, table: Scan) -> None:
    """Predictions that are written as the rows are read."""

    def of_rows(rows: Rows, engine: Engine) -> tuple[dict[str, NDArray[Any]], tuple[int, int]]:
        columns = evaluate.columns(mixture, rows, engine, proba=arguments.proba, density=arguments.density)
        return columns, (0, 0) if rows.missing is None else _n_missing(rows.x)

    n_rows, gone = 0, np.zeros(2, dtype=int)
    names: Iterable[str] = ()
    out = nullcontext(appending_text(sys.stdout, ",")) if arguments.out is None else writing(arguments.out)
    with (
        _reading(f"predicting {table.described}", table, printing=arguments.out is None) as (_, watched),
        out as append,
    ):
        for names, missing in each_batch(watched, make_engine(), of_rows):
            append(names)
            n_rows += len(names["label"])
            gone += missing
    _say_missing(n_rows * table.n_features, *map(int, gone))
    if arguments.out is not None:
        _say_written(arguments.out, n_rows, names)


def _report(arguments: argparse.Namespace) -> None:
    _check_report(arguments.out)
    document, mixture = _read_model(arguments.model)
    known = document["covariance_type"] is not None  # else nobody knows what kind of fit it was
    subject = GaussianMixture.load(arguments.model) if known else mixture.components
    table = _read(arguments.data, arguments.columns or document["feature_names"], arguments.weight, None)
    _check_columns(table, mixture, arguments.data)
    if isinstance(table, Table):
        _check_values(table)
    _write_report(arguments.out, subject, table, arguments.seed)
    facts = {"model": arguments.model, "data": arguments.data, "report": arguments.out}
    print(io.dumps(facts) if arguments.json else f"report written to {arguments.out}")


def _write_report(path: str, subject: Any, table: Table | Scan, seed: int) -> None:
    """Write a page about a model and the rows of a table."""
    names, rows, weight = (None, table, None) if isinstance(table, Scan) else (table.names, table.x, table.weight)
    with _progress(f"writing {path}"):
        io.write_whole(path, reported(subject, rows, sample_weight=weight, seed=seed, names=names))


def _check_report(path: str) -> None:
    """Raise what :func:`_write_report` would raise, before anything long begins."""
    plotly_script()
    if _ending(path) not in ("html", "htm"):
        raise ValueError(f"cannot write {path}: the name of a report must end in .html")
    io.check_writable(path)


def _check_columns(table: Table | Scan, mixture: Mixture, data: str) -> None:
    """Refuse a table that has another number of columns than the model has features."""
    names = (table.columns or ()) if isinstance(table, Scan) else table.names
    if len(names) != mixture.n_features:
        raise ValueError(
            f"the model has {mixture.n_features} features, but {len(names)} columns of "
            f"{data} are numeric or named ({', '.join(names)}): "
            "choose as many with --columns"
        )


def _sample(arguments: argparse.Namespace) -> None:
    if arguments.out is not None:
        check_table(arguments.out)
    document, mixture = _read_model(arguments.model)
    names = document["feature_names"] or feature_names(mixture.n_features)
    X, _ = mixture.sample(arguments.n, np.random.default_rng(arguments.seed))
    _put_table(arguments.out, dict(zip(names, X.T, strict=True)))


def _read_model(path: str) -> tuple[dict[str, Any], Mixture]:
    """A model file and its model, background included; whatever is wrong with it, the file is named."""
    document = io.read_model(path)
    with io.naming(path):
        return document, model_of_document(document)


def _put_table(path: str | None, columns: dict[str, NDArray[Any]]) -> None:
    if path is None:
        appending_text(sys.stdout, ",")(columns)
        return
    with _progress(f"writing {path}"):
        write_table(path, columns)
    _say_written(path, len(next(iter(columns.values()))), columns)


def _say_written(path: str, n_rows: int, names: Iterable[str]) -> None:
    print(f"{counted(n_rows, 'row')} written to {path}: {', '.join(names)}")


def _show(arguments: argparse.Namespace) -> None:
    document, mixture = _read_model(arguments.model)
    facts = {
        "model": arguments.model,
        **facts_of(
            mixture,
            document["covariance_type"],
            document["feature_names"],
            document["fit"],
        ),
    }
    print(io.dumps(facts) if arguments.json else text_of(facts, _width()))


def _teach(arguments: argparse.Namespace) -> None:
    from mixtura.teach.server import serve

    serve(arguments.port, arguments.lang, browse=not arguments.no_browser and _has_screen())


# Tables ------------------------------------------------------------------------------------------


def _read(
    data: str,
    columns: Sequence[str] | None,
    weight: str | None,
    errors: Sequence[str] | None,
    labels: str | None = None,
) -> Table | Scan:
    """The table DATA: in memory, in float64, if its rows are few; if they are more a scan whose columns have names.

    Of errors and labels there are no scans: with them any table is held in memory.
    """
    beside = [name for name in (weight, *(errors or ()), labels) if name is not None]
    with _progress(f"reading {data}"):
        names, without = columns_of(data, columns, beside)
        if errors is not None or labels is not None:
            whole = _joined(found(data), columns, weight, errors, labels)
        else:
            whole, table = None, scan(data, columns, weight=weight)
            rows = held_whole(table)
    if without:
        _say(_left_out(without))
    if whole is not None:
        return whole
    if rows is None:
        return replace(table, columns=names)
    return Table(rows.x.astype(np.float64, copy=False), names, rows.weight)


def _left_out(columns: Mapping[str, str]) -> str:
    """A sentence about columns that are not numbers: a gap in numbers that is written "?" makes text of a column."""
    held = ", ".join(f"{name} ({what})" for name, what in islice(columns.items(), LISTED))
    more = f" and {len(columns) - LISTED} more" if len(columns) > LISTED else ""
    remedy = "; where they should be, a missing one is an empty cell or NA" if "string" in columns.values() else ""
    return f"left out what holds no numbers: {held}{more}{remedy}"


def _joined(paths: Sequence[io.PathLike], columns: Sequence[str] | None, *beside: Any) -> Table:
    """The rows of files under one another, all with the columns of the first."""
    tables = [read_table(paths[0], columns, *beside)]
    tables += [read_table(path, tables[0].names, *beside) for path in paths[1:]]
    first = tables[0]

    def together(parts: list[Any]) -> Any:
        return parts[0] if len(parts) == 1 or parts[0] is None else np.concatenate(parts)

    return Table(
        together([one.x for one in tables]),
        first.names,
        together([one.weight for one in tables]),
        together([one.errors for one in tables]),
        together([one.labels for one in tables]),
    )


# Files -------------------------------------------------------------------------------------------


def _check_files(arguments: argparse.Namespace) -> None:
    """Raise what writing the files that are asked for would raise, before anything long begins."""
    for name, check in CHECKS.items():
        path = getattr(arguments, name, None)
        if path is not None:
            check(path)


def _say_files(arguments: argparse.Namespace) -> None:
    """Say beneath a summary which files were written."""
    files = {name: getattr(arguments, name, None) for name in WRITTEN}
    said = [f"{WRITTEN[name]} written to {path}" for name, path in files.items() if path is not None]
    if said:
        print("\n" + "\n".join(said))


def _check_picture(path: str) -> None:
    """Raise what :func:`_draw` would raise, before anything long begins."""
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError:
        raise ImportError('drawing needs matplotlib: pip install "mixtura[plot]"') from None
    known = FigureCanvasBase.get_supported_filetypes()
    if _ending(path) not in known:
        raise ValueError(f"cannot draw {path}: its name must end in one of .{', .'.join(known)}")
    io.check_writable(path)


def _draw(path: str, size: tuple[float, float], draw: Callable[[Figure], Any]) -> None:
    # Not pyplot, which looks for a screen and keeps figures alive.
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=150, layout="constrained")
    draw(figure)
    with io.replacing(path) as file:
        figure.savefig(file, format=_ending(path))


def _ending(path: str) -> str:
    return os.path.splitext(path)[1][1:].lower()


CHECKS: dict[str, Callable[[str], object]] = {
    "out": io.check_writable,
    "table": check_table,
    "plot": _check_picture,
    "report": _check_report,
    "checkpoint": io.check_writable,
}
"""How the files are checked that a fit or a selection may write, by their arguments."""

WRITTEN = {"out": "model", "table": "table", "plot": "picture", "report": "report"}
"""What is said of them when they are there."""


# The terminal ------------------------------------------------------------------------------------


def _is_terminal(stream: Any) -> bool:
    return stream is not None and bool(stream.isatty())


def _has_screen() -> bool:
    """Whether a person watches, on a machine on which a browser has a window; one within the terminal would take it."""
    windows = sys.platform in ("win32", "darwin") or any(os.environ.get(one) for one in ("DISPLAY", "WAYLAND_DISPLAY"))
    return _is_terminal(sys.stdout) and windows


def _width() -> int:
    return shutil.get_terminal_size((WIDTH, 0)).columns if _is_terminal(sys.stdout) else WIDTH


def _console() -> Any:
    """rich's console on standard error, where a person watches and rich is there; else None."""
    if _is_terminal(sys.stderr):
        with suppress(ImportError):
            from rich.console import Console

            return Console(stderr=True)
    return None


@contextmanager
def _progress(text: str) -> Iterator[Callable[[str], None]]:
    """Say on standard error what is going on, where a person watches."""
    console = _console()
    if console is None:
        yield lambda _: None
        return
    from rich.text import Text

    # As Text, because square brackets in a name are no markup.
    with console.status(Text(text)) as status:
        yield lambda latest: status.update(Text(latest))


@contextmanager
def _reading(text: str, table: Scan, *, printing: bool = False) -> Iterator[tuple[Callable[[str], None], Scan]]:
    """The same with a bar of the rows that are read, beneath a line that changes; the scan that it watches.

    Where results are ``printing`` on a terminal meanwhile, there is no place for it.
    """
    console = None if printing and _is_terminal(sys.stdout) else _console()
    if console is None:
        yield (lambda _: None), table
        return
    with reading(console, text, table) as shown:
        yield shown


@contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    """Show what a fit warns of as one line, and no other library's notices to programmers."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        _say(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """Leave by an exception when told to terminate, so that no half-written file is left."""

    def leave(number: int, _: Any) -> NoReturn:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(text: str) -> None:
    if sys.stderr is not None:
        print("mixtura:", " ".join(text.split()), file=sys.stderr)


def _drop_output() -> None:
    """Send what is left of the output nowhere: the interpreter would try once more as it ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
