"""Missing values filled in by a mixture, as a step of a scikit-learn pipeline."""

from __future__ import annotations

from typing import Any, Self

from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from mixtura import frames, impute, validation
from mixtura.estimators import GaussianMixture
from mixtura.fitted import received


class MixtureImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # as in estimators.py
    """Missing values filled in by a Gaussian mixture that is fitted to all there is, incomplete rows included.

    Parameters
    ----------
    n_components : int
        Number of components K.
    covariance_type : str
        "full", "tied", "diag", "spherical" or a code of three letters, as in :class:`GaussianMixture`; "diag" and
        "spherical" know no correlation within a component.
    strategy : {"mean", "draw"}
        "mean": the conditional expectation of what is missing, the best guess of each value by itself; "draw": a draw
        from its conditional distribution.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        Source of randomness of the fit and, after it, of the draws.  Each call of ``transform`` draws anew, as that of
        scikit-learn's ``IterativeImputer(sample_posterior=True)`` does; with an integer the first call after a fit
        always draws the same, the second the same, and so on.

    Attributes
    ----------
    estimator_ : GaussianMixture
        What was fitted, with all it has to say of the fit (``remarks_``, ``diagnostics_``, ...).
    mixture_ : Mixture
        Its distribution.
    n_features_in_, feature_names_in_ : int, ndarray
        As in scikit-learn.

    Raises
    ------
    ValueError
        From ``fit``, for parameters or data that cannot be used, a column without any value among them; from
        ``transform``, for other features or infinite entries.

    Notes
    -----
    A row in which nothing is known gets the mean of the mixture, or a draw from it.

    Values that were filled in are not data: a variance or a standard error of rows filled in once is too small.
    Multiple imputation fills them in m times by draws, and puts the m estimates together by Rubin's rules: their mean,
    with the variance within + (1 + 1/m) between.  In the example each mixture is fitted to rows of a bootstrap, so that
    what is not known of the mixture itself counts, too; an integer for ``random_state`` would give all m of them the
    same random numbers.

    References
    ----------
    M. Di Zio, U. Guarnera and O. Luzi, "Imputation through finite Gaussian mixture models", Computational Statistics &
    Data Analysis 51, 2007.
    D. B. Rubin, *Multiple Imputation for Nonresponse in Surveys*, Wiley, 1987.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import MixtureImputer
    >>> MixtureImputer().fit_transform([[0.0, 1.0], [1.0, 3.0], [2.0, 5.5], [3.0, np.nan]]).round(2)
    array([[0.  , 1.  ],
           [1.  , 3.  ],
           [2.  , 5.5 ],
           [3.  , 7.67]])

    The mean of a feature that is missing where another one is large, and its standard error, by twenty imputations:

    >>> n, rng = 300, np.random.default_rng(0)
    >>> X = rng.multivariate_normal([0.0, 0.0], [[1.0, 0.8], [0.8, 1.0]], size=n)
    >>> X[X[:, 0] > 0.3, 1] = np.nan
    >>> imputer, again = MixtureImputer(strategy="draw", random_state=rng), rng.multinomial(n, np.ones(n) / n, size=20)
    >>> y = np.array([imputer.fit(X, sample_weight=weight).transform(X)[:, 1] for weight in again])
    >>> means, squares = y.mean(axis=1), y.var(axis=1, ddof=1) / n
    >>> estimate, error = means.mean(), np.sqrt(squares.mean() + (1 + 1 / 20) * means.var(ddof=1))
    >>> bool(np.nanmean(X[:, 1]) < -0.3), bool(abs(estimate) < 2 * error)
    (True, True)
    """

    def __init__(
        self,
        n_components: int = 1,
        covariance_type: str = "full",
        strategy: str = "mean",
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.strategy = strategy
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.non_deterministic = self.strategy == "draw"
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the mixture to the rows of X.

        Parameters
        ----------
        X : array-like or frame of shape (n, d)
            Rows, NaN or null being a missing value; missing at random (Rubin 1976), whatever the others say.
        y : ignored
            Present for scikit-learn.
        sample_weight : array-like of shape (n,) or None
            Weights of the rows; an integer weight is the same as so many equal rows.

        Returns
        -------
        MixtureImputer
            The imputer itself.

        Raises
        ------
        ValueError
            For parameters or data that cannot be used.

        Examples
        --------
        >>> from mixtura import MixtureImputer
        >>> MixtureImputer().fit([[0.0], [2.0], [float("nan")]]).mixture_.means
        array([[1.]])
        """
        validation.one_of(self.strategy, "strategy", [*impute.STRATEGIES])
        frames.checked(X)
        validation.two_dimensional(X)
        estimator = GaussianMixture(
            self.n_components, covariance_type=self.covariance_type, random_state=self.random_state
        ).fit(X, sample_weight=sample_weight)
        validate_data(self, X, skip_check_array=True)  # keeps names and number of features
        self.estimator_, self.mixture_ = estimator, estimator.mixture_
        return self

    def transform(self, X: ArrayLike) -> Any:
        """X with its missing values filled in.

        Parameters
        ----------
        X : array-like or frame of shape (n, d)
            Rows, NaN or null being a missing value; these need not be the rows of the fit.

        Returns
        -------
        ndarray of shape (n, d), or frame
            As from :meth:`GaussianMixture.impute`, a frame for a frame, unless ``set_output`` asks for something else.

        Raises
        ------
        ValueError
            If X has other features or an entry that is infinite.

        Examples
        --------
        >>> from mixtura import MixtureImputer
        >>> MixtureImputer().fit([[0.0], [2.0]]).transform([[3.0], [float("nan")]])
        array([[3.],
               [1.]])
        """
        check_is_fitted(self)
        frames.checked(X)
        validation.two_dimensional(X)
        validation.one_of(self.strategy, "strategy", [*impute.STRATEGIES])
        # Names are compared in the name of the imputer, and once.
        filled = self.estimator_._filled(X, received(self, X, reset=False), self.strategy, self.estimator_._sampler)
        asked = getattr(self, "_sklearn_output_config", {})  # what set_output leaves, and clone copies
        wanted = asked.get("transform", get_config()["transform_output"])
        if wanted != "default" and frames.is_frame(filled) and frames.library(filled) != wanted:
            return frames.as_array(filled)  # of which scikit-learn makes what is wanted
        return filled
