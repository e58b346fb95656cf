"""Model choice: a criterion over a grid of covariance families and numbers of components, and what it says in words.

With l the log-likelihood of a cell (in nats, weights as they were given), df its free parameters, n the sum of the
weights and r_nk the posteriors, lower is better:

    BIC          df log n - 2 l
    ICL          BIC - 2 sum_n w_n log max_k r_nk        by hard assignment: each row to its most probable component
    ICL entropy  BIC - 2 sum_nk w_n r_nk log r_nk        by soft assignment
    AIC          2 df - 2 l

and, the other way round, higher is better for

    CV           log density per unit of weight of rows that were held out, FOLDS times a part of them

Where rows are not exact, all of these are of what the rows tell: values that are missing are integrated out, errors of
measurement are part of the density.

Of a table that is larger than memory the cells are filled on m of the n rows, one of each stretch.  A criterion of m
rows chooses fewer components than n rows bear out, so what is chosen is chosen on all of them.  With l_m the
log-likelihood of a cell on the rows it was fitted to, which is higher than on others by df / 2 or so (Akaike), that of
a fit to g times as many is about

    l_gm  =  g (l_m - df / 2) + df / 2,

uncertain by g times what l_m is: for g = n / m chance prefers what has many parameters.  So those that would be best on
g m rows, for FINALISTS numbers g from 1 to n / m, are fitted to all rows, and so is what has one component more or less
than the best of them; they are compared by the criterion over all rows, exactly.

How the cells are filled is told in grid.py.  The winner is carried to its end and looked at as any other fit is; if it
turns out to be degenerate, it is a collapsed cell, and the next one is looked at.

References: G. Schwarz, "Estimating the dimension of a model", Annals of Statistics 6, 1978; C. Fraley and A. E.
Raftery, "Model-based clustering, discriminant analysis, and density estimation", JASA 97, 2002; C. Biernacki, G.
Celeux and G. Govaert, "Assessing a mixture model for clustering with the integrated completed likelihood", IEEE
Transactions on Pattern Analysis and Machine Intelligence 22, 2000; H. Akaike, "A new look at the statistical model
identification", IEEE Transactions on Automatic Control 19, 1974; P. Smyth, "Model selection for probabilistic
clustering using cross-validated likelihood", Statistics and Computing 10, 2000; R. E. Kass and A. E. Raftery, "Bayes
factors", JASA 90, 1995 (what a difference of BIC means).
"""

from __future__ import annotations

import math
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold

from mixtura import distributed, evaluate, grid, start, validation
from mixtura.degeneracy import HARMLESS, distinct_rows
from mixtura.distributed import OnCluster, is_collection
from mixtura.engine import one_blas_thread
from mixtura.estimators import GaussianMixture
from mixtura.evaluate import MEASURES, OF_TOTALS, Totals, ranked
from mixtura.families import ALIASES, FAMILIES, UNIVARIATE, family_of
from mixtura.fitted import received
from mixtura.frames import frame
from mixtura.grid import Fit, NoFit
from mixtura.initialize import STARTS
from mixtura.io import PathLike
from mixtura.mixture import Mixture
from mixtura.priors import prior_of
from mixtura.progress import counted, meter
from mixtura.rows import AnyArray, Array, Rows, effective_rows, telling
from mixtura.scanning import Batch, Scan
from mixtura.sources import Streamed, surveyed
from mixtura.task import Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CRITERIA = ("bic", "icl", "aic", "cv")
"""What can be asked for."""

FOLDS = 5
"""Parts of the rows that are held out in turn."""

EVIDENCE = ((2.0, "hardly any"), (6.0, "positive"), (10.0, "strong"), (math.inf, "very strong"))
"""Differences of BIC, and the evidence that they are (Kass and Raftery 1995)."""

CLOSE = 10.0
"""Difference of BIC, ICL or AIC up to which another model is close behind; of log-likelihood, half of it."""

SHOWN = 4
"""Models close behind that are named, and cells of a group."""

COARSE = 0.5
"""Step of rounded values, in standard deviations of the narrowest component, from which it matters."""

MANY_TIES = 0.05
"""Part of the rows that equal another one, from which it is said."""

TIES_COUNTED = 10_000
"""Rows that are looked at for ties."""

FINALISTS, FINAL_PASSES = 5, 30
"""Models that are fitted to all rows of a table larger than memory, beside the neighbours of the best, and passes of
each before they are compared; the winner goes on to its end."""

Named = tuple[str, int]
"""A covariance type, as it was asked for, and a number of components."""


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """Models of a grid, and which of them a criterion chooses.

    Of a scan that is larger than memory the ``table`` is about ``n_searched`` of the ``n_rows``: its numbers compare
    models with each other, and are of these rows.  The best of them have been fitted to all rows, and these
    ``finalists`` have a dict each, the best first, whose numbers are of all rows: those that have chosen the winner.
    Otherwise all rows are searched, and there are no finalists.

    Parameters
    ----------
    records : tuple of dict
        One for each cell, as the rows of ``table`` are.
    criterion : {"bic", "icl", "aic", "cv"}
        The one that was asked for.
    n_rows, n_features, n_missing : int
        Rows, features and missing values of the data.
    total_weight : float
        Sum of the weights of the rows; their number, where they have none.
    seconds : float
        All that it took.
    remarks : tuple of str
        What else is to be said of data and models.
    winner : GaussianMixture or None
        The fitted estimator that :attr:`best_` gives; None if no cell is ok.
    n_searched : int
        Rows that were searched.
    finalists : tuple of dict
        Those that were fitted to all rows of a table larger than memory, the best first.

    References
    ----------
    See :func:`select`, which makes it.

    Examples
    --------
    >>> from mixtura import select
    >>> chosen = select([[0.0], [0.2], [0.9], [5.0], [5.4], [6.1]], [1, 2], random_state=0)
    >>> chosen.best_.covariance_type, chosen.best_.n_components, len(chosen.records)
    ('E', 2, 4)
    """

    records: tuple[Mapping[str, Any], ...]
    criterion: str
    n_rows: int
    n_features: int
    n_missing: int
    total_weight: float
    seconds: float
    remarks: tuple[str, ...]
    winner: GaussianMixture | None
    n_searched: int
    finalists: tuple[Mapping[str, Any], ...] = ()

    @cached_property
    def table(self) -> Any:
        """A row for each cell, a frame of pandas or polars if one of them is installed, else a list of records; with

        ``covariance_type``, ``n_components``
        ``loglik``       total log-likelihood, nats
        ``df``           free parameters
        ``bic``, ``icl``, ``icl_entropy``, ``aic``   lower is better; ICL by hard and by soft assignment
        ``cv``           log density per unit of weight of rows held out, higher is better; if it was asked for
        ``n_iter``       passes of EM since the start that won
        ``seconds``      share of the time
        ``status``       "ok", "collapsed", "failed" or "skipped"
        ``reason``       why not ok, or what else there is to say

        Where status is not "ok" there are no numbers but ``df`` and ``seconds``.
        """
        return frame(self.records)

    @property
    def ranked(self) -> list[Mapping[str, Any]]:
        """The cells that are ok, best first; of a table larger than memory its finalists, unless cv has chosen."""
        return ranked(self._compared, self.criterion)

    @property
    def _compared(self) -> Sequence[Mapping[str, Any]]:
        """What can be compared with the winner."""
        return self.records if self.criterion == "cv" or not self.finalists else self.finalists

    @property
    def _best(self) -> Mapping[str, Any]:
        """What there is to say of the winner."""
        return self.finalists[0] if self.finalists else self.ranked[0]

    @property
    def best_(self) -> GaussianMixture:
        """The fitted estimator of the winner; ValueError if no cell of the grid is ok."""
        if self.winner is None:
            name = MEASURES[self.criterion][0]
            raise ValueError(f"no model has a {name}, so that there is no best one: {'; '.join(self._troubles())}")
        return self.winner

    def facts(self) -> dict[str, Any]:
        """What there is to say, for machines: numbers that do not exist are None.

        Returns
        -------
        dict
            criterion, the covariance_type and n_components of the winner (None if there is none), seconds, summary (a
            list of lines), table and finalists (lists of dicts), n_searched; ready for JSON.

        Examples
        --------
        >>> from mixtura import select
        >>> select([[0.0], [0.2], [0.9], [5.0], [5.4], [6.1]], [1, 2], random_state=0).facts()["n_components"]
        2
        """
        rows, finalists = (
            [
                {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in one.items()}
                for one in those
            ]
            for those in (self.records, self.finalists)
        )
        best = None if self.winner is None else self._best
        return {
            "criterion": self.criterion,
            "covariance_type": None if best is None else best["covariance_type"],
            "n_components": None if best is None else best["n_components"],
            "seconds": self.seconds,
            "summary": self.summary().split("\n"),
            "table": rows,
            "n_searched": self.n_searched,
            "finalists": finalists,
        }

    def __repr__(self) -> str:
        if self.winner is None:
            return f"Selection(none of {counted(len(self.records), 'cell', 'cells')} has a {self.criterion})"
        best = self._best
        value = _digits(best[self.criterion], self.criterion)
        return f"Selection({_name(best)}: {self.criterion} {value}, of {counted(len(self.records), 'cell', 'cells')})"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from mixtura import html

        return html.of_selection(self)

    def plot(self, *, ax: Axes | None = None, criterion: str | None = None) -> Axes:
        """Draw the criterion against the number of components, a line for each family; needs ``mixtura[plot]``.

        Of a scan that is larger than memory it is that of the rows that were searched, as in the ``table``.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None
            Where to draw; None makes a figure.
        criterion : {"bic", "icl", "icl_entropy", "aic", "loglik", "cv"} or None
            None is the one that chose.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ValueError
            If the criterion is unknown, or no model has it.
        ImportError
            If matplotlib is missing.

        Examples
        --------
        >>> from mixtura import select
        >>> chosen = select([[0.0], [0.2], [0.9], [5.0], [5.4], [6.1]], [1, 2], random_state=0)
        >>> chosen.plot().get_xlabel()
        'number of components'
        """
        from mixtura import plot

        return plot.criterion(self, criterion, ax=ax)

    def report(
        self,
        X: ArrayLike,
        path: PathLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        alternatives: bool = True,
        time_budget: float | None = 10.0,
        seed: int = 0,
    ) -> Any:
        """A page about the winner and the models beside it; :func:`mixtura.report` says what is on it."""
        from mixtura.report import report

        return report(
            self, X, path, sample_weight=sample_weight, alternatives=alternatives, time_budget=time_budget, seed=seed
        )

    def summary(self) -> str:
        """What was found, in words: the winner, by how much, what is close behind, what failed and why.

        Returns
        -------
        str
            Sentences, one a line.

        Examples
        --------
        >>> from mixtura import select
        >>> chosen = select([[0.0], [0.2], [0.9], [5.0], [5.4], [6.1]], [1, 2], random_state=0)
        >>> print(chosen.summary().split("\\n")[0])
        E with 2 components, by BIC (22.15; lower is better).
        """
        lines = []
        if self.winner is None:
            rows = counted(self.n_rows, "row", "rows")
            lines.append(f"No model of {rows} has a {MEASURES[self.criterion][0]}, so that none is chosen.")
        else:
            lines += [*self._choice(), *self._rivals(), *self._others(), *self._edges()]
        lines += [f"{text}." for text in (*self._troubles(), *self.remarks)]
        return "\n".join(lines)

    # words -----------------------------------------------------------------------------------------------------------

    def _choice(self) -> list[str]:
        best = self._best
        value = _digits(best[self.criterion], self.criterion)
        kinds = len({one["covariance_type"] for one in self.records})
        counts = sorted({one["n_components"] for one in self.records})
        better = "lower" if MEASURES[self.criterion][1] > 0 else "higher"
        df = counted(best["df"], "free parameter", "free parameters")
        data = f"{counted(self.n_rows, 'row', 'rows')}, {counted(self.n_features, 'feature', 'features')}"
        if self.n_missing:
            data += f", {counted(self.n_missing, 'value', 'values')} missing"
        types = counted(kinds, "covariance type", "covariance types")
        components = "component" if counts == [1] else "components"
        models = counted(len(self.records), "model", "models")
        return [
            f"{_name(best)}, by {MEASURES[self.criterion][0]} ({value}; {better} is better).",
            f"Log-likelihood {best['loglik']:.2f} with {df}; {data}.",
            f"Compared: {types} with {_ranges(counts)} {components}, {models} in {self.seconds:.1f} s.",
            *self._search(),
        ]

    def _search(self) -> list[str]:
        """Which rows have been looked at, if that is not all of them."""
        if not self.finalists:
            return []
        rows = f"{self.n_searched} of {self.n_rows} rows, one of each stretch"
        if self.criterion == "cv":
            said = f"Searched, and held out in turn, were {rows}; the best model was then fitted to all rows"
        else:
            taken = counted(len(self.finalists), "model", "models")
            name = MEASURES[self.criterion][0]
            said = f"Searched were {rows}; the {taken} that promised most were fitted to all rows, whose {name} decided"
        return [f"{said}; the numbers in the table are of the rows that were searched."]

    def _rivals(self) -> list[str]:
        """By how much the winner won, and over what."""
        best, *others = self.ranked
        alone = best["n_components"] == 1  # with one component families fall together: those are no rivals
        others = [one for one in others if not (alone and one["n_components"] == 1 and one["df"] == best["df"])]
        if not others:
            return ["No other model can be compared."]
        gaps = [self._gap(best, other) for other in others]
        unit = "nats of held-out log-likelihood" if self.criterion == "cv" else MEASURES[self.criterion][0]
        said = f"The next best is {_name(others[0])}, {gaps[0]:.2f} {unit} behind"
        if self.criterion == "bic":
            word = next(word for limit, word in EVIDENCE if gaps[0] < limit)
            said += f": {word} evidence"
        near = [other for other, gap in zip(others, gaps, strict=True) if gap < self._near]
        if len(near) > 1:
            listed = _some([f"{_short(other)} (+{self._gap(best, other):.2f})" for other in near])
            said += f". Close behind: {listed}"
        return [said + "."]

    @property
    def _near(self) -> float:
        return CLOSE / 2 if self.criterion == "cv" else CLOSE

    def _gap(self, best: Mapping[str, Any], other: Mapping[str, Any]) -> float:
        """How far behind the ``best`` one is, in units of the criterion; of held-out log density in nats of all."""
        gap = MEASURES[self.criterion][1] * float(other[self.criterion] - best[self.criterion])
        return gap * self.total_weight if self.criterion == "cv" else gap

    def _others(self) -> list[str]:
        """Whether other criteria would have chosen the same."""
        best = ranked(self._compared, self.criterion)[0]
        differ = []
        for criterion in CRITERIA[:3]:
            first = ranked(self._compared, criterion)[0]
            if criterion != self.criterion and first is not best:
                differ.append(f"{MEASURES[criterion][0]} would choose {_short(first)}")
        return [f"{'; '.join(differ)}."] if differ else ["BIC, ICL and AIC agree."]

    def _edges(self) -> list[str]:
        """Whether the winner sits on the edge of the grid."""
        counts = sorted({one["n_components"] for one in self.records})
        k = self._best["n_components"]
        if len(counts) > 1 and k == counts[-1]:
            return [f"{k} is the largest number of components that was tried: there may be better ones beyond."]
        if len(counts) > 1 and k == counts[0] > 1:
            return [f"{k} is the smallest number of components that was tried: there may be better ones below."]
        return []

    def _troubles(self) -> list[str]:
        """What is not ok, by reason."""
        groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for one in self.records:
            if one["reason"]:
                groups.setdefault((one["status"], _kind(one["reason"])), []).append(one)
        said = []
        for (status, reason), those in sorted(groups.items(), key=lambda item: -len(item[1])):
            which = _some([_short(one) for one in those])
            head = counted(len(those), "model", "models") + ("" if status == "ok" else f" {status}")
            said.append(f"{head}: {reason} ({which})")
        return said


def _name(one: Mapping[str, Any]) -> str:
    return f"{one['covariance_type']} with {counted(one['n_components'], 'component', 'components')}"


def _short(one: Mapping[str, Any]) -> str:
    return f"{one['covariance_type']},{one['n_components']}"


def _some(things: Sequence[str]) -> str:
    """The first few of them, and how many more there are."""
    return ", ".join(things[:SHOWN]) + (f" and {len(things) - SHOWN} more" if len(things) > SHOWN else "")


def _digits(value: float, criterion: str) -> str:
    return f"{value:.4f} per row" if criterion == "cv" else f"{value:.2f}"


def _kind(reason: str) -> str:
    """A reason without its numbers: what it has in common with others."""
    return re.sub(r"\d+ of \d+ components", "components", reason)


def _ranges(counts: Sequence[int]) -> str:
    if len(counts) > 2 and counts == list(range(counts[0], counts[-1] + 1)):
        return f"{counts[0]} to {counts[-1]}"
    return ", ".join(map(str, counts))


def select(
    X: ArrayLike | Scan,
    n_components: int | Iterable[int] = range(1, 10),
    covariance_types: str | Sequence[str] = "all",
    criterion: str = "bic",
    prior: Any = None,
    sample_weight: ArrayLike | None = None,
    init: str = "auto",
    time_budget: float | None = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    progress: bool | Callable[[int, int], None] | None = None,
    error_covariance: ArrayLike | None = None,
    effective_size: bool = False,
) -> Selection:
    """Fit a grid of covariance families and numbers of components, and choose one.

    Parameters
    ----------
    X : array-like or frame of shape (n, d), or Scan
        Rows; a 1-D array is one feature.  NaN is a missing value, as for :meth:`GaussianMixture.fit`.  A scan
        (:func:`mixtura.scan`) of few rows is taken into memory.  One that is larger than memory is searched on some of
        its rows, one of each stretch; the five models that promise most, for as many rows or for more, are then fitted
        to all rows, and so are those with one component more or less than the best; the criterion over all rows
        chooses.  (With "cv" the rows that were searched choose, and the winner alone is fitted to all.)  The ``table``
        is that of the rows that were searched, the numbers over all rows are in ``finalists``, and ``summary()`` says
        so.
    n_components : int or iterable of int
        Numbers of components.
    covariance_types : "all", str or sequence of str
        The families, by codes or by scikit-learn's names; "all" are the fourteen codes.  Of one feature only volumes
        are left: E and V.
    criterion : {"bic", "icl", "aic", "cv"}
        What chooses: the information criteria, or the log density of rows that are held out, a fifth at a time (which
        takes six times as long).
    prior : None, str or object
        As for :class:`GaussianMixture`; criteria are those of the log-likelihood at the penalised fit.
    sample_weight : array-like of shape (n,) or None
        Weights of the rows; the criteria count their sum as the number of rows.  Those of a scan are a column, which
        ``scan`` names.
    init : str
        "auto": three hierarchical clusterings of up to 600 rows, cut for each number of components; or how else all
        cells begin: "k-means++", "kmeans", "random", "random_from_data", "hierarchical".
    time_budget : float or None
        Seconds after which no search is begun: what has been found is kept, and evaluated on all rows, which may take
        a while; models that have not been begun are "skipped".
    n_jobs : int or None
        Number of threads; None or -1 is one for each core.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        Source of randomness: which rows are clustered and searched, where there are more, which are held out, and the
        seeds of starts by k-means.
    progress : bool, callable or None
        A bar on standard error: None where that is a terminal and rich is installed, True in any case; or a function
        that is called with how much is done of how much.
    error_covariance : array-like of shape (n, d), (n, d, d), (d,) or (d, d), or None
        Variances, or covariances, of the errors that the rows were measured with, as for :meth:`GaussianMixture.fit`.
    effective_size : bool
        Whether weights say how much a row stands for, not how often it came: they are scaled to sum to the number of
        equally weighted rows that tell as much (Kish), as for :meth:`GaussianMixture.bic`.

    Returns
    -------
    Selection
        With the ``table`` of all models, the fitted winner ``best_``, ``plot()`` and ``summary()``.

    Raises
    ------
    ValueError
        For parameters or data that cannot be used.  What goes wrong with one model is said in its row of the table.

    References
    ----------
    C. Fraley and A. E. Raftery, "Model-based clustering, discriminant analysis, and density estimation", Journal of
    the American Statistical Association 97, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import select
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (100, 2)), rng.normal(6, 1, (100, 2))])
    >>> chosen = select(X, range(1, 4), ["EII", "VVV"], random_state=0)
    >>> chosen
    Selection(EII with 2 components: bic 1437.41, of 6 cells)
    >>> chosen.best_.n_components
    2
    """
    selection = selected(
        X,
        n_components,
        covariance_types,
        criterion,
        prior=prior,
        sample_weight=sample_weight,
        init=init,
        time_budget=time_budget,
        n_jobs=n_jobs,
        random_state=random_state,
        progress=progress,
        error_covariance=error_covariance,
        effective_size=effective_size,
    )
    if selection.winner is not None:
        selection.winner._say(selection.winner.remarks_, stacklevel=3)
    return selection


def selected(
    X: Any,
    n_components: int | Iterable[int],
    covariance_types: str | Sequence[str],
    criterion: str,
    *,
    prior: Any = None,
    sample_weight: ArrayLike | None = None,
    init: str = "auto",
    time_budget: float | None = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    progress: bool | Callable[[int, int], None] | None = None,
    error_covariance: ArrayLike | None = None,
    effective_size: bool = False,
    names: Sequence[str] | None = None,
) -> Selection:
    """The same without a warning; ``names`` are those of the features where X does not tell them."""
    began = time.monotonic()
    validation.one_of(criterion, "criterion", CRITERIA)
    validation.one_of(init, "init", ["auto", *STARTS])
    counts = validation.counts(n_components, "n_components")
    until = None if time_budget is None else began + validation.number(time_budget, "time_budget")
    entropy = start.entropy_of(random_state)
    whole: Whole | None = None
    if isinstance(X, Scan) or is_collection(X):
        effective_size = validation.switch(effective_size, "effective_size")
        X, sample_weight, whole, found_names = _looked_at(X, sample_weight, error_covariance, effective_size)
        names = found_names if names is None else names
        effective_size = effective_size and whole is None
    everything = received(GaussianMixture(), X, reset=True, weight=sample_weight, error_covariance=error_covariance)
    x, missing = everything.x, everything.missing
    if validation.switch(effective_size, "effective_size") and everything.weight is not None:
        counting = everything[telling(everything)]
        sample_weight = everything.weight * (effective_rows(counting) / counting.total)
    asked, named = _asked(covariance_types, prior, x.shape[1])

    def estimator(name: str, k: int) -> GaussianMixture:
        return GaussianMixture(k, covariance_type=name, prior=prior, random_state=entropy, n_jobs=n_jobs)

    tasks = partial(tasks_of, estimator, named)
    own = tasks(x, sample_weight, error_covariance)
    task = own(next(iter(named)))
    parts = [(own, task.problem.source.at_hand)]  # what is fitted, and what is asked about it
    if criterion == "cv":
        rows = task.problem.source.at_hand  # of weight zero is absent, from folds, too
        for inside, out in _folds(rows, entropy):
            fold = rows[inside]
            parts.append((tasks(fold.x, fold.weight, fold.noise), rows[out]))
    n_cells = len(named) * len(counts)
    total = len(parts) * n_cells + (0 if whole is None else FINALISTS)
    bar = meter(progress, f"comparing {counted(n_cells, 'model', 'models')}", total)
    with one_blas_thread(), bar as say, warnings.catch_warnings():
        # Of clusterings that starts are made of: what becomes of them is what counts, and threads share this setting.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fits = []
        for number, (some, _) in enumerate(parts):
            heard = partial(_heard, say, number * n_cells, total)
            fits.append(grid.filled(some, list(named), counts, init=init, until=until, progress=heard))
        found = _comparable(fits[0])
        cells = {}
        for code, name in asked.items():
            for k in counts:
                fit = found[code, k] if code in named else NoFit("failed", PRIOR_REFUSED)
                cells[name, k] = _record(name, k, fit, task, until)
                if criterion == "cv":
                    said = [
                        _held_out(one.get((code, k)), rows, task)
                        for one, (_, rows) in zip(fits[1:], parts[1:], strict=True)
                    ]
                    cells[name, k] = _cross_validated(cells[name, k], said)
        finalists: list[dict[str, Any]] = []
        if whole is None:
            winner = _settled(cells, criterion, found, named, estimator, (X, sample_weight, error_covariance))
        else:
            fits_of = {(name, k): found[code, k] for code, name in named.items() for k in counts}
            heard = partial(_heard, say, len(parts) * n_cells, total)
            winner, finalists = _decided(cells, criterion, fits_of, estimator, whole, until, heard)
        say(total, total)
    if winner is not None and names is not None:
        winner.feature_names_in_ = np.array(names, dtype=object)
    told = getattr(winner, "feature_names_in_", None)
    return Selection(
        records=tuple(cells.values()),
        criterion=criterion,
        n_rows=len(x) if whole is None else whole.source.survey.n_rows,
        n_features=x.shape[1],
        n_missing=(0 if missing is None else int(missing.sum())) if whole is None else whole.source.survey.n_missing,
        total_weight=task.total_weight if whole is None else whole.source.survey.total,
        seconds=time.monotonic() - began,
        remarks=() if winner is None else (*winner.remarks_.values(), *_coarse(everything, winner, told)),
        winner=winner,
        n_searched=len(x),
        finalists=tuple(finalists),
    )


def compared(
    estimator: Callable[[str, int], GaussianMixture],
    covariance_types: str | Sequence[str],
    counts: Sequence[int],
    x: AnyArray,
    sample_weight: Array | None,
    prior: Any,
    until: float | None,
) -> list[tuple[dict[str, Any], Fit | NoFit]]:
    """The rows of a table as in :class:`Selection`, each with its fit to the rows x (n, d), none of them a winner;
    the ``estimator`` of a cell has the ``prior``."""
    asked, named = _asked(covariance_types, prior, x.shape[1])
    tasks = tasks_of(estimator, named, x, sample_weight, None)
    with one_blas_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of clusterings that starts are made of
        found = _comparable(grid.filled(tasks, list(named), list(counts), until=until))
        task = tasks(next(iter(named)))
        cells = []
        for code, name in asked.items():
            for k in counts:
                fit = found[code, k] if code in named else NoFit("failed", PRIOR_REFUSED)
                cells.append((_record(name, k, fit, task, until), fit))
    return cells


def tasks_of(
    estimator: Callable[[str, int], GaussianMixture], named: Mapping[str, str], X: Any, weight: Any, errors: Any
) -> grid.Tasks:
    """The task of each family that is ``named`` by its code, made when it is wanted; they share what they can."""
    made: list[Task] = []

    @cache
    def task_of(code: str) -> Task:
        like = made[0] if made else None
        task = estimator(named[code], 1)._task(X, weight, error_covariance=errors, like=like)
        made.append(task)
        return task

    return task_of


@dataclass(frozen=True, eq=False)
class Whole:
    """All rows of a table that is larger than memory, when some of them are searched; ``factor``: how many times more
    weight it has than the rows at hand."""

    source: Streamed | OnCluster

    @property
    def factor(self) -> float:
        return self.source.survey.total / self.source.survey.at_hand.total

    def totals(self, gm: GaussianMixture) -> Totals:
        """What the criteria need to know of all rows."""
        return gm._totals_over(self.source.scan if isinstance(self.source, Streamed) else self.source.collection)


def _looked_at(
    X: Any, sample_weight: Any, error_covariance: Any, effective_size: bool
) -> tuple[AnyArray, Any, Whole | None, tuple[str, ...] | None]:
    """Rows (n, d) and weights of a scan or a Dask collection to search on, all rows if these are not, and names.

    Of weights that say how much a row stands for, all are scaled here if they are not in memory.
    """
    validation.nothing_beside_a_scan({"error_covariance": error_covariance})
    source: Streamed | OnCluster
    if isinstance(X, Scan):
        validation.nothing_beside_a_scan({"sample_weight": sample_weight})
        source = Streamed(surveyed(X), X)
    else:
        source = distributed.looked_at(distributed.collected(X, sample_weight))
    survey, names = source.survey, source.table.columns
    rows = survey.at_hand
    if survey.whole:
        return rows.x, rows.weight, None, names
    if effective_size and rows.weight is not None:
        if isinstance(source, OnCluster):
            raise ValueError(
                "effective_size is for rows in memory and for scans, got a Dask collection: scale its weights to the "
                "sum (sum w)^2 / sum w^2 instead"
            )
        factor = survey.total / survey.norm / survey.norm  # then their sum is the effective number of rows
        rows = replace(rows, weight=factor * rows.weight)
        scaled = replace(survey, total=factor * survey.total, norm=factor * survey.norm, at_hand=rows)
        source = Streamed(scaled, replace(source.scan, read=partial(_reweighted, source.scan, factor)))
    return rows.x, rows.weight, Whole(source), names


def _reweighted(scan: Scan, factor: float) -> Iterator[Batch]:
    for batch in scan.read():
        yield replace(batch, weight=None if batch.weight is None else factor * batch.weight)


def _heard(say: Callable[[int, int], None], before: int, total: int, done: int, _: int) -> None:
    say(before + done, total)


def _named(covariance_types: Any, n_features: int) -> dict[str, str]:
    """What the families are called, by their codes; of one feature there are two."""
    if not isinstance(covariance_types, str) and not isinstance(covariance_types, Iterable):
        raise ValueError(
            f"covariance_types must be names of families, got {covariance_types!r}: give 'all', for example"
        )
    if isinstance(covariance_types, str):
        every = list(UNIVARIATE) if n_features == 1 else list(FAMILIES)
        wanted = every if covariance_types == "all" else [covariance_types]
    else:
        wanted = list(covariance_types)
    if not wanted:
        raise ValueError('covariance_types must name a family, got none: use "all" for every one')
    named: dict[str, str] = {}
    for name in wanted:
        code = validation.family(name, n_features).code
        if n_features == 1:  # of a code its volume is left, and the name with it
            volume = code[0]
            code, name = UNIVARIATE[volume], name if name in ALIASES else volume
        named.setdefault(code, name)
    return named


PRIOR_REFUSED = "the prior is not for this covariance type"


def _asked(covariance_types: Any, prior: Any, n_features: int) -> tuple[dict[str, str], dict[str, str]]:
    """What the families are called that are asked for, by their codes, and those of them that take the ``prior``;
    ValueError if none does."""
    asked = _named(covariance_types, n_features)
    taking = dict(asked)
    for code, name in asked.items():
        try:
            prior_of(prior, family_of(name), name)
        except ValueError:
            del taking[code]
            if not taking:
                raise
    return asked, taking


def _record(name: str, k: int, found: Fit | NoFit, task: Task, until: float | None) -> dict[str, Any]:
    """The row of a cell."""
    df = family_of(name).n_parameters(k, task.problem.source.n_features)
    row: dict[str, Any] = {"covariance_type": name, "n_components": k, "loglik": math.nan, "df": df}
    row |= dict.fromkeys(OF_TOTALS, math.nan)
    if isinstance(found, NoFit):
        return row | {"n_iter": 0, "seconds": 0.0, "status": found.status, "reason": found.reason}
    row |= {"n_iter": found.passes, "seconds": found.seconds, "status": "ok", "reason": found.reason}
    if found.reason:
        return row | {"status": "collapsed"}
    if not found.converged:
        row["reason"] = f"stopped{' by the time budget' if grid.over(until) else ''} before convergence"
    return row | {"loglik": found.totals.loglik} | _criteria(found.totals, df)


def _criteria(totals: Totals, df: int) -> dict[str, float]:
    return {name: of(totals, df) for name, of in OF_TOTALS.items()}


def _comparable(found: dict[Named, Fit | NoFit]) -> dict[Named, Fit | NoFit]:
    """Only what can be compared: where the data have no spread in some direction, families that see it have any
    likelihood there, and their cells count as collapsed beside those of families that do not."""
    fits = [one for one in found.values() if isinstance(one, Fit) and not one.reason]
    if all(one.flat for one in fits):
        return found
    return {
        cell: replace(one, reason=FLAT) if isinstance(one, Fit) and one.flat and not one.reason else one
        for cell, one in found.items()
    }


FLAT = "a constant column, or columns that determine each other, make its likelihood arbitrary: leave them out"


def _folds(rows: Rows, entropy: int | None) -> Iterable[tuple[Any, Any]]:
    """Rows inside and outside of each part."""
    if len(rows) < FOLDS:
        raise ValueError(
            f"criterion 'cv' holds out rows {FOLDS} times, got {counted(len(rows), 'row', 'rows')}: use 'bic'"
        )
    seed = None if entropy is None else entropy % 2**32
    folds = list(KFold(FOLDS, shuffle=True, random_state=seed).split(np.empty(len(rows))))
    for inside, _ in folds:
        if rows.missing is not None and (gone := rows.missing[inside].all(axis=0)).any():
            raise ValueError(
                f"criterion 'cv' needs values of each column in rows that are not held out, but column "
                f"{int(np.argmax(gone))} has none left: leave it out, or use 'bic'"
            )
    return folds


def _held_out(fit: Fit | NoFit | None, rows: Rows, task: Task) -> Totals | NoFit | None:
    """What the model of a fold says of the rows that were held out."""
    if not isinstance(fit, Fit):
        return fit
    if fit.reason:
        return NoFit("collapsed", fit.reason)
    return evaluate.totals(fit.model, rows, task.problem.engine)


def _cross_validated(row: Mapping[str, Any], parts: Sequence[Totals | NoFit | None]) -> dict[str, Any]:
    """The row with what rows that were held out say; one that has nothing to say is not chosen."""
    missing = [one for one in parts if isinstance(one, NoFit)]
    known = [one for one in parts if isinstance(one, Totals)]
    if row["status"] != "ok" or len(known) < len(parts):
        reason = row["reason"] or (f"without a part of the rows, {missing[0].status}" if missing else "")
        return {**row, "cv": math.nan, "reason": reason}
    return {**row, "cv": sum(one.loglik for one in known) / sum(one.count for one in known)}


def _settled(
    cells: dict[Named, dict[str, Any]],
    criterion: str,
    found: Mapping[Named, Fit | NoFit],
    named: Mapping[str, str],
    estimator: Callable[[str, int], GaussianMixture],
    data: tuple[Any, Any, Any],
) -> GaussianMixture | None:
    """The winner, carried to its end on the ``data``, X, sample_weight and error_covariance; its row in ``cells`` says
    what it has come to.

    Cells that turn out to be degenerate when they are looked at are collapsed, and another one is the winner.
    """
    X, sample_weight, error_covariance = data
    codes = {name: code for code, name in named.items()}
    ended: dict[Named, GaussianMixture] = {}
    while True:
        order = ranked(cells.values(), criterion)
        if not order:
            return None
        best = name, k = order[0]["covariance_type"], order[0]["n_components"]
        if best in ended:
            return ended[best]
        fit = found[codes[name], k]
        assert isinstance(fit, Fit)
        gm = estimator(name, k)
        gm._resume(gm._task(X, sample_weight, error_covariance=error_covariance), fit.model)
        ended[best] = gm
        row = cells[best]
        row["n_iter"] = fit.passes + gm.n_iter_
        if "degenerate" in gm.remarks_:
            row |= _collapsed(row, gm)
        else:
            row |= {"loglik": gm.loglik_, "reason": "" if gm.converged_ else row["reason"]}
            row |= _criteria(gm._totals(X, sample_weight, error_covariance), row["df"])


def _decided(
    cells: Mapping[Named, dict[str, Any]],
    criterion: str,
    found: Mapping[Named, Fit | NoFit],
    estimator: Callable[[str, int], GaussianMixture],
    whole: Whole,
    until: float | None,
    heard: Callable[[int, int], None],
) -> tuple[GaussianMixture | None, list[dict[str, Any]]]:
    """The winner among the models that promise most when they are fitted to all rows, and the rows of these, best
    first.

    One that turns out to be degenerate there is collapsed in ``cells``, too, and the next one takes its place.
    """
    n_wanted = 1 if criterion == "cv" else FINALISTS
    waiting = _promising(cells, criterion, found, np.geomspace(1.0, whole.factor, n_wanted))
    models: dict[Named, GaussianMixture] = {}
    rows: dict[Named, dict[str, Any]] = {}

    def carry(cell: Named, gm: GaussianMixture, begin: Mixture, row: Mapping[str, Any]) -> None:
        rows[cell], models[cell] = _carried_over(gm, begin, row, whole), gm
        if "degenerate" in gm.remarks_:
            del models[cell]
            for one in (rows[cell], cells[cell]):
                one |= _collapsed(one, gm)

    ended: set[Named] = set()
    while True:
        order = ranked(rows.values(), criterion)
        best = (order[0]["covariance_type"], order[0]["n_components"]) if order else None
        upcoming = waiting[:1]
        if best is not None and len(order) >= n_wanted:
            upcoming = [] if criterion == "cv" else [cell for cell in _beside(best, cells) if cell in waiting][:1]
        if upcoming and not (best is not None and grid.over(until)):
            cell = upcoming[0]
            waiting.remove(cell)
            fit = found[cell]
            assert isinstance(fit, Fit)
            heard(min(len(order), FINALISTS), FINALISTS)
            carry(cell, estimator(*cell).set_params(max_iter=FINAL_PASSES), fit.model, cells[cell])
            continue
        if best is None:
            return None, []
        gm, to_its_end = models[best], estimator(*best)
        if gm.converged_ or best in ended:
            gm.set_params(max_iter=to_its_end.max_iter)
            return gm, [*map(dict, order), *(one for one in rows.values() if one["status"] != "ok")]
        ended.add(best)
        carry(best, to_its_end, gm._model, rows[best])


def _beside(cell: Named, cells: Mapping[Named, Any]) -> list[Named]:
    """The cells of the same family with the next larger and the next smaller number of components."""
    name, own = cell
    counts = sorted({k for _, k in cells})
    place = counts.index(own)
    return [(name, k) for k in (*counts[place + 1 : place + 2], *counts[max(place - 1, 0) : place])]


def _promising(
    cells: Mapping[Named, Mapping[str, Any]], criterion: str, found: Mapping[Named, Fit | NoFit], factors: Array
) -> list[Named]:
    """The cells that are ok: in turn the best, of those that are left, on each of these ``factors`` times the rows."""
    orders = []
    for factor in factors:
        rows = [_promised(row, found[cell], factor) for cell, row in cells.items() if row["status"] == "ok"]
        orders.append([(one["covariance_type"], one["n_components"]) for one in ranked(rows, criterion)])
    chosen: dict[Named, None] = {}
    while len(chosen) < len(orders[0]):
        for order in orders:
            chosen |= dict.fromkeys([cell for cell in order if cell not in chosen][:1])
    return list(chosen)


def _promised(row: Mapping[str, Any], fit: Fit | NoFit, factor: float) -> dict[str, Any]:
    """The row of a cell with what its criteria would be about, were it fitted to so many times the rows."""
    assert isinstance(fit, Fit)
    totals = fit.totals * factor
    totals = replace(totals, loglik=totals.loglik - (factor - 1) * row["df"] / 2)
    return {**row, **_criteria(totals, row["df"])}


def _carried_over(gm: GaussianMixture, begin: Mixture, row: Mapping[str, Any], whole: Whole) -> dict[str, Any]:
    """The row of a model that goes on from ``begin`` on all rows; ``row`` says how it got there."""
    began = time.monotonic()
    with one_blas_thread():
        task = gm._task_over(whole.source)
    gm._resume(task, begin)
    said = {"loglik": gm.loglik_, "n_iter": row["n_iter"] + gm.n_iter_, "reason": ""}
    if not gm.converged_:
        said["reason"] = "stopped before convergence"
    said |= _criteria(whole.totals(gm), row["df"])
    return {**row, **said, "seconds": row["seconds"] + time.monotonic() - began}


def _collapsed(row: Mapping[str, Any], gm: GaussianMixture) -> dict[str, Any]:
    """What becomes of the row of a model that is degenerate."""
    states = [one["state"] for one in gm.diagnostics_ if one["state"] not in HARMLESS]
    said = {"status": "collapsed", "reason": f"components {', '.join(dict.fromkeys(states))}"}
    return said | {key: math.nan for key in MEASURES if key in row}


def _coarse(rows: Rows, winner: GaussianMixture, names: Sequence[str] | None) -> list[str]:
    """What there is to say of rounded and of repeated values."""
    said = []
    some = rows[:TIES_COUNTED]
    part = some.x
    deviations = np.sqrt(np.diagonal(winner.mixture_.covariances, axis1=1, axis2=2).min(axis=0))
    coarse = []
    for j, deviation in enumerate(deviations):
        known = part[:, j] if some.missing is None else part[~some.missing[:, j], j]
        step = _step(known) if len(known) else 0.0
        if step > COARSE * deviation:
            coarse.append(f"{f'x{j}' if names is None else names[j]} in steps of {step:.4g}")
    if coarse:
        said.append(
            f"Values are rounded, {_some(coarse)}, which is not small beside the narrowest component: its "
            "log-likelihood is that of the grid of values, too"
        )
    tied = len(part) - distinct_rows(some, np.arange(len(part)))
    if tied > MANY_TIES * len(part):
        of = "all" if len(part) == len(rows) else "the first"
        said.append(
            f"{tied} of {of} {len(part)} rows repeat an earlier one: components can collapse on ties, and a criterion "
            "counts each row as news"
        )
    return said


def _step(values: AnyArray) -> float:
    """The step of which all differences between values are multiples, if there are ties; 0 where there is none."""
    values = values.astype(np.float64)
    span = float(np.ptp(values))
    if span == 0:
        return 0.0
    different = np.unique(np.round((values - values.min()) / span, 9))
    if len(different) > 0.9 * len(values):
        return 0.0
    gaps = np.diff(different)
    multiple = gaps / gaps.min()
    return float(gaps.min() * span) if np.abs(multiple - np.round(multiple)).max() < 0.01 else 0.0
