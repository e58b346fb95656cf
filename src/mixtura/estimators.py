"""The estimator: parameters and data come in here and are checked, the core fits, fitted attributes go out.

The weights of the rows are brought to mean one before the core sees them, so that ``tol`` means the same for any unit
of weight; every total that leaves is in the weights as they were given.
"""

from __future__ import annotations

import numbers
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.validation import check_is_fitted

import mixtura
from mixtura import distributed, em, evaluate, online, progress, pruned, runs, start, validation
from mixtura.background import N_PARAMETERS, USUAL, Background
from mixtura.checkpoint import Journal, journal_at, marks_of, of_parameters, of_rows, of_table
from mixtura.covariance import suited
from mixtura.distributed import OnCluster
from mixtura.engine import Engine, one_blas_thread
from mixtura.fitted import FittedMixture, received
from mixtura.fixed import masks_of
from mixtura.initialize import Outcome
from mixtura.io import PathLike
from mixtura.mixture import Mixture
from mixtura.progress import Printer
from mixtura.rows import Array, Rows, telling
from mixtura.runs import Run
from mixtura.scanning import Scan
from mixtura.shapes import answer_dtype, covariances_in, fits, shape_of
from mixtura.sources import Streamed, rows_of, surveyed
from mixtura.task import MIXING, Settings, Task, settings_of, task_of, task_over

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class GaussianMixture(FittedMixture):
    """Gaussian mixture fitted by expectation-maximisation, a drop-in for scikit-learn's class of the same name.

    Parameters
    ----------
    n_components : int
        Number of components K.
    covariance_type : str
        "full", "tied", "diag", "spherical", or a code of volume, shape and orientation (E equal, V variable, I axes of
        the features): EII, VII, EEI, VEI, EVI, VVI, EEE, VEE, EVE, VVE, EEV, VEV, EVV, VVV.  full = VVV, tied = EEE,
        diag = VVI, spherical = VII.  For one feature also "E" and "V".
    mixing : {"free", "equal"}
        Whether the weights are estimated or all 1/K.
    tol : float
        Stop when the log-likelihood gained less than this in the last five passes together, in total nats over all
        rows (weights count with mean one); accelerated runs go on until nothing is left, which takes them few passes.
    max_iter : int
        Largest number of updates, tries of ``accelerate`` that were not accepted among them; the model after the last
        one is evaluated once more, so that ``loglik_`` is its own.
    n_init : "auto" or int
        "auto": several short runs, the best carried on; an integer: so many runs to the end, side by side, the best
        kept.
    init : str, array or callable
        "auto" ("k-means++", and with n_init="auto" moves from the best short run: a component is taken out, another one
        split, until nothing is better), "k-means++", "kmeans", "random", "random_from_data", "hierarchical", labels
        (n,), responsibilities (n, K), or a function (X, n_components, rng) -> responsibilities.  "hierarchical"
        agglomerates up to 2,000 rows (of more, a random subset) and leaves nothing to chance; starts after the first
        agglomerate random halves.
    accelerate : {"auto", "lbfgs", "squarem", "incremental"} or None
        How to reach the optimum of EM in fewer passes, which overlapping components make worth while; the objective
        still never falls, and easy problems are left to EM.  "lbfgs": quasi-Newton steps, preconditioned by EM;
        "squarem": extrapolation of pairs of EM updates; None: EM alone.  "auto" is "lbfgs", or None where that does not
        work: with ``reg_covar`` or ``EigenvalueRatio``, and for covariance types that mix E and V.
        "incremental": an update after each block of rows, or each batch of a scan, for files that are slow to read; it
        reads them some 40 % less often than EM, keeps the sums of all blocks, about blocks * K * d**2 numbers, and
        works for all types, but not with ``reg_covar``, a checkpoint or Dask.  Its objective and log-likelihood per
        pass are a lower bound (Neal and Hinton's free energy); ``loglik_`` is exact.
    weights_init, means_init, covariances_init, precisions_init : array-like or None
        The user's own start, kept exactly as it is: (K,), (K, d) and covariances or precisions in the shape of the
        fitted attribute.  What is not given is filled in: with means alone, equal weights and the covariance of all
        rows.  A start outside the family is evaluated as it stands; the first update brings it into the family.
    responsibilities_init, labels_init : array-like or None
        The same as ``init`` with an array.
    prior : None, {"fraley-raftery", "chen-tan"} or object
        What keeps components from collapsing, if wanted: a prior by name, ``FraleyRaftery(...)``, ``ChenTan(...)``, or
        the constraint ``EigenvalueRatio(c)``.  EM then climbs the log-likelihood plus the log prior; ``loglik_``,
        ``bic`` and scores stay those of the data alone.
    noise : None or True
        True: beside the components there is a uniform background, of density 1/V everywhere, for rows that belong to
        none of them; V is the volume of the smaller of the bounding box and the principal-axes box of the rows (of
        incomplete rows or bins that of the bounding box).  It has the label -1 and the last column of
        ``predict_proba``, and counts two free parameters.  In starts, -1 among labels is the background, and so is what
        responsibilities or weights leave to one.
    reg_covar : float or None
        scikit-learn's regularisation: a number that each M-step adds to all variances, in squared units of the data.
        That maximises nothing; the run ends before it would lower the log-likelihood.
    on_degenerate : {"rescue", "drop", "raise"}
        What to do about a component that collapses, starves or empties: "rescue" tries other starts, else keeps it at
        the floor and says so; "drop" takes it out and carries on; "raise" is a ValueError.
    fixed : dict or None
        Which of "weights", "means" and "covariances" stay exactly at their start: True for all components, or a boolean
        mask (K,), as in {"means": True, "weights": [True, False]}.  The start is ``weights_init``, ``means_init``,
        ``covariances_init`` or ``precisions_init``, or one that is given whole (labels, responsibilities, the last
        fit).  The rest is estimated around it: free weights share what the fixed ones leave, and the covariance of a
        component is taken about its fixed mean.  Covariances of types with the letter E ("tied" among them) are fixed
        all or none.  A fixed covariance has no floor, and what is fixed does not count in ``df_``.
    truncate : int or None
        For many components (hundreds to tens of thousands) of few features: the number that each row keeps, 3 for
        example.  EM then climbs a lower bound of the log-likelihood, in which each row counts these alone, and looks
        for better ones among their neighbours only, so that the cost of a pass hardly depends on K.  The objective and
        the log-likelihood per pass are the bound; ``loglik_``, ``labels_`` and all that is asked of the fitted model
        take all components.  By plain EM (``accelerate`` "auto" or None); n_init="auto" is one start.
        None: all components for all rows.
    engine : {"auto", "serial", "threads", "dask"}
        Where blocks of rows are worked on.  "auto": those of Dask collections where they are, all others in threads;
        "dask": an array that is larger than what is kept at hand (64 MB) is cut into chunks for Dask, too.
    trace : bool
        Keep the model of every pass in ``history_`` and the responsibilities in ``responsibilities_``.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        Source of randomness.
    warm_start : bool
        Begin from the last fit, where its size suits.
    n_jobs : int or None
        Number of threads; None or -1 is one for each core.  The results have the same bits for any number.
    verbose : int
        1: the start, every tenth pass and the reason for stopping; 2: every pass.

    Attributes
    ----------
    weights_, means_, covariances_, precisions_, precisions_cholesky_ : ndarray
        Parameters, in scikit-learn's shapes; matrices (K, d, d) for codes.  float32 for float32 X, if they fit.
    noise_weight_ : float
        Weight of the background, 1 - sum of ``weights_``; 0 where there is none.
    background_ : Background or None
        With ``noise``: the ``weight``, and the ``box`` with its ``log_volume`` (log V), ``corner`` and ``edges``.
    mixture_ : Mixture
        The same as a distribution, in float64; without the background, so that its weights sum to one.
    loglik_ : float
        Total log-likelihood of the parameters returned, in nats.
    converged_, stop_reason_, n_iter_ : bool, str, int
        How the run ended, and after how many updates; see :meth:`partial_fit` for what is learnt batch by batch.
    log_likelihood_history_, lower_bounds_, lower_bound_ : list, list, float
        Total log-likelihood per pass (with ``truncate`` or "incremental" its lower bound); the objective per pass as a
        mean per unit of weight; the last of these.
    history_ : list of dict
        Per accepted pass: objective (total nats: the log-likelihood, and the log prior if there is one), loglik,
        seconds, accelerated (whether the model is not an EM update of the one before); with ``trace`` the model, with
        ``noise`` the noise_weight.
    restarts_ : list of dict
        Per start, and one more for a run that began with a move: objective (total nats over the rows it was tried on),
        passes, outcome, degenerate (components), agreement (adjusted Rand index of its partition with the one returned,
        on up to 2,000 rows; 1 where they are the same).
    diagnostics_ : list of dict
        Per component: effective_n (rows), distinct_rows (counted up to 10,000), smallest_scale (relative to the data),
        direction (in which it lies on the floor, by feature names), state ("ok", what is wrong, or "flat" and
        "unresolved", which are harmless), done.
    remarks_ : dict
        What the fit had to say, by subject: the sentences of its warning, empty where it gave none.
    dropped_ : list of dict
        The same for components that on_degenerate="drop" took out, numbered as they were among all of them.
    df_ : int
        Number of free parameters.
    labels_ : ndarray of shape (n,)
        The most probable component of each row, as far as ``labels`` allow it; -1 for the background.
    n_features_in_, feature_names_in_ : int, ndarray
        As in scikit-learn.

    Raises
    ------
    ValueError
        From ``fit``, for parameters or data that cannot be used; one sentence says what to do.

    References
    ----------
    A. P. Dempster, N. M. Laird and D. B. Rubin, "Maximum likelihood from incomplete data via the EM algorithm",
    Journal of the Royal Statistical Society B 39, 1977.
    G. McLachlan and D. Peel, *Finite Mixture Models*, Wiley, 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import GaussianMixture
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(6, 1, (100, 2))])
    >>> gm = GaussianMixture(2, random_state=0).fit(X)
    >>> sorted(gm.weights_.round(3).tolist())
    [0.333, 0.667]
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        mixing: str = "free",
        tol: float = 1e-3,
        max_iter: int = 1000,
        n_init: int | str = "auto",
        init: Any = "auto",
        accelerate: str | None = "auto",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        covariances_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        responsibilities_init: ArrayLike | None = None,
        labels_init: ArrayLike | None = None,
        prior: Any = None,
        noise: bool | None = None,
        reg_covar: float | None = None,
        on_degenerate: str = "rescue",
        fixed: Mapping[str, Any] | None = None,
        truncate: int | None = None,
        engine: str = "auto",
        trace: bool = False,
        random_state: Any = None,
        warm_start: bool = False,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.mixing = mixing
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init = init
        self.accelerate = accelerate
        self.weights_init = weights_init
        self.means_init = means_init
        self.covariances_init = covariances_init
        self.precisions_init = precisions_init
        self.responsibilities_init = responsibilities_init
        self.labels_init = labels_init
        self.prior = prior
        self.noise = noise
        self.reg_covar = reg_covar
        self.on_degenerate = on_degenerate
        self.fixed = fixed
        self.truncate = truncate
        self.engine = engine
        self.trace = trace
        self.random_state = random_state
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.verbose = verbose

    _online: online.State | None = None
    """What is kept of all rows that came; None where there are parameters alone."""

    # fitting -------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        *,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        error_covariance: ArrayLike | None = None,
        checkpoint: str | Path | None = None,
    ) -> Self:
        """Fit the mixture to the rows of X.

        Ctrl-C ends the fit with the best model so far, once there is one: ``stop_reason_`` is then "interrupted", and a
        warning says how to go on.

        Parameters
        ----------
        X : array-like or frame of shape (n, d), Scan, or Dask array or frame
            Rows; a 1-D array is one feature.  NaN is a missing value: the likelihood is that of the values that are
            there, which is right where values are missing at random (Rubin 1976), whatever the others say.
            A :func:`mixtura.scan` is read again for each pass.  The chunks of a Dask collection stay where they are; a
            sum over them goes out to the current client, if there is one.  Of more rows than take 64 MB ``labels_`` is
            not kept.
        y : ignored
            Present for scikit-learn.
        sample_weight : array-like of shape (n,) or None
            Weights of the rows; an integer weight is the same as so many equal rows.
        labels : array-like of shape (n,) or (n, K), or None
            Where rows belong, as far as that is known: a component, or -1 for not known (in ``labels_init`` that is the
            background); or a boolean mask of components that are allowed.  ``loglik_`` is then that of rows and labels
            together.  With ``noise`` a mask may have a last column for the background; without it, rows that may belong
            to any component may belong to it, too.
        error_covariance : array-like of shape (n, d), (n, d, d), (d,) or (d, d), or None
            Variances, or covariances, of the errors that the rows were measured with, in squared units of the data.
            (d,) are variances for all rows, (d, d) is a covariance matrix for all rows; where n = d, (d, d) are taken
            for variances (n, d), and a matrix for all has to come n times.  The mixture is then that of the points
            without their errors (extreme deconvolution: Bovy, Hogg and Roweis, Annals of Applied Statistics 5, 2011).
        checkpoint : str, path-like or None
            File that the fit is kept in, pass by pass, and a long pass every two seconds (beside it, in a file whose
            name has ``.pass`` at the end).  The same call later, in another process, goes on from where the file ends,
            however the first one ended, and comes to the same bits as if nothing had happened; ``seconds`` in
            ``history_`` are those of the last call.  A fit that was finished is there at once.  A call of other rows or
            parameters is refused; with random_state=None the seed is in the file.  It grows by a table of sums for each
            pass, with full covariances 4 K (d + 1) (d + 2) bytes.  What is done on a sample of the rows before the
            first pass is done again.  Not with ``truncate``, nor with accelerate="incremental".

        Returns
        -------
        GaussianMixture
            The estimator itself.

        Raises
        ------
        ValueError
            For parameters or data that cannot be used; for a checkpoint of other data or parameters, or one that cannot
            be written: what it held before, it still holds.
        KeyboardInterrupt
            If the fit is interrupted before its first pass is complete.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> GaussianMixture(1).fit([[0.0], [2.0]]).means_
        array([[1.]])
        """
        self._fit_kept(partial(self._task, X, sample_weight, labels, error_covariance), checkpoint)
        self._say(self.remarks_, stacklevel=3)
        return self

    def fit_histogram(self, edges: ArrayLike, counts: ArrayLike) -> Self:
        """Fit the mixture of one feature to a histogram, by the exact probabilities of its bins.

        Parameters
        ----------
        edges : array-like of shape (b + 1,)
            Edges of the bins, increasing; the first may be -inf and the last inf.
        counts : array-like of shape (b,)
            What the bins hold; shares, whose sum is less than b, count as many rows as there are bins.

        Returns
        -------
        GaussianMixture
            The estimator itself; ``loglik_`` is the sum of count times log probability of the bins, and ``labels_`` are
            those of all bins, as those of a start (``labels_init``, ``responsibilities_init``) are.

        Raises
        ------
        ValueError
            For edges, counts or parameters that cannot be used.

        Notes
        -----
        Where bins are narrow beside the components, ``fit(centres, sample_weight=counts, error_covariance=width**2 /
        12)`` is nearly the same: Sheppard's correction.

        References
        ----------
        G. J. McLachlan and P. N. Jones, "Fitting mixture models to grouped and truncated data via the EM algorithm",
        Biometrics 44, 1988.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> gm = GaussianMixture(1).fit_histogram([-2, -1, 0, 1, 2], [3, 10, 10, 3])
        >>> abs(round(float(gm.means_[0, 0]), 6))
        0.0
        """
        middles, weight, pairs = validation.histogram(edges, counts)
        self._fit_kept(partial(self._task, middles, weight, edges=pairs), None)
        self._say(self.remarks_, stacklevel=3)
        return self

    def _fit_kept(
        self, task: Callable[..., Task], checkpoint: PathLike | None, printer: Callable[[Task], Printer] | None = None
    ) -> None:
        """Fit to what ``task`` makes of a journal, in the file of a checkpoint or None; an interrupt ends it.
        ``printer`` makes the one that hears of it, instead of the one that ``verbose`` asks for."""
        with one_blas_thread(), journal_at(checkpoint) as journal:
            made = task(journal=journal)
            self._fit(made, threading.Event(), None if printer is None else printer(made))
            if journal is not None:
                journal.finish(whole=self.stop_reason_ is not em.Reason.INTERRUPTED)

    def _fit(self, task: Task, halt: threading.Event | None = None, printer: Printer | None = None) -> None:
        """Run from every start, keep the best; with ``halt`` the best so far, if there is an interrupt."""
        outcomes: dict[int, Outcome] = {}
        printer = printer or self._printer(task)
        automatic = self.n_init == "auto"
        _, run = runs.best(task, self._starts(task, outcomes), outcomes, printer, first_sound=automatic, halt=halt)
        if self.on_degenerate == "drop":
            run = runs.without_degenerate(task, run, printer, halt)
        self._keep(task, run, outcomes)

    def _resume(self, task: Task, begin: Mixture) -> None:
        """Run from a model that is known, a member of the family, without a word."""
        with one_blas_thread():
            layout = suited(begin.layout, diagonal=task.problem.update.family.diagonal)
            begin = Mixture.of(begin.weights, begin.means, layout)
            run = runs.carried(task, begin, self._printer(task))
            self._keep(task, run, {0: runs.outcome(task, run.last)})

    def _printer(self, task: Task) -> Printer:
        return Printer(self.verbose, self.covariance_type, task.scale)

    def fit_iter(
        self,
        X: ArrayLike,
        y: object = None,
        *,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        error_covariance: ArrayLike | None = None,
    ) -> Iterator[tuple[Mixture, float]]:
        """Fit pass by pass: an iterator of (mixture, its objective in total nats), the first being the start.

        The objective is the log-likelihood, and the log prior if there is one.  With ``noise`` the mixture is that of
        the components, and the log-likelihood includes the background.
        It is the run that :meth:`fit` would keep, unless a degenerate end made ``fit`` try other starts: with
        n_init="auto" that from the best of the short runs, with an integer the best of so many, found beforehand.  The
        estimator is fitted when the iterator is exhausted, and warns as ``fit`` does, except of a stop by max_iter.

        Parameters
        ----------
        X : array-like or frame of shape (n, d), Scan, or Dask array or frame
            Rows, as for :meth:`fit`.
        y : ignored
            Present for scikit-learn.
        sample_weight, labels, error_covariance : array-like or None
            As for :meth:`fit`.

        Returns
        -------
        iterator of (Mixture, float)
            One pair for each pass, the first being the start, as a member of the family.

        Raises
        ------
        ValueError
            As from ``fit``, and for on_degenerate="drop", which makes several runs.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> steps = GaussianMixture(1).fit_iter([[0.0], [2.0]])
        >>> mixture, objective = next(steps)
        >>> mixture.n_components
        1
        """
        if self.on_degenerate == "drop":
            raise ValueError(
                'fit_iter follows one run, got on_degenerate="drop", which may make several: use fit, or "rescue"'
            )
        outcomes: dict[int, Outcome] = {}
        with one_blas_thread():
            task = self._task(X, sample_weight, labels, error_covariance)
            starts = self._starts(task, outcomes)
            number, begin = next(starts)
            if self.n_init != "auto":
                begins = {number: begin, **dict(starts)}
                number, _ = runs.best(task, iter(begins.items()), outcomes, self._printer(task), first_sound=False)
                begin = begins[number]
        return self._stepping(task, number, begin, outcomes)

    def _stepping(
        self, task: Task, number: int, begin: Mixture, outcomes: dict[int, Outcome]
    ) -> Iterator[tuple[Mixture, float]]:
        history = []
        steps = runs.passes(task, begin)
        while True:
            with one_blas_thread():  # not held while the caller has the floor
                latest = next(steps)
                history.append(runs.record(task, latest))
                if latest.reason is not None:
                    outcomes[number] = runs.outcome(task, latest)
                    self._keep(task, Run(latest, history), outcomes)
            yield latest.model.components, latest.objective * task.scale
            if latest.reason is not None:
                # How far it came, the caller has seen pass by pass.
                said = {subject: one for subject, one in self.remarks_.items() if subject != "convergence"}
                self._say(said, stacklevel=3)
                return

    def fit_predict(
        self,
        X: ArrayLike,
        y: object = None,
        *,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        error_covariance: ArrayLike | None = None,
    ) -> NDArray[np.intp]:
        """Fit the mixture to X and return the most probable component of each row.

        Parameters
        ----------
        X : array-like or frame of shape (n, d), Scan, or Dask array or frame
            Rows, as for :meth:`fit`.
        y : ignored
            Present for scikit-learn.
        sample_weight, labels, error_covariance : array-like or None
            As for :meth:`fit`.

        Returns
        -------
        ndarray of shape (n,)
            Numbers of components, as far as ``labels`` allow them; -1 for the background.

        Raises
        ------
        ValueError
            As from :meth:`fit`.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> GaussianMixture(1).fit_predict([[0.0], [2.0]])
        array([0, 0])
        """
        self.fit(X, sample_weight=sample_weight, labels=labels, error_covariance=error_covariance)
        # Of a table that is larger than memory no labels are kept.
        return self.labels_ if hasattr(self, "labels_") else self.predict(X)

    # batch by batch -------------------------------------------------------------------------------------------

    def partial_fit(
        self,
        X: ArrayLike,
        y: object = None,
        *,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        error_covariance: ArrayLike | None = None,
        step: float | None = None,
        forgetting: float | None = None,
    ) -> Self:
        """Learn from one more batch of rows, which are not kept: one step of stepwise EM.

        The first batch makes the start.  One of the user's own (``means_init``, labels, a function, ...) is taken
        exactly, and makes one update; else the batch is fitted as :meth:`fit` would, so that it should show all
        components: some hundred rows of each, in random order, are better than few.  Further batches may have any size.
        An estimator that has been fitted goes on from what all of its rows told; one that is made of parameters, or
        loaded from a file, has no sums to add to: its model is the start of the first batch.  ``fit`` starts anew.

        Parameters
        ----------
        X : array-like or frame of shape (n, d), Scan, or Dask array or frame
            The rows of the batch, as for ``fit``; after the first batch a column may be missing altogether.  A scan is
            read once, in order, each of its batches being one; so are the chunks of a Dask collection.
        y : ignored
            Present for scikit-learn.
        sample_weight, labels, error_covariance : array-like or None
            As for ``fit``.
        step : float or None
            a in (0.5, 1]: the t-th batch counts t**-a of the sums, whatever its size, and those before it the rest.
        forgetting : float or None
            g in (0, 1): what came before counts g times as much with each batch.

        Returns
        -------
        GaussianMixture
            The estimator itself.  ``n_iter_`` counts batches (a fit is one of them), ``stop_reason_`` is "batch" and
            ``converged_`` False.  ``loglik_``, ``lower_bound_`` and ``labels_`` are those of this batch under the model
            returned; ``history_`` has a record for each batch: ``predicted`` is the log-likelihood of its rows before
            they were learnt, ``loglik`` and ``objective`` after that, ``weight`` its weight.  ``distinct_rows`` of
            ``diagnostics_`` are those of the last batch.  A model file has the parameters alone.

        Raises
        ------
        ValueError
            For parameters or data that cannot be used, for ``truncate``, and for on_degenerate="drop"; the estimator is
            then as it was before.

        Notes
        -----
        Every row counts the same unless ``step`` or ``forgetting`` is given.  Take the default with ``merge``, after a
        fit, where one component is all (it is then exact), and where the first batch shows all components well: sums
        that a worse model made are never forgotten.  Else take ``step=0.7``, with a second pass over the rows if that
        is possible; and ``forgetting=0.99`` (a window of about 100 batches) where the rows drift.  Five overlapping
        components in batches of 1,000 rows, 1e5 in all, ended under ``fit`` by 16 nats with the default (median of ten
        data sets; 181 at worst), by 37 (54) with ``step=0.7`` and 78 (90) with ``step=0.6``; in batches of 200, 5e4 in
        all, by 981, 68 and 141, where one of ten ended in another optimum.

        With ``noise`` the density of the background is that of the bounding box of all rows that came.

        References
        ----------
        O. Cappé and E. Moulines, "On-line expectation-maximization algorithm for latent data models", Journal of the
        Royal Statistical Society B 71, 2009.
        P. Liang and D. Klein, "Online EM for unsupervised models", NAACL 2009.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> gm = GaussianMixture(1).partial_fit([[0.0], [2.0]])
        >>> gm.partial_fit([[4.0], [6.0]]).means_
        array([[3.]])
        """
        pace = online.Pace(*validation.pace(step, forgetting))
        settings = self._online_settings()
        fresh, before = not hasattr(self, "mixture_"), self._online
        table: Any = X
        if distributed.is_collection(X):
            table, sample_weight = distributed.collected(X, sample_weight).scan(), None
        if isinstance(table, Scan):
            self._none_beside({"sample_weight": sample_weight, "labels": labels, "error_covariance": error_covariance})
            self._named_as(table, reset=fresh)
            batches = rows_of(table)
        else:
            rows = received(self, X, reset=fresh, weight=sample_weight, error_covariance=error_covariance)
            known = validation.known_labels(labels, len(rows), settings.n_components, background=settings.noise)
            batches = iter([replace(rows, label=known)])
        engine, state, history, sampler = self._engine(), before, self._history(), getattr(self, "_sampler", None)
        with one_blas_thread():
            for rows in batches:
                if not len(rows[telling(rows)]):  # nobody is there, or says anything
                    continue
                began = time.perf_counter()
                learnt = self._learnt(settings, state, rows, pace, engine)
                state = learnt.state
                found, record = online.looked_at(learnt, rows, engine, began)
                last = rows
                progress.batch(self.verbose, state.n_batches, record)
                history.append(record)
            if state is None or state is before:
                raise ValueError("X must have a row that counts and tells something, got none: leave such a batch out")
            there = telling(last)
            self._keep_online(learnt, history, last[there], found[there])
            if not isinstance(table, Scan):
                self.labels_ = found
            self.loglik_, self.lower_bound_ = history[-1]["loglik"], self.lower_bounds_[-1]
        if not fresh and sampler is not None:
            self._sampler = sampler  # draws go on
        self._say(self.remarks_, stacklevel=3)
        return self

    def merge(self, other: GaussianMixture) -> Self:
        """Join what another estimator has learnt to what this one has: their sums are added, and make one update.

        Where rows are split between estimators that begin with the same start (``from_mixture`` of one model, or
        weights, means and covariances: with means alone the covariances would be those of each one's rows), with one
        :meth:`partial_fit` each, merging them in any order is one update of EM over all rows.  It cannot be seen
        whether component k is the same in both: both must come from the same start or model.  Copies of an estimator
        that has learnt something count that twice.

        Parameters
        ----------
        other : GaussianMixture
            One that has learnt by ``partial_fit`` or ``fit``; it stays as it is.

        Returns
        -------
        GaussianMixture
            The estimator itself, changed in place.  ``n_iter_`` and ``history_`` are those of both; ``labels_``,
            ``loglik_`` and ``lower_bound_`` are gone until the next batch, for there are no rows that they could be of.

        Raises
        ------
        ValueError
            If one of them has learnt nothing, or they differ in family, mixing, components, features or background.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> first = GaussianMixture(1, means_init=[[1.0]]).partial_fit([[0.0], [2.0]])
        >>> second = GaussianMixture(1, means_init=[[1.0]]).partial_fit([[4.0], [6.0]])
        >>> first.merge(second).means_
        array([[3.]])
        """
        if not isinstance(other, GaussianMixture):
            raise ValueError(
                f"other must be a GaussianMixture, got {type(other).__name__}: merge what partial_fit made"
            )
        states = self._state("this estimator"), other._state("the other estimator")
        settings = self._online_settings()
        mine, theirs = ({**one._described(), "features": one.n_features_in_} for one in (self, other))
        online.check_alike(mine, theirs, self._names, other._names)
        sampler = self._sampler
        with one_blas_thread():
            learnt = online.merged(settings, *states)
            nobody = Rows(np.empty((0, self.n_features_in_)))
            self._keep_online(learnt, self._history() + other._history(), nobody, np.empty(0, dtype=np.intp))
        self._forget("labels_", "loglik_", "lower_bound_")
        self._sampler = sampler
        self._say(self.remarks_, stacklevel=3)
        return self

    def _state(self, name: str) -> online.State:
        """What was learnt from rows, to be merged."""
        check_is_fitted(self)
        if self._online is None:
            raise ValueError(
                f"merge joins what two estimators have learnt from rows, but {name} has parameters alone: call "
                "partial_fit first"
            )
        return self._online

    def _described(self) -> dict[str, Any]:
        """What two estimators have in common if sums of the one can be added to those of the other."""
        return {
            "covariance_type": self._fitted_type,
            "mixing": self._fitted_mixing,
            "n_components": self.mixture_.n_components,
            "noise": self.background_ is not None,
        }

    def _online_settings(self) -> Settings:
        """The parameters, if batches can be learnt with them, and are those that what was learnt belongs to."""
        settings = settings_of(self.get_params(deep=False))
        online.check_settings(settings)
        if not hasattr(self, "mixture_"):
            return settings
        now = {
            "covariance_type": self.covariance_type,
            "mixing": self.mixing,
            "n_components": settings.n_components,
            "noise": settings.noise,
        }
        for what, own in self._described().items():
            new = what == "noise" and not own and self._online is None  # it may be added to a start
            if now[what] != own and not new:
                raise ValueError(
                    f"{what} must stay {own!r} while batches are learnt, got {now[what]!r}: call fit to start anew"
                )
        return settings

    def _learnt(
        self, settings: Settings, state: online.State | None, rows: Rows, pace: online.Pace, engine: Engine
    ) -> online.Learnt:
        """What there is after a batch, the first or one more."""
        if state is not None:
            start.reachable(state.model, rows)
            return online.learnt(settings, state, rows, pace, engine, self._names)
        task, behind = task_of(settings, rows, self._names, engine), None
        if hasattr(self, "mixture_"):
            begin, behind = self._as_start(task), self.background_
            told = em.e_step(task.problem, start.reachable(begin, rows))
            model, statistics = begin, told.statistics
        elif start.is_own(self.get_params(deep=False)):
            _, begin = next(self._starts(task, {}))
            model, statistics = begin, em.e_step(task.problem, begin).statistics
        else:
            automatic = self.n_init == "auto"
            outcomes: dict[int, Outcome] = {}
            starts = self._starts(task, outcomes)
            _, run = runs.best(task, starts, outcomes, self._printer(task), first_sound=automatic)
            model, statistics = run.last.model, run.last.statistics
        state = online.grown(online.state_of(task, model, statistics), behind)
        return online.stepped(settings, state, statistics.objective * task.scale)

    def _as_start(self, task: Task) -> Mixture:
        """The model that there is, as a start for the rows of a task."""
        update, known = task.problem.update, self.mixture_
        layout = suited(known.layout, diagonal=update.family.diagonal)
        if self.background_ is None and update.box is not None:
            return Mixture.of(known.weights, known.means, layout).beside(Background(USUAL, update.box))
        return Mixture.of(self._weights, known.means, layout, self.background_)

    def _history(self) -> list[dict[str, Any]]:
        """A record for each batch that was learnt; a fit is the first of them, with its last pass."""
        if self._online is None:
            return []
        if self.stop_reason_ is em.Reason.BATCH:
            return [*self.history_]
        last = self.history_[-1]
        return [{**last, "predicted": last["loglik"], "weight": self._total_weight}]

    def _keep_online(
        self, learnt: online.Learnt, history: list[dict[str, Any]], rows: Rows, labels: NDArray[np.intp]
    ) -> None:
        """Publish what was learnt from batches, unless it is to refuse; ``rows`` are those of the last."""
        state, update = learnt.state, learnt.update
        found = online.diagnosis(update, state, rows, labels, self._names)
        remarks = online.remarks(update, state, found)
        self._refuse_degenerate(remarks)
        components, background = state.model.components, state.model.background
        weights = None if update.fixed is None else state.model.weights  # to the last bit
        self._publish(components, background, start.entropy_of(self.random_state), state.dtype, weights)
        self._online = state
        self.history_ = history
        self.log_likelihood_history_ = [one["loglik"] for one in history]
        self.lower_bounds_ = [one["objective"] / one["weight"] for one in history]
        self.n_iter_, self.converged_ = state.n_batches, False
        self.stop_reason_: em.Reason | None = em.Reason.BATCH
        self._n_rows, self._total_weight = state.n_rows, state.total_weight
        self.diagnostics_, self.remarks_ = [asdict(one) for one in found], remarks
        self.dropped_ = self.diagnostics_[:0]
        self._forget("_landscape", "_compared", "responsibilities_", "labels_")  # of an earlier fit, or batch

    def _task(
        self,
        X: ArrayLike,
        sample_weight: ArrayLike | None,
        labels: ArrayLike | None = None,
        error_covariance: ArrayLike | None = None,
        edges: Array | None = None,
        like: Task | None = None,
        journal: Journal | None = None,
    ) -> Task:
        """What a fit needs; a task ``like`` it, of the same rows, knows their Gaussian already.  Its sums are in the
        ``journal``, if there is one."""
        settings = settings_of(self.get_params(deep=False))
        if journal is not None and settings.truncate is not None:
            raise ValueError(
                f"truncate must be None for a fit with a checkpoint, got {settings.truncate}: what each row keeps from "
                "pass to pass would have to be written, too"
            )
        if journal is not None and settings.accelerate == "incremental":
            raise ValueError(
                'accelerate must not be "incremental" for a fit with a checkpoint, which keeps sums over all rows, not '
                'those of each block: use "auto" or None'
            )
        if self.engine == "dask":
            X = distributed.cut_for_dask(X)
        if isinstance(X, Scan):
            self._none_beside({"sample_weight": sample_weight, "labels": labels, "error_covariance": error_covariance})
            return self._task_over(Streamed(surveyed(X), X), journal)
        if distributed.is_collection(X):
            self._none_beside({"labels": labels, "error_covariance": error_covariance})
            return self._task_over(distributed.looked_at(distributed.collected(X, sample_weight)), journal)
        rows = received(self, X, reset=True, weight=sample_weight, error_covariance=error_covariance)
        known = validation.known_labels(labels, len(rows), settings.n_components, background=settings.noise)
        rows = replace(rows, label=known, edges=edges)
        if journal is not None:
            settings = self._begun(journal, settings, of_rows(rows))
        return task_of(settings, rows, self._names, self._engine(), like, journal)

    def _none_beside(self, arguments: Mapping[str, Any]) -> None:
        """Refuse what has an entry for each row, among these arguments and the parameters, where rows are scanned."""
        own = {name: getattr(self, name) for name in ("labels_init", "responsibilities_init")}
        validation.nothing_beside_a_scan({**arguments, **own})

    def _begun(self, journal: Journal, settings: Settings, data: Mapping[str, str]) -> Settings:
        """The settings with the number that chance comes from in the ``journal`` of this fit to ``data``."""
        last = getattr(self, "_model", None) if self.warm_start else None
        told = {"version": mixtura.__version__, **of_parameters(self.get_params(deep=False), last), **data}
        return replace(settings, random_state=journal.begin(told, start.entropy_of(settings.random_state)))

    def _task_over(self, source: Streamed | OnCluster, journal: Journal | None = None) -> Task:
        """What a fit to a table that has been looked at needs: of few rows the same as for an array."""
        settings, engine, survey = settings_of(self.get_params(deep=False)), self._engine(), source.survey
        self._named_as(source.table, reset=True)
        if survey.whole:
            if journal is not None:
                settings = self._begun(journal, settings, of_rows(survey.at_hand))
            return task_of(settings, survey.at_hand, self._names, engine, journal=journal)
        if journal is not None:  # of a Dask collection all chunks are looked at once more
            marks = marks_of(source) if isinstance(source, Streamed) else source.marks()
            settings = self._begun(journal, settings, of_table(survey, marks))
        return task_over(settings, source, self._names, engine, journal)

    def _keep(self, task: Task, run: Run, outcomes: dict[int, Outcome]) -> None:
        """Publish a finished run, unless it is one to refuse."""
        components, background = run.last.model.components, run.last.model.background
        model = components.beside(background)  # as it is kept, to the last bit
        evaluated, statistics = (model, task.rows, task.problem.engine), run.last.statistics
        if self.truncate is None:
            labels, loglik = evaluate.labels(*evaluated), run.history[-1]["loglik"]
            if self.accelerate == "incremental":  # its sweeps tell a lower bound
                statistics = task.problem.statistics(run.last.model)
                loglik = statistics.objective * task.scale
        else:  # the passes tell a lower bound
            labels, log_density = pruned.labels_and_log_density(model, task.rows.x, task.problem.engine)
            own, weight = log_density[task.present], task.problem.source.at_hand.weight
            loglik = float(own.sum() if weight is None else weight @ own) * task.scale
        found = runs.diagnosis(task, model, labels[task.present])
        remarks = runs.remarks(task, run, found, self._n_parameters(model))
        self._refuse_degenerate(remarks)
        weights = model.weights if task.problem.update.fixed is None else run.last.model.weights  # to the last bit
        self._publish(components, background, task.entropy, answer_dtype(task.rows.x), weights)
        self.history_ = run.history
        self.log_likelihood_history_ = [one["loglik"] for one in run.history]
        self.lower_bounds_ = [one["objective"] / task.total_weight for one in run.history]
        self.lower_bound_ = self.lower_bounds_[-1]
        self.loglik_ = loglik
        self.n_iter_ = run.last.index
        self.stop_reason_ = run.last.reason
        self.converged_ = run.converged
        self._landscape = runs.landscape(task, outcomes)
        self._compared = runs.compared(labels[task.present])
        self._n_rows, self._total_weight = task.n_rows, task.total_weight
        self._online = online.state_of(task, run.last.model, statistics)
        self._forget("labels_", "responsibilities_")  # of an earlier fit
        if task.whole:
            self.labels_ = labels
        self.diagnostics_ = [asdict(one) for one in found]
        self.dropped_ = [asdict(one) for one in run.dropped]
        self.remarks_ = remarks
        if self.trace and task.whole:
            self.responsibilities_ = evaluate.responsibilities(*evaluated)

    @property
    def restarts_(self) -> list[dict[str, Any]]:
        """What became of each start; see the class."""
        if not hasattr(self, "_landscape"):
            raise AttributeError("restarts_ are those of a fit: call fit(X)")
        return [
            record | {"agreement": float(adjusted_rand_score(self._compared, labels))}
            for record, labels in self._landscape
        ]

    def _refuse_degenerate(self, remarks: Mapping[str, str]) -> None:
        if self.on_degenerate == "raise" and "degenerate" in remarks:
            raise ValueError(remarks["degenerate"])

    def _say(self, remarks: Mapping[str, str], stacklevel: int) -> None:
        if remarks:
            category = ConvergenceWarning if "convergence" in remarks else UserWarning
            warnings.warn("; ".join(remarks.values()), category, stacklevel=stacklevel)

    def _n_parameters(self, model: Mixture) -> int:
        """Free parameters of ``model``, background included, under the parameters of the estimator."""
        family, size = validation.family(self.covariance_type), (model.n_components, model.n_features)
        own = family.n_parameters(*size, equal_mixing=self.mixing == "equal")
        fixed, background = masks_of(self.fixed, model.n_components), model.background is not None
        taken = 0 if fixed is None else fixed.n_parameters(family, *size, background=background)
        return own - taken + (N_PARAMETERS if background else 0)

    def _publish(
        self,
        mixture: Mixture,
        background: Background | None,
        entropy: int | None,
        dtype: np.dtype[Any],
        weights: Array | None = None,
    ) -> None:
        shape = shape_of(self.covariance_type)
        layout = mixture.layout
        self.mixture_, self.background_ = mixture, background
        self.noise_weight_ = 0.0 if background is None else background.weight
        self._model = mixture.beside(background)
        self._weights = self._model.weights if weights is None else weights
        # set_params may change the parameters, not what was fitted
        self._fitted_type, self._fitted_mixing = self.covariance_type, self.mixing
        with one_blas_thread():
            factor = shape.precisions_cholesky(layout)
            parts = {
                "weights_": self._weights,
                "means_": mixture.means,
                "covariances_": shape.covariances(layout),
                "precisions_cholesky_": factor,
                "precisions_": shape.square(factor),
            }
        self._dtype = dtype if all(fits(part, dtype) for part in parts.values()) else np.dtype(np.float64)
        for name, part in parts.items():
            setattr(self, name, part.astype(self._dtype))
        self.df_ = self._n_parameters(self._model)
        self._sampler = np.random.default_rng(entropy)

    # starting ------------------------------------------------------------------------------------------------

    def _starts(self, task: Task, outcomes: dict[int, Outcome]) -> Iterator[tuple[int, Mixture]]:
        """The mixtures to run from, in turn, each with its number; ``outcomes`` receives the short runs before them."""
        starts = self._any_starts(task, outcomes)
        if task.rows.label is None:
            return starts
        return ((number, start.reachable(begin, task.rows)) for number, begin in starts)

    def _any_starts(self, task: Task, outcomes: dict[int, Outcome]) -> Iterator[tuple[int, Mixture]]:
        k = int(self.n_components)
        d = task.problem.source.n_features
        update = task.problem.update
        own = start.own_start(
            self.get_params(deep=False), k, d, len(task.rows), task.present, background=update.box is not None
        )
        make = start.make_start(start.init_rule(self.init), task.problem, task.rows.x, task.present)
        warm = getattr(self, "mixture_", None) if self.warm_start else None
        if warm is not None and warm.means.shape == (k, d) and self._fitted_as_now():
            begin = Mixture.of(warm.weights, warm.means, suited(warm.layout, diagonal=update.family.diagonal))
            weight = USUAL if self.background_ is None else self.noise_weight_
            begin = begin.beside(None if update.box is None else Background(weight, update.box))
            if update.fixed is not None:
                if (self.background_ is None) == (update.box is None):
                    begin = Mixture.of(self._weights, begin.means, begin.layout, begin.background)
                last = start.OwnStart(begin.weights, begin.means, begin.layout)
                last.suits(update.fixed, update.family, self.covariance_type)
            return iter([(0, begin)])
        if task.problem.update.fixed is not None:
            own.suits(task.problem.update.fixed, task.problem.update.family, self.covariance_type)
        n_init = None if self.n_init == "auto" else int(self.n_init)
        moving = isinstance(self.init, str) and self.init == "auto" and task.rows.label is None
        return start.starts(
            task.problem,
            k,
            own,
            make,
            n_init,
            task.entropy,
            outcomes,
            driver=task.driver,
            max_iter=task.max_iter,
            moving=moving,
            truncated=self.truncate is not None,
        )

    def _fitted_as_now(self) -> bool:
        return (self._fitted_type, self._fitted_mixing) == (self.covariance_type, self.mixing)

    def plot(self, X: ArrayLike | None = None, *, ax: Axes | None = None) -> Axes:
        """Scatter with covariance ellipses, or the density when there is one feature; needs ``mixtura[plot]``.

        Parameters
        ----------
        X : array-like of shape (n, d) or None
            Rows to draw; None draws the model alone.
        ax : matplotlib.axes.Axes or None
            Where to draw; None makes a figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ValueError
            If X has another number of features than the mixture.
        ImportError
            If matplotlib is missing.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> m = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0], "spherical")
        >>> m.plot([[0.0], [4.5]]).get_xlabel()
        'x'
        """
        check_is_fitted(self)
        from mixtura import plot

        return (plot.density if self.mixture_.n_features == 1 else plot.scatter)(self, X, ax=ax)

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
        """A page about the fitted mixture and the rows of X; :func:`mixtura.report` says what is on it."""
        from mixtura.report import report

        return report(
            self, X, path, sample_weight=sample_weight, alternatives=alternatives, time_budget=time_budget, seed=seed
        )

    def _repr_html_inner(self) -> str:
        """What a notebook shows: of a fitted mixture what was found, of others scikit-learn's diagram."""
        if not self.__sklearn_is_fitted__():
            diagram: str = super()._repr_html_inner()
            return diagram
        from mixtura import html

        return html.of_estimator(self, self._fitted_type, self._names)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        """The same for front ends that ask for all forms at once; scikit-learn's setting ``display`` decides which."""
        if not self.__sklearn_is_fitted__():
            forms: dict[str, str] = super()._repr_mimebundle_(**kwargs)
            return forms
        return {"text/plain": repr(self)} | (
            {"text/html": self._repr_html_inner()} if hasattr(self, "_repr_html_") else {}
        )

    # files ---------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write the model to a JSON file, whole or not at all.

        Parameters
        ----------
        path : str or path-like
            File to make or replace.

        Returns
        -------
        Path
            ``path``.  The file holds the parameters to the last digit, the names of the features, the family and how
            the model was fitted; nothing in it is executed when it is read.

        Raises
        ------
        ValueError
            If the file cannot be written; what was there before is still there then.

        Examples
        --------
        >>> import tempfile
        >>> from mixtura import GaussianMixture
        >>> gm = GaussianMixture(1).fit([[0.0], [2.0]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     GaussianMixture.load(gm.save(f"{folder}/model.json")).loglik_ == gm.loglik_
        True
        """
        from mixtura import io

        return io.write_model(path, self.document())

    def document(self) -> dict[str, Any]:
        """What a model file holds."""
        check_is_fitted(self)
        names, background = self._names, self.background_
        return {
            **self.mixture_.to_dict(),
            **({} if background is None else {"background": background.to_dict()}),
            "covariance_type": self._fitted_type,
            "mixing": self._fitted_mixing,
            "feature_names": None if names is None else [str(name) for name in names],
            "fit": self.how_fitted(),
        }

    def how_fitted(self) -> dict[str, Any] | None:
        """How the model was fitted, as a model file keeps it; None if it was made of parameters, or learnt from
        batches: then no log-likelihood is that of all rows.

        Returns
        -------
        dict or None
            loglik (total nats), n_rows, total_weight, n_iter, converged, stop_reason, df, tol, random_state, version.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> GaussianMixture(1).fit([[0.0], [2.0]]).how_fitted()["n_rows"]
        2
        """
        if not hasattr(self, "loglik_") or self.stop_reason_ is em.Reason.BATCH:
            return None
        return {
            "loglik": self.loglik_,
            "n_rows": self._n_rows,
            "total_weight": self._total_weight,
            "n_iter": self.n_iter_,
            "converged": self.converged_,
            "stop_reason": str(self.stop_reason_),
            "df": self.df_,
            "tol": float(self.tol),
            "random_state": int(self.random_state) if isinstance(self.random_state, numbers.Integral) else None,
            "version": mixtura.__version__,
        }

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model written by :meth:`save`; it predicts bit for bit what the saved one did.

        Parameters
        ----------
        path : str or path-like
            A model file.

        Returns
        -------
        GaussianMixture
            Usable at once.

        Raises
        ------
        ValueError
            If the file is missing, is not a model or holds parameters that are not those of a mixture.

        Examples
        --------
        >>> import tempfile
        >>> from mixtura import GaussianMixture
        >>> gm = GaussianMixture(1).fit([[0.0], [2.0]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     GaussianMixture.load(gm.save(f"{folder}/model.json")).means_
        array([[1.]])
        """
        from mixtura import io

        document = io.read_model(path)
        with io.naming(path):
            kind = document["covariance_type"] or "full"
            estimator = cls.from_mixture(Mixture.from_dict(document), kind, mixing=document["mixing"] or "free")
            background = Background.from_dict(document["background"])
            if background is not None:
                estimator.noise = True
                estimator._publish(estimator.mixture_, background, None, np.dtype(np.float64))
        if document["feature_names"] is not None:
            estimator.feature_names_in_ = np.array(document["feature_names"], dtype=object)
        if document["fit"] is not None:
            fitted = document["fit"]
            estimator.tol, estimator.random_state = fitted["tol"], fitted["random_state"]
            estimator.loglik_, estimator._n_rows = fitted["loglik"], fitted["n_rows"]
            estimator._total_weight, estimator.df_ = fitted["total_weight"], fitted["df"]  # some may have been fixed
            estimator.n_iter_, estimator.converged_ = fitted["n_iter"], fitted["converged"]
            with io.naming(path):
                reason = validation.one_of(fitted["stop_reason"], "stop_reason", [*em.Reason])
            estimator.stop_reason_ = em.Reason(reason)
        return estimator

    @classmethod
    def from_parameters(
        cls, weights: ArrayLike, means: ArrayLike, covariances: ArrayLike, covariance_type: str = "full"
    ) -> Self:
        """An estimator with these parameters, usable at once.

        Parameters
        ----------
        weights : array-like of shape (K,)
            Not negative, with sum one.
        means : array-like of shape (K, d)
            In the units of the data.
        covariances : array-like
            In the shape of the fitted attribute under ``covariance_type``, in squared units of the data.
        covariance_type : str
            As in :class:`GaussianMixture`.

        Returns
        -------
        GaussianMixture
            It predicts, scores and draws like a fitted one; there is no ``loglik_``, for there were no rows.

        Raises
        ------
        ValueError
            If the parameters are not those of a mixture.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> gm = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0], "spherical")
        >>> gm.predict([[3.5]])
        array([1])
        """
        w = validation.weights_of(weights)
        m = validation.means_of(means, len(w))
        validation.family(covariance_type, m.shape[1])
        layout = covariances_in(covariances, "covariances", len(w), m.shape[1], covariance_type)
        return cls.from_mixture(Mixture.of(w, m, layout), covariance_type)

    @classmethod
    def from_mixture(cls, mixture: Mixture, covariance_type: str = "full", *, mixing: str = "free") -> Self:
        """An estimator around ``mixture``, usable at once.

        Parameters
        ----------
        mixture : Mixture
            The distribution.
        covariance_type : str
            As in :class:`GaussianMixture`; the covariances must be of that type.
        mixing : {"free", "equal"}
            As in :class:`GaussianMixture`; for "equal" the weights must be equal.

        Returns
        -------
        GaussianMixture
            It predicts, scores and draws like a fitted one; ``partial_fit`` begins from it.

        Raises
        ------
        ValueError
            If the covariances are not of the type, or the weights are not equal for mixing="equal".

        Examples
        --------
        >>> from mixtura import GaussianMixture, Mixture
        >>> GaussianMixture.from_mixture(Mixture([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0])).predict([[3.5]])
        array([1])
        """
        family = validation.family(covariance_type, mixture.n_features)
        validation.one_of(mixing, "mixing", MIXING)
        layout = suited(mixture.layout, diagonal=True) if family.diagonal else mixture.layout
        if layout is not mixture.layout:
            mixture = Mixture.of(mixture.weights, mixture.means, layout)
        validation.of_family(layout, family, covariance_type)
        if mixing == "equal" and not np.allclose(mixture.weights, 1 / mixture.n_components, rtol=1e-9, atol=0):
            raise ValueError(
                f"weights must be equal for mixing='equal', got {mixture.weights.round(4).tolist()}: use mixing='free'"
            )
        estimator = cls(mixture.n_components, covariance_type=covariance_type, mixing=mixing)
        estimator.n_features_in_ = mixture.n_features
        estimator._publish(mixture, None, None, np.dtype(np.float64))
        return estimator
