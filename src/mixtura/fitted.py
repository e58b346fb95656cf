"""What every fitted mixture answers, in scikit-learn's manner: labels, densities, criteria, draws, predictions.

Rows come in by this door, for a fit as well as for a prediction: an array, a frame or a scan, checked here and not
again.  The answers are of one model at rows (evaluate.py); of a scan they are made batch by batch.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from mixtura import distributed, evaluate, frames, impute, start, tables, validation
from mixtura.distributed import Collection
from mixtura.engine import Engine, Serial, in_pairs, make_engine
from mixtura.mixture import Mixture
from mixtura.rows import AnyArray, Array, Rows, present, telling, told_whole
from mixtura.scanning import Heading, Scan, scan
from mixtura.shapes import answer_dtype
from mixtura.sources import each_batch

T = TypeVar("T")

ENGINES = ("auto", "serial", "threads", "dask")


def received(
    estimator: BaseEstimator,
    X: Any,
    *,
    reset: bool,
    weight: ArrayLike | None = None,
    error_covariance: ArrayLike | None = None,
) -> Rows:
    """X as (n, d) rows of a real dtype, with what there is beside them; names and number of features are kept in the
    ``estimator``, with ``reset``, or compared with its own."""
    X = validation.with_gaps(X)
    named = frames.checked(X)
    if frames.checked(error_covariance, "error_covariance"):
        if named:
            validation.same_order(frames.names(error_covariance), frames.names(X))
        error_covariance = frames.as_array(error_covariance)  # NumPy takes no NA for a number
    ndim = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
    if ndim == 1 and (reset or estimator.n_features_in_ == 1):
        X = np.asarray(X)[:, None]
    x = validate_data(estimator, X, reset=reset, dtype=None, ensure_all_finite=False)
    x = validation.real_rows(x)
    validation.finite(x, getattr(estimator, "feature_names_in_", None), missing=True)
    missing = validation.missing(x)
    return Rows(
        x,
        validation.sample_weight(weight, len(x)),
        missing,
        validation.error_covariance(error_covariance, x, missing),
    )


class FittedMixture(DensityMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """The methods that an estimator has once it knows its mixture.

    Its parameters ``engine`` and ``n_jobs`` say where blocks are worked on.  A fit leaves ``_model``, the mixture and
    its background; ``_dtype``, that of answers; ``_sampler``, the source of draws; and ``df_``.
    """

    engine: str
    n_jobs: int | None
    n_features_in_: int
    df_: int
    _model: Mixture
    _dtype: np.dtype[Any]
    _sampler: np.random.Generator

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # Not that nothing is checked: scikit-learn has no other way to say that 1-D X is welcome, as one feature
        # (the tag one_d_array would say that nothing else is).
        tags.no_validation = True
        tags.input_tags.allow_nan = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "mixture_")

    # the door ------------------------------------------------------------------------------------------------

    def _named_as(self, table: Heading, *, reset: bool) -> None:
        """Keep the names and the number of the columns of a table, or compare them with those of the fit."""
        if reset:
            self.n_features_in_ = table.n_features
            if table.columns is not None:
                self.feature_names_in_ = np.array(table.columns, dtype=object)
            else:
                self._forget("feature_names_in_")
        else:
            validation.same_columns(table.columns, table.n_features, self._names, self.n_features_in_)

    @property
    def _names(self) -> Any:
        """Names of the features, if they have any."""
        return getattr(self, "feature_names_in_", None)

    def _forget(self, *names: str) -> None:
        """Take away attributes, as far as they are there."""
        for name in names:
            if hasattr(self, name):
                delattr(self, name)

    def _engine(self) -> Engine:
        validation.one_of(self.engine, "engine", ENGINES)
        if self.n_jobs is not None and (not isinstance(self.n_jobs, numbers.Integral) or self.n_jobs == 0):
            raise ValueError(
                f"n_jobs must be None or an integer other than 0, got {self.n_jobs!r}: use -1 for all cores"
            )
        return make_engine(self.engine, self.n_jobs)

    # the answers ---------------------------------------------------------------------------------------------

    def _evaluated(
        self, X: ArrayLike, error_covariance: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> tuple[Mixture, Rows, Engine]:
        """What an evaluation at the rows of X needs."""
        check_is_fitted(self)
        rows = received(self, X, reset=False, weight=sample_weight, error_covariance=error_covariance)
        return self._model, rows, self._engine()

    def _by_part(
        self, X: Any, error_covariance: ArrayLike | None, function: Callable[[Mixture, Rows, Engine], AnyArray]
    ) -> AnyArray:
        """What ``function`` makes of the model and the rows of X: of a scan batch by batch, of a Dask collection when
        it is wanted, where its chunks are."""
        if isinstance(X, Scan):
            validation.nothing_beside_a_scan({"error_covariance": error_covariance})
            return np.concatenate(list(self._of_batches(X, function)))
        if distributed.is_collection(X):
            validation.nothing_beside_a_scan({"error_covariance": error_covariance})
            answers: AnyArray = distributed.answered(*self._of_chunks(distributed.collected(X), function))
            return answers
        return function(*self._evaluated(X, error_covariance))

    def _of_batches(self, scan: Scan, function: Callable[[Mixture, Rows, Engine], T]) -> Iterator[T]:
        """What ``function`` makes of the model and each batch, in their order."""
        check_is_fitted(self)
        self._named_as(scan, reset=False)
        return each_batch(scan, self._engine(), partial(function, self._model))

    def _of_chunks(
        self, collection: Collection, function: Callable[[Mixture, Rows, Engine], T]
    ) -> tuple[Collection, Callable[[Rows], T]]:
        """A collection that suits the model, and what ``function`` makes of the model and a chunk, to be sent out."""
        check_is_fitted(self)
        self._named_as(collection.table, reset=False)
        return collection, partial(_of_model, function, self._model)

    def predict_to(self, path: str | Path, source: Any, *, proba: bool = False, density: bool = False) -> Path:
        """Write what the mixture says of each row of a table to a file, batch by batch, whole or not at all.

        Parameters
        ----------
        path : str or path-like
            A CSV, TSV or Parquet file to make or replace.
        source : Scan
            From :func:`mixtura.scan`, or what it takes.
        proba : bool
            Whether to write the posterior probabilities, too: columns p0, p1, ..., and p_noise for a background.
        density : bool
            Whether to write the log density, too: a column log_density.

        Returns
        -------
        Path
            ``path``.  The first column is label: the most probable component, or -1 for the background.

        Raises
        ------
        ValueError
            If the file cannot be written, the source cannot be read, or its columns are not those of the fit.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> from mixtura import GaussianMixture
        >>> gm = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0], "spherical")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print(gm.predict_to(f"{folder}/labels.csv", np.array([0.0, 5.0])).read_text(), end="")
        label
        0
        1
        """
        if distributed.is_collection(source):
            source = distributed.collected(source).scan()
        table = source if isinstance(source, Scan) else scan(source)
        with tables.writing(path) as append:
            for columns in self._of_batches(table, partial(evaluate.columns, proba=proba, density=density)):
                append(columns)
        return Path(path)

    def predict(self, X: ArrayLike, *, error_covariance: ArrayLike | None = None) -> NDArray[np.intp]:
        """The most probable component of each row.

        Parameters
        ----------
        X : array-like or frame of shape (n, d), Scan, or Dask array or frame
            Rows, NaN being a missing value; with one feature also of shape (n,).
        error_covariance : array-like or None
            Variances or covariances of the errors of the rows, as in :meth:`fit`, in squared units of the data.

        Returns
        -------
        ndarray of shape (n,)
            Numbers of components, -1 for the background; of a Dask collection a Dask array.

        Raises
        ------
        ValueError
            If X has another number of features than the rows of the fit, or an entry that is infinite.
        NotFittedError
            If nothing has been fitted yet.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> gm = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0], "spherical")
        >>> gm.predict([[0.5], [3.0]])
        array([0, 1])
        """
        return self._by_part(X, error_covariance, evaluate.labels)

    def predict_proba(self, X: ArrayLike, *, error_covariance: ArrayLike | None = None) -> Array:
        """Posterior probabilities of the components for each row.

        Parameters
        ----------
        X : array-like or frame of shape (n, d), Scan, or Dask array or frame
            Rows, NaN being a missing value; with one feature also of shape (n,).
        error_covariance : array-like or None
            Variances or covariances of the errors of the rows, as in :meth:`fit`, in squared units of the data.

        Returns
        -------
        ndarray of shape (n, K)
            Rows sum to one; a row of which nothing is known has the weights.  With ``noise`` the shape is (n, K + 1),
            the last column being the background.

        Raises
        ------
        ValueError
            If X has another number of features than the rows of the fit, or an entry that is infinite.
        NotFittedError
            If nothing has been fitted yet.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> gm = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0], "spherical")
        >>> gm.predict_proba([[2.0]])
        array([[0.5, 0.5]])
        """
        check_is_fitted(self)
        return self._by_part(X, error_covariance, partial(_responsibilities, self._dtype))

    def score_samples(self, X: ArrayLike, *, error_covariance: ArrayLike | None = None) -> Array:
        """Log density of what is known of each row, errors included.

        Parameters
        ----------
        X : array-like or frame of shape (n, d), Scan, or Dask array or frame
            Rows, NaN being a missing value; with one feature also of shape (n,).
        error_covariance : array-like or None
            Variances or covariances of the errors of the rows, as in :meth:`fit`, in squared units of the data.

        Returns
        -------
        ndarray of shape (n,)
            Natural logarithms; 0 for a row of which nothing is known.

        Raises
        ------
        ValueError
            If X has another number of features than the rows of the fit, or an entry that is infinite.
        NotFittedError
            If nothing has been fitted yet.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> gm = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0], "spherical")
        >>> gm.score_samples([[2.0]]).round(6)
        array([-2.918939])
        """
        check_is_fitted(self)
        return self._by_part(X, error_covariance, partial(_log_density, self._dtype))

    def logpdf(self, X: ArrayLike) -> Array:
        """Log density of each row: :meth:`score_samples` under the name that a distribution has.

        Parameters
        ----------
        X : array-like or frame of shape (n, d), Scan, or Dask array or frame
            Rows, NaN being a missing value; with one feature also of shape (n,).

        Returns
        -------
        ndarray of shape (n,)
            Natural logarithms.

        Raises
        ------
        ValueError
            If X has another number of features than the rows of the fit, or an entry that is infinite.
        NotFittedError
            If nothing has been fitted yet.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> gm = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0], "spherical")
        >>> gm.logpdf([[2.0]]).round(6)
        array([-2.918939])
        """
        return self.score_samples(X)

    def pdf(self, X: ArrayLike) -> Array:
        """Density of each row.

        Parameters
        ----------
        X : array-like or frame of shape (n, d), Scan, or Dask array or frame
            Rows, NaN being a missing value; with one feature also of shape (n,).

        Returns
        -------
        ndarray of shape (n,)
            Per unit of volume; float64 whatever the rows are, because densities of small units leave float32.

        Raises
        ------
        ValueError
            If X has another number of features than the rows of the fit, or an entry that is infinite.
        NotFittedError
            If nothing has been fitted yet.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> gm = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0], "spherical")
        >>> gm.pdf([[2.0]]).round(6)
        array([0.053991])
        """
        density: Array = np.exp(self._by_part(X, None, evaluate.log_density))
        return density

    def score(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        error_covariance: ArrayLike | None = None,
    ) -> float:
        """Mean log density of the rows, per unit of weight.

        Parameters
        ----------
        X : array-like or frame of shape (n, d), Scan, or Dask array or frame
            Rows, NaN being a missing value; with one feature also of shape (n,).
        y : ignored
            Present for scikit-learn.
        sample_weight : array-like of shape (n,) or None
            Weights of the rows.
        error_covariance : array-like or None
            Variances or covariances of the errors of the rows, as in :meth:`fit`, in squared units of the data.

        Returns
        -------
        float
            Nats per unit of weight.

        Raises
        ------
        ValueError
            If X has another number of features than the rows of the fit, or an entry that is infinite.
        NotFittedError
            If nothing has been fitted yet.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> gm = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0], "spherical")
        >>> round(gm.score([[2.0], [2.0]]), 6)
        -2.918939
        """
        totals = self._totals(X, sample_weight, error_covariance, counted=present)
        return totals.loglik / totals.count

    def sample(self, n_samples: int = 1) -> tuple[Array, NDArray[np.intp]]:
        """Independent draws from the mixture, in random order, anew at each call.

        Parameters
        ----------
        n_samples : int
            Number of rows n; 0 gives empty arrays.

        Returns
        -------
        X : ndarray of shape (n, d)
            Rows, in the units of the data.  With ``noise`` those of the background are uniform on the box whose volume
            is V.
        labels : ndarray of shape (n,)
            The component each row came from, -1 for the background.

        Raises
        ------
        ValueError
            If ``n_samples`` is negative or not an integer.
        NotFittedError
            If nothing has been fitted yet.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> gm = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0], "spherical")
        >>> X, labels = gm.sample(100)
        >>> X.shape, sorted(set(labels.tolist()))
        ((100, 1), [0, 1])
        """
        check_is_fitted(self)
        rows, labels = self._model.sample(validation.count(n_samples, "n_samples", least=0), self._sampler)
        return rows.astype(self._dtype, copy=False), labels

    def impute(
        self,
        X: ArrayLike,
        *,
        strategy: str = "mean",
        error_covariance: ArrayLike | None = None,
        random_state: Any = None,
    ) -> Any:
        """X with its missing values filled in, from what each row tells.

        With ``noise``, what a row of the background does not tell is uniform on the sides of the bounding box of the
        rows of the fit.

        Parameters
        ----------
        X : array-like or frame of shape (n, d)
            Rows, NaN or null being a missing value; a row may have nothing else.
        strategy : {"mean", "draw"}
            "mean": the conditional expectation, which is the best guess of each value by itself, but makes all of them
            together vary too little; "draw": a draw from the conditional distribution, that of several values of a row
            together, for estimates that are made of the filled rows (see :class:`MixtureImputer`).
        error_covariance : array-like of shape (n, d), (n, d, d), (d,) or (d, d), or None
            As in :meth:`fit`, in squared units of the data: what there is keeps its error, what is filled in has none.
        random_state : int, numpy.random.Generator, numpy.random.RandomState or None
            Source of draws; None: the estimator's own, from which :meth:`sample` draws, so that each call gives others.

        Returns
        -------
        ndarray of shape (n, d), or frame
            What was there is there bit for bit.  Arrays come back as float64, float32 as float32; a frame of pandas,
            polars or PyArrow comes back as one of the same kind, names, order and index included: columns without a
            missing value as they are, the others as floats.

        Raises
        ------
        ValueError
            If X has another number of features or an entry that is infinite, or ``strategy`` is unknown.

        References
        ----------
        M. Di Zio, U. Guarnera and O. Luzi, "Imputation through finite Gaussian mixture models", Computational
        Statistics & Data Analysis 51, 2007.

        Examples
        --------
        >>> import numpy as np
        >>> from mixtura import GaussianMixture
        >>> gm = GaussianMixture.from_parameters([1.0], [[0.0, 0.0]], [[[1.0, 0.5], [0.5, 1.0]]])
        >>> gm.impute([[2.0, np.nan], [np.nan, np.nan]])
        array([[2., 1.],
               [0., 0.]])
        >>> gm.impute([[2.0, np.nan]], strategy="draw", random_state=0).shape
        (1, 2)
        """
        validation.one_of(strategy, "strategy", [*impute.STRATEGIES])
        _, rows, _ = self._evaluated(X, error_covariance)
        rng = self._sampler if random_state is None else np.random.default_rng(start.entropy_of(random_state))
        return self._filled(X, rows, strategy, rng)

    def _filled(self, X: Any, rows: Rows, strategy: str, rng: np.random.Generator) -> Any:
        """X, which came in as ``rows``, with its missing values filled in."""
        return frames.like(X, impute.STRATEGIES[strategy](self._model, rows, self._engine(), rng), rows)

    def bic(
        self,
        X: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        error_covariance: ArrayLike | None = None,
        effective_size: bool = False,
    ) -> float:
        """Bayesian information criterion, df log n - 2 loglik.

        A weight says how often a row came: n is the sum of the weights, but those of rows of which nothing is known.

        Parameters
        ----------
        X : array-like or frame of shape (n, d), Scan, or Dask array or frame
            Rows, NaN being a missing value; with one feature also of shape (n,).
        sample_weight : array-like of shape (n,) or None
            Weights of the rows.
        error_covariance : array-like or None
            Variances or covariances of the errors of the rows, as in :meth:`fit`, in squared units of the data.
        effective_size : bool
            True: weights say how much a row stands for (survey weights, importance weights).  Only their ratios count
            then, and n is (sum w)^2 / sum w^2, the number of equally weighted rows that tell as much.

        Returns
        -------
        float
            Lower is better.

        Raises
        ------
        ValueError
            If X has another number of features than the rows of the fit, or an entry that is infinite.
        NotFittedError
            If nothing has been fitted yet.

        References
        ----------
        G. Schwarz, "Estimating the dimension of a model", Annals of Statistics 6, 1978.
        L. Kish, *Survey Sampling*, Wiley, 1965 (the effective size).

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> X = [[0.0], [0.2], [0.9], [5.0], [5.4], [6.1]]
        >>> one, two = (GaussianMixture(k, covariance_type="tied", random_state=0).fit(X) for k in (1, 2))
        >>> two.bic(X) < one.bic(X)
        True
        """
        return evaluate.bic(self._totals(X, sample_weight, error_covariance, effective_size), self.df_)

    def aic(
        self,
        X: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        error_covariance: ArrayLike | None = None,
        effective_size: bool = False,
    ) -> float:
        """Akaike information criterion, 2 df - 2 loglik.

        Parameters
        ----------
        X : array-like or frame of shape (n, d), Scan, or Dask array or frame
            Rows, NaN being a missing value; with one feature also of shape (n,).
        sample_weight : array-like of shape (n,) or None
            Weights of the rows.
        error_covariance : array-like or None
            Variances or covariances of the errors of the rows, as in :meth:`fit`, in squared units of the data.
        effective_size : bool
            True: weights say how much a row stands for, as in :meth:`bic`.

        Returns
        -------
        float
            Lower is better.

        Raises
        ------
        ValueError
            If X has another number of features than the rows of the fit, or an entry that is infinite.
        NotFittedError
            If nothing has been fitted yet.

        References
        ----------
        H. Akaike, "A new look at the statistical model identification", IEEE Transactions on Automatic Control 19,
        1974.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> X = [[0.0], [0.2], [0.9], [5.0], [5.4], [6.1]]
        >>> one, two = (GaussianMixture(k, covariance_type="tied", random_state=0).fit(X) for k in (1, 2))
        >>> two.aic(X) < one.aic(X)
        True
        """
        return evaluate.aic(self._totals(X, sample_weight, error_covariance, effective_size), self.df_)

    def icl(
        self,
        X: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        error_covariance: ArrayLike | None = None,
        effective_size: bool = False,
    ) -> float:
        """Integrated completed likelihood by hard assignment, bic - 2 sum log max_k r_k, r being posteriors.

        Parameters
        ----------
        X : array-like or frame of shape (n, d), Scan, or Dask array or frame
            Rows, NaN being a missing value; with one feature also of shape (n,).
        sample_weight : array-like of shape (n,) or None
            Weights of the rows.
        error_covariance : array-like or None
            Variances or covariances of the errors of the rows, as in :meth:`fit`, in squared units of the data.
        effective_size : bool
            True: weights say how much a row stands for, as in :meth:`bic`.

        Returns
        -------
        float
            Lower is better.

        Raises
        ------
        ValueError
            If X has another number of features than the rows of the fit, or an entry that is infinite.
        NotFittedError
            If nothing has been fitted yet.

        References
        ----------
        C. Biernacki, G. Celeux and G. Govaert, "Assessing a mixture model for clustering with the integrated completed
        likelihood", IEEE Transactions on Pattern Analysis and Machine Intelligence 22, 2000.

        Examples
        --------
        >>> from mixtura import GaussianMixture
        >>> X = [[0.0], [0.2], [0.9], [5.0], [5.4], [6.1]]
        >>> one, two = (GaussianMixture(k, covariance_type="tied", random_state=0).fit(X) for k in (1, 2))
        >>> two.icl(X) >= two.bic(X)
        True
        """
        return evaluate.icl(self._totals(X, sample_weight, error_covariance, effective_size), self.df_)

    def _totals(
        self,
        X: ArrayLike,
        sample_weight: ArrayLike | None,
        error_covariance: ArrayLike | None = None,
        effective_size: bool = False,
        counted: Callable[[Rows], Any] = telling,
    ) -> evaluate.Totals:
        """Sums over the rows that are ``counted``."""
        effective = validation.switch(effective_size, "effective_size")
        if isinstance(X, Scan):
            validation.nothing_beside_a_scan({"sample_weight": sample_weight, "error_covariance": error_covariance})
            totals = self._totals_over(X, counted)
        elif distributed.is_collection(X):
            validation.nothing_beside_a_scan({"error_covariance": error_covariance})
            totals = self._totals_over(distributed.collected(X, sample_weight), counted)
        else:
            totals = _totals_of(counted, *self._evaluated(X, error_covariance, sample_weight))
        return totals.effective if effective else totals

    def _totals_over(self, table: Scan | Collection, counted: Callable[[Rows], Any] = telling) -> evaluate.Totals:
        """The same over a table that is read batch by batch, or lies on a cluster."""
        function = partial(_totals_of, counted)
        if isinstance(table, Collection):
            return distributed.total_of(*self._of_chunks(table, function))
        return in_pairs(self._of_batches(table, function))


def _of_model(function: Callable[[Mixture, Rows, Engine], T], model: Mixture, rows: Rows) -> T:
    return function(model, rows, Serial())


def _totals_of(counted: Callable[[Rows], Any], model: Mixture, rows: Rows, engine: Engine) -> evaluate.Totals:
    return evaluate.totals(model, told_whole(rows[counted(rows)]), engine)


def _responsibilities(fitted: np.dtype[Any], model: Mixture, rows: Rows, engine: Engine) -> AnyArray:
    return evaluate.responsibilities(model, rows, engine, np.result_type(fitted, answer_dtype(rows.x)))


def _log_density(fitted: np.dtype[Any], model: Mixture, rows: Rows, engine: Engine) -> AnyArray:
    """In the dtype in which a model that was ``fitted`` in its own answers at these rows."""
    return evaluate.log_density(model, rows, engine, np.result_type(fitted, answer_dtype(rows.x)))
