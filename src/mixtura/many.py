"""Many small fits in one call: problems of like size are worked on side by side, what is not like others by itself.

    problems -> those that have a place in a batch -> batches, shared out to the cores -> parameters, log-likelihoods
             -> all others, and what ended degenerate there -> GaussianMixture, one by one -> the same

All problems have the same random numbers, as fits in a loop with one ``random_state`` have: the answer to a problem
depends neither on its place nor on its company, and has the same bits for any number of threads.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning

from mixtura import start, validation
from mixtura.batch import Bools, Index, batch_of
from mixtura.covariance import Covariances, Dense, Diagonal, broadcast
from mixtura.em import Reason
from mixtura.engine import Engine, one_blas_thread
from mixtura.estimators import GaussianMixture
from mixtura.families import Family
from mixtura.initialize import SHORT_RUNS
from mixtura.mixture import Mixture
from mixtura.moves import LARGEST
from mixtura.progress import counted
from mixtura.rows import Array
from mixtura.search import Fitted, fitted

TOGETHER = 1 << 23
"""Numbers of the rows or densities of a batch, all told: the fewer, the more of the time goes into calls."""

SMALL = 1 << 17
"""Numbers that a problem's rows and densities may take, each, so that it is worth being put beside others."""

LEAST = 2
"""Rows for each component that a batch asks for."""

RESCUES = 16
"""Starts that are tried where none of the first led to a sound end."""


@dataclass(frozen=True, eq=False, repr=False)
class Fits:
    """Fits of many problems; ``fits[i]`` is a fitted :class:`GaussianMixture`.

    Parameters
    ----------
    weights, means, covariances : ndarray of shape (m, K), (m, K, d), (m, K, d, d)
        The parameters, in the units of the rows.
    loglik : ndarray of shape (m,)
        Total log-likelihoods, in nats.
    converged, n_iter : ndarray of shape (m,)
        How the runs ended, and after how many updates since the start that was chosen.
    remarks : dict
        What there is to say of problems, by their numbers; empty where all went well.
    n_rows : ndarray of shape (m,)
        Numbers of rows.
    settings : dict
        Parameters that all of the estimators have.
    alone : dict
        Estimators of the problems that were fitted singly, by their numbers.

    Raises
    ------
    IndexError
        From ``fits[i]``, for a number that no problem has.

    References
    ----------
    See :func:`fit_many`, which makes them.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import fit_many
    >>> fits = fit_many(np.random.default_rng(0).normal(size=(3, 50, 1)), 1)
    >>> len(fits), fits.means.shape, fits[0].predict([[0.0]])
    (3, (3, 1, 1), array([0]))
    """

    weights: Array
    means: Array
    covariances: Array
    loglik: Array
    converged: Bools
    n_iter: Index
    remarks: Mapping[int, str]
    n_rows: Index
    settings: Mapping[str, Any]
    alone: Mapping[int, GaussianMixture]

    def __repr__(self) -> str:
        k = counted(self.weights.shape[1], "component", "components")
        return f"Fits({counted(len(self), 'problem', 'problems')}, {k}, {self.converged.sum()} converged)"

    def __len__(self) -> int:
        return len(self.loglik)

    def __iter__(self) -> Iterator[GaussianMixture]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int) -> GaussianMixture:
        i = range(len(self))[index]
        if i in self.alone:
            return self.alone[i]
        settings = dict(self.settings)
        family = validation.family(settings["covariance_type"])
        layout = _layout(family, self.covariances[i])
        mixture = Mixture.of(self.weights[i], self.means[i], layout)
        estimator = GaussianMixture.from_mixture(mixture, settings["covariance_type"])
        estimator.set_params(**settings)
        estimator.loglik_, estimator.n_iter_ = float(self.loglik[i]), int(self.n_iter[i])
        estimator.converged_ = bool(self.converged[i])
        estimator.stop_reason_ = Reason.CONVERGED if self.converged[i] else Reason.MAX_ITER
        estimator.remarks_ = {"convergence": self.remarks[i]} if i in self.remarks else {}
        estimator._n_rows, estimator._total_weight = int(self.n_rows[i]), float(self.n_rows[i])
        return estimator


def _layout(family: Family, matrices: Array) -> Covariances:
    """Covariances (K, d, d) as they are stored."""
    own = matrices[:1] if family.pooled else matrices
    if not family.diagonal:
        return Dense(broadcast(own, len(matrices)))
    return Diagonal(broadcast(np.diagonal(own, axis1=1, axis2=2), len(matrices)))


def fit_many(
    Xs: ArrayLike | Sequence[ArrayLike],
    n_components: int,
    covariance_type: str = "full",
    *,
    tol: float = 1e-3,
    max_iter: int = 1000,
    random_state: Any = None,
    n_jobs: int | None = None,
) -> Fits:
    """Fit a mixture to each of many small problems, as :class:`GaussianMixture` would, in a fraction of the time.

    Parameters
    ----------
    Xs : array of shape (m, n, d) or sequence of arrays (n_i, d)
        The rows of each problem, finite; in a sequence a 1-D array is one feature.  All are made float64.
    n_components : int
        Number of components K.
    covariance_type : str
        As for :class:`GaussianMixture`.  Types that mix E and V, and problems that are large, or degenerate, are fitted
        one by one, which takes many times as long.
    tol : float
        Total nats, as for :class:`GaussianMixture`; runs go on until next to nothing is left, which takes them few
        passes.
    max_iter : int
        Largest number of updates of the run to the end; short runs and moves that look for its start do not count.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        Source of randomness, the same for each problem: its fit does not depend on its place or on the others.
    n_jobs : int or None
        Number of threads; None or -1 is one for each core.  The results have the same bits for any number.

    Returns
    -------
    Fits
        With arrays ``weights`` (m, K), ``means`` (m, K, d), ``covariances`` (m, K, d, d), ``loglik`` (m,), total nats,
        ``converged`` (m,), ``n_iter`` (m,), and ``remarks`` by problem; ``fits[i]`` is a fitted GaussianMixture.

    Raises
    ------
    ValueError
        For parameters or data that cannot be used; one sentence says which problem, and what to do.

    References
    ----------
    R. Varadhan and C. Roland, "Simple and globally convergent methods for accelerating the convergence of any EM
    algorithm", Scandinavian Journal of Statistics 35, 2008.
    C. Biernacki, G. Celeux and G. Govaert, "Choosing starting values for the EM algorithm for getting the highest
    likelihood in multivariate Gaussian mixture models", Computational Statistics & Data Analysis 41, 2003.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import fit_many
    >>> rng = np.random.default_rng(0)
    >>> Xs = rng.normal(0, 1, (50, 200, 1))
    >>> Xs[:, 120:] += 6
    >>> fits = fit_many(Xs, 2, random_state=0)
    >>> fits
    Fits(50 problems, 2 components, 50 converged)
    >>> fits.means.shape
    (50, 2, 1)
    >>> fits[7].predict([[0.0], [6.0]]).tolist() in ([0, 1], [1, 0])
    True
    """
    k = validation.count(n_components, "n_components")
    settings = {
        "n_components": k,
        "covariance_type": covariance_type,
        "tol": validation.number(tol, "tol"),
        "max_iter": validation.count(max_iter, "max_iter"),
        "random_state": start.entropy_of(random_state),
    }
    validation.family(covariance_type)
    engine = GaussianMixture(n_jobs=n_jobs)._engine()
    if settings["random_state"] is None:
        settings["random_state"] = int(np.random.default_rng().integers(2**63))
    problems = validation.problems(Xs)
    validation.family(covariance_type, problems[0].shape[1])
    with one_blas_thread():
        fits = _fits(problems, settings, engine)
    _say(fits)
    return fits


def _say(fits: Fits) -> None:
    """The warning of a call, if there is anything to say."""
    if fits.remarks:
        unconverged = int((~fits.converged).sum())
        other = len(set(fits.remarks) - set(np.flatnonzero(~fits.converged).tolist()))
        said = [f"{unconverged} ended before they converged"] if unconverged else []
        said += [f"{other} with something to say, of components that are degenerate for example"] if other else []
        warnings.warn(
            f"of {counted(len(fits), 'problem', 'problems')} {' and '.join(said)}, the first being problem "
            f"{min(fits.remarks)}: see remarks",
            ConvergenceWarning if unconverged else UserWarning,
            stacklevel=3,
        )


def _fits(problems: Sequence[Array], settings: Mapping[str, Any], engine: Engine) -> Fits:
    k, (m, d) = settings["n_components"], (len(problems), problems[0].shape[1])
    family = validation.family(settings["covariance_type"])
    n_rows = np.array([len(x) for x in problems], dtype=np.intp)
    found = Fitted(
        weights=np.zeros((m, k)),
        means=np.zeros((m, k, d)),
        covariances=np.zeros((m, k, d, d)),
        loglik=np.full(m, -np.inf),
        passes=np.zeros(m, dtype=np.intp),
        settled=np.zeros(m, dtype=bool),
    )
    chance = np.random.default_rng(settings["random_state"]).random((SHORT_RUNS + RESCUES, k))
    for which, width in _batches(n_rows, _suited(family, n_rows, k, d), _columns(k, d)):
        x = np.zeros((len(which), width, d))
        for place, i in enumerate(which.tolist()):
            x[place, : n_rows[i]] = problems[i]
        batch, placed = batch_of(family, engine, x, n_rows[which])
        own = np.flatnonzero(placed)
        if len(own):
            fits = fitted(batch.only(own), chance, tol=settings["tol"], max_iter=settings["max_iter"])
            for of_all, part in zip(found, fits, strict=True):
                of_all[which[own]] = part
    remarks = {
        int(
            i
        ): f"EM made {counted(int(found.passes[i]), 'update', 'updates')}, as many as max_iter allows, and did not "
        "converge: raise max_iter, or raise tol if that is near enough"
        for i in np.flatnonzero(~found.settled & np.isfinite(found.loglik))
    }
    others = np.flatnonzero(np.isneginf(found.loglik))
    starved = found.weights[others].min(axis=1) * n_rows[others] < family.least_rows(d)
    known = starved & (found.passes[others] > 0)
    fits_alone = engine.map(partial(_alone, problems, settings), zip(others.tolist(), known.tolist(), strict=True))
    alone = dict(zip(others.tolist(), fits_alone, strict=True))
    for i, one in alone.items():
        found.weights[i], found.means[i] = one.mixture_.weights, one.mixture_.means
        found.covariances[i], found.loglik[i] = one.mixture_.covariances, one.loglik_
        found.settled[i], found.passes[i] = one.converged_, one.n_iter_
        if one.remarks_:
            remarks[i] = "; ".join(one.remarks_.values())
    for part in found:
        part.flags.writeable = False
    return Fits(
        weights=found.weights,
        means=found.means,
        covariances=found.covariances,
        loglik=found.loglik,
        converged=found.settled,
        n_iter=found.passes,
        remarks=dict(sorted(remarks.items())),
        n_rows=n_rows,
        settings=settings,
        alone=alone,
    )


def _suited(family: Family, n_rows: Index, k: int, d: int) -> Bools:
    """Which problems (m,) a batch has a place for, by their sizes: not large, and with rows for what is estimated."""
    if not family.uniform or k > LARGEST:
        return np.zeros(len(n_rows), dtype=bool)
    least = max(LEAST * k, family.n_parameters(k, d))
    return np.asarray((n_rows >= least) & (n_rows * _columns(k, d) <= SMALL))


def _columns(k: int, d: int) -> int:
    """Numbers for each row, of its features or of its densities."""
    return max(k, 1 + d + d * (d + 1) // 2)


def _width(n: int) -> int:
    """Columns of a batch for problems of n rows, up to an eighth more: it depends on nothing else."""
    step: int = 1 << max(n.bit_length() - 4, 0)
    return -(-n // step) * step


def _batches(n_rows: Index, suited: Bools, columns: int) -> Iterator[tuple[Index, int]]:
    """Problems for a batch, with the columns that it has."""
    of_width: dict[int, list[int]] = {}
    for i in np.flatnonzero(suited).tolist():
        of_width.setdefault(_width(int(n_rows[i])), []).append(i)
    for width, those in sorted(of_width.items()):
        parts = -(-len(those) * columns * width // TOGETHER)
        for which in np.array_split(np.array(those, dtype=np.intp), parts):
            yield which, width


def _alone(problems: Sequence[Array], settings: Mapping[str, Any], one: tuple[int, bool]) -> GaussianMixture:
    """The fit of a problem by itself, without a word; from one start where it is known of many that they end with a
    component that has no rows to speak of."""
    i, known = one
    start_of: dict[str, Any] = {"n_init": 1, "init": "k-means++"} if known else {}
    estimator = GaussianMixture(**settings, **start_of, n_jobs=1)
    try:
        estimator._fit(estimator._task(problems[i], None))
    except ValueError as error:
        raise ValueError(f"of problem {i}, {error}") from error
    return estimator
