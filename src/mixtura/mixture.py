"""The value that a fit returns: a Gaussian mixture, immutable, a distribution in its own right.

p(x) = sum_k w_k N(x | m_k, S_k)        w (K,),  m (K, d),  S (K, d, d)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import NotFittedError

from mixtura import evaluate, validation
from mixtura.background import LABEL, Background
from mixtura.covariance import Covariances, Dense, Diagonal, read_only
from mixtura.engine import make_engine, one_blas_thread
from mixtura.observe import Observation, exact
from mixtura.rows import Array, Rows
from mixtura.scores import Scores, scores_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Mixture:
    """A Gaussian mixture distribution: weights, means and covariances that cannot be changed.

    Parameters
    ----------
    weights : array-like of shape (K,)
        Mixing proportions, not negative, with sum one.
    means : array-like of shape (K, d)
        Component means, in the units of the data.
    covariances : array-like of shape (K, d, d), (K, d) or (K,)
        Covariance matrices; variances per feature; or one variance per component.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite, weights do not sum to one or a covariance is not positive
        definite.

    References
    ----------
    G. McLachlan and D. Peel, *Finite Mixture Models*, Wiley, 2000.

    Examples
    --------
    >>> from mixtura import Mixture
    >>> m = Mixture([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0])
    >>> m.predict([[0.1], [3.0]])
    array([0, 1])
    >>> round(float(m.logpdf([[2.0]])[0]), 6)
    -2.918939
    """

    weights: Array
    means: Array

    def __init__(self, weights: ArrayLike, means: ArrayLike, covariances: ArrayLike) -> None:
        self._set(*validation.mixture_parameters(weights, means, covariances))

    def _set(self, weights: Array, means: Array, layout: Covariances, background: Background | None = None) -> None:
        put = object.__setattr__
        put(self, "weights", read_only(weights))
        put(self, "means", read_only(means))
        put(self, "layout", layout)
        put(self, "background", background)

    layout: Covariances
    """The covariances as they are stored: ``Dense`` or ``Diagonal``."""

    background: Background | None
    """What EM has beside the components; ``weights`` then sum to what it leaves.  No mixture that a user sees has one:
    see ``components``."""

    @classmethod
    def of(cls, weights: Array, means: Array, layout: Covariances, background: Background | None = None) -> Mixture:
        """A mixture of parameters that are known to be valid."""
        mixture = cls.__new__(cls)
        mixture._set(weights, means, layout, background)
        return mixture

    @property
    def components(self) -> Mixture:
        """The distribution of what is not background; this mixture itself, if all is components."""
        if self.background is None:
            return self
        total = self.weights.sum()
        shares = self.weights / total if total > 0 else np.full_like(self.weights, 1 / len(self.weights))
        return Mixture.of(shares, self.means, self.layout)

    def beside(self, background: Background | None) -> Mixture:
        """These components, whose weights sum to one, beside a background."""
        if background is None:
            return self
        return Mixture.of(self.weights * (1 - background.weight), self.means, self.layout, background)

    def stored_as(self, layout: Covariances) -> Mixture:
        """The same mixture with its covariances in another layout."""
        return Mixture.of(self.weights, self.means, layout, self.background)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Mixture cannot be changed: make a new one instead of setting {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Mixture cannot be changed: make a new one instead of deleting {name!r}")

    def __reduce__(self) -> tuple[Callable[..., Mixture], tuple[Array, Array, Covariances, Background | None]]:
        return Mixture.of, (self.weights, self.means, self.layout, self.background)

    def __repr__(self) -> str:
        return f"Mixture(n_components={self.n_components}, n_features={self.n_features})"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from mixtura import html

        return html.of_mixture(self)

    @property
    def covariances(self) -> Array:
        """Covariance matrices (K, d, d), whatever the layout."""
        return read_only(self.layout.dense)

    @property
    def n_components(self) -> int:
        """Number of components K."""
        return len(self.weights)

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return int(self.means.shape[1])

    @cached_property
    def scores(self) -> Scores:
        """What an E-step sees of this mixture."""
        behind = None if self.background is None else self.background.log_joint
        return scores_of(self.weights, self.means, self.layout, behind)

    # moments -------------------------------------------------------------------------------------------------

    @property
    def mean(self) -> Array:
        """Mean of the distribution, (d,)."""
        return np.asarray(self.weights @ self.means)

    @property
    def cov(self) -> Array:
        """Covariance of the distribution, (d, d): within the components plus between their means."""
        away = self.means - self.mean
        within = np.tensordot(self.weights, self.layout.dense, axes=1)
        return np.asarray(within + (away * self.weights[:, None]).T @ away)

    # density -------------------------------------------------------------------------------------------------

    @cached_property
    def observation(self) -> Observation:
        """This mixture made ready to be evaluated, about its own mean."""
        with one_blas_thread():
            return exact(self.scores, self.mean)

    def _rows(self, X: ArrayLike) -> Rows:
        x = validation.points(X, self.n_features)
        return Rows(x, missing=validation.missing(x))

    def logpdf(self, X: ArrayLike) -> Array:
        """Log density of each row, or of what is known of it.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, NaN being a missing value; with one feature also of shape (n,).

        Returns
        -------
        ndarray of shape (n,)
            Natural logarithms; -inf where a row is so far out that its squared distance is not a float64.

        Raises
        ------
        ValueError
            If X has another number of features, or an entry that is infinite.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> Mixture([1.0], [[0.0, 0.0]], [1.0]).logpdf([[0.0, 0.0]]).round(6)
        array([-1.837877])
        """
        return evaluate.log_density(self, self._rows(X), make_engine())

    def pdf(self, X: ArrayLike) -> Array:
        """Density of each row, or of what is known of it: ``exp`` of :meth:`logpdf`.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, NaN being a missing value; with one feature also of shape (n,).

        Returns
        -------
        ndarray of shape (n,)
            Per unit of volume.

        Raises
        ------
        ValueError
            If X has another number of features, or an entry that is infinite.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> Mixture([1.0], [[0.0, 0.0]], [1.0]).pdf([[0.0, 0.0]]).round(6)
        array([0.159155])
        """
        return np.asarray(np.exp(self.logpdf(X)))

    def responsibilities(self, X: ArrayLike) -> Array:
        """Posterior probability of each component for each row.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, NaN being a missing value; with one feature also of shape (n,).

        Returns
        -------
        ndarray of shape (n, K)
            Rows are finite and sum to one for every row of X.

        Raises
        ------
        ValueError
            If X has another number of features, or an entry that is infinite.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> Mixture([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0]).responsibilities([[2.0]])
        array([[0.5, 0.5]])
        """
        return evaluate.responsibilities(self, self._rows(X), make_engine())

    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """The most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, NaN being a missing value; with one feature also of shape (n,).

        Returns
        -------
        ndarray of shape (n,)
            Numbers of components, from 0.

        Raises
        ------
        ValueError
            If X has another number of features, or an entry that is infinite.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> Mixture([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0]).predict([[0.5], [3.0]])
        array([0, 1])
        """
        return evaluate.labels(self, self._rows(X), make_engine())

    def sample(self, n: int, rng: np.random.Generator | int | None = None) -> tuple[Array, NDArray[np.intp]]:
        """Independent draws from the mixture, in random order.

        Parameters
        ----------
        n : int
            Number of rows; 0 gives empty arrays.
        rng : numpy.random.Generator, int or None
            Source of randomness.

        Returns
        -------
        X : ndarray of shape (n, d)
        labels : ndarray of shape (n,)
            The component each row came from.

        Raises
        ------
        ValueError
            If n is negative or not an integer.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> X, labels = Mixture([0.5, 0.5], [[0.0], [9.0]], [1.0, 1.0]).sample(4, rng=0)
        >>> X.shape, labels.shape
        ((4, 1), (4,))
        """
        n = validation.count(n, "n", least=0)
        generator = np.random.default_rng(rng)
        weights = self.weights if self.background is None else np.append(self.weights, self.background.weight)
        # Weights sum to one up to rounding; choice wants it to the last digit it looks at.
        labels = generator.choice(len(weights), size=n, p=weights / weights.sum())
        X = generator.standard_normal((n, self.n_features))
        for k in range(self.n_components):
            own = labels == k
            if isinstance(self.layout, Diagonal):
                X[own] *= np.sqrt(self.layout.variances[k])
            else:
                X[own] = np.linalg.solve(self.layout.whitener[k], X[own].T).T
        if self.background is None:
            X += self.means[labels]
            return X, labels
        own = labels == self.n_components
        X[~own] += self.means[labels[~own]]
        X[own] = self.background.sample(int(own.sum()), generator)
        labels[own] = LABEL
        return X, labels

    # other mixtures ------------------------------------------------------------------------------------------

    def marginal(self, features: Sequence[int]) -> Mixture:
        """The distribution of some of the features, in the order given.

        Parameters
        ----------
        features : sequence of int
            Distinct indices of features.

        Returns
        -------
        Mixture

        Raises
        ------
        ValueError
            If an index is out of range or given twice.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> Mixture([1.0], [[1.0, 2.0]], [[1.0, 4.0]]).marginal([1]).covariances
        array([[[4.]]])
        """
        chosen = validation.indices(features, self.n_features, "features")
        return Mixture.of(self.weights, np.ascontiguousarray(self.means[:, chosen]), self.layout.take(chosen))

    def only(self, components: Sequence[int]) -> Mixture:
        """The mixture of some of its components, their weights brought to sum one.

        Parameters
        ----------
        components : sequence of int
            Distinct indices of components whose weights are not all zero.

        Returns
        -------
        Mixture

        Raises
        ------
        ValueError
            If an index is out of range or given twice, or no weight is left.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> Mixture([0.25, 0.25, 0.5], [[0.0], [1.0], [2.0]], [1.0, 1.0, 1.0]).only([0, 1]).weights
        array([0.5, 0.5])
        """
        chosen = validation.indices(components, self.n_components, "components")
        left = self.weights[chosen].sum()
        if not left > 0:
            raise ValueError("components must have weight, got only ones of weight zero: choose others")
        kept = Mixture.of(self.weights[chosen] / left, self.means[chosen], self.layout.only(chosen))
        return kept.beside(self.background)

    # files ---------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """The parameters as plain lists, with everything :meth:`from_dict` needs.

        Returns
        -------
        dict
            weights, means and covariances (or variances), layout and shared, which say how these are stored, and
            whiteners where the covariances do not say them to the last digit.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> Mixture([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0]).to_dict()["means"]
        [[0.0], [4.0]]
        """
        accurate = self.layout.accurate if isinstance(self.layout, Dense) else None
        entries = self.layout.variances if isinstance(self.layout, Diagonal) else self.layout.matrices
        document = {
            "layout": "diagonal" if isinstance(self.layout, Diagonal) else "dense",
            "shared": self.layout.shared,
            "weights": self.weights.tolist(),
            "means": self.means.tolist(),
            "covariances": (entries[:1] if self.layout.shared else entries).tolist(),
        }
        return document if accurate is None else {**document, "whiteners": accurate.tolist()}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Mixture:
        """The mixture written by :meth:`to_dict`.

        Parameters
        ----------
        document : dict
            What :meth:`to_dict` gave, or what came of it through JSON.

        Returns
        -------
        Mixture

        Raises
        ------
        ValueError
            If an entry is missing, or the parameters are not those of a mixture.

        Examples
        --------
        >>> from mixtura import Mixture
        >>> Mixture.from_dict(Mixture([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0]).to_dict())
        Mixture(n_components=2, n_features=1)
        """
        missing = [key for key in ("weights", "means", "covariances", "shared") if key not in document]
        if missing:
            raise ValueError(f"document must have the entries of to_dict(), got none called {', '.join(missing)}")
        weights, means, layout = validation.mixture_parameters(
            document["weights"], document["means"], document["covariances"], shared=document["shared"]
        )
        if document.get("whiteners") is not None:
            layout = validation.with_whiteners(layout, document["whiteners"])
        return cls.of(weights, means, layout)

    def save(self, path: str | Path) -> Path:
        """Write the mixture to a JSON file, whole or not at all.

        Parameters
        ----------
        path : str or path-like
            File to make or replace.

        Returns
        -------
        Path
            ``path``.

        Raises
        ------
        ValueError
            If the file cannot be written; what was there before is still there then.

        Examples
        --------
        >>> import tempfile
        >>> from mixtura import Mixture
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Mixture.load(Mixture([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0]).save(f"{folder}/mixture.json"))
        Mixture(n_components=2, n_features=1)
        """
        from mixtura import io

        return io.write_model(path, {**self.to_dict(), "covariance_type": None, "feature_names": None, "fit": None})

    @classmethod
    def load(cls, path: str | Path) -> Mixture:
        """Read a mixture from a JSON file written by :meth:`save`, or by that of an estimator.

        Parameters
        ----------
        path : str or path-like
            A model file.

        Returns
        -------
        Mixture

        Raises
        ------
        ValueError
            If the file is missing, is not a model or holds parameters that are not those of a mixture.

        Examples
        --------
        >>> import tempfile
        >>> from mixtura import Mixture
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Mixture.load(Mixture([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0]).save(f"{folder}/mixture.json")).weights
        array([0.5, 0.5])
        """
        from mixtura import io

        document = io.read_model(path)
        with io.naming(path):
            return cls.from_dict(document)

    # pictures ------------------------------------------------------------------------------------------------

    def plot(self, X: ArrayLike | None = None, *, ax: Axes | None = None) -> Axes:
        """Scatter with covariance ellipses, or the density when there is one feature; needs ``mixtura[plot]``.

        Parameters
        ----------
        X : array-like of shape (n, d) or None
            Rows to draw; None draws the mixture alone.
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
        >>> from mixtura import Mixture
        >>> m = Mixture([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0])
        >>> m.plot([[0.0], [4.5]]).get_xlabel()
        'x'
        """
        from mixtura import plot

        return (plot.density if self.n_features == 1 else plot.scatter)(self, X, ax=ax)


def model_of_document(document: dict[str, Any]) -> Mixture:
    """The mixture of a model document, beside its background if it has one."""
    return Mixture.from_dict(document).beside(Background.from_dict(document.get("background")))


def model_of(model: object) -> Mixture:
    """The mixture that a fitted estimator holds, beside its background if it has one, or the one that is given."""
    return mixture_of(model).beside(getattr(model, "background_", None))


def mixture_of(model: object) -> Mixture:
    """The mixture that a fitted estimator holds, or the one that is given."""
    mixture = model if isinstance(model, Mixture) else getattr(model, "mixture_", None)
    if isinstance(mixture, Mixture):
        return mixture
    if hasattr(model, "fit"):
        raise NotFittedError(
            f"expected a fitted estimator, got a {type(model).__name__} that is not fitted: call fit(X) first"
        )
    raise ValueError(
        f"expected a fitted estimator or a Mixture, got {type(model).__name__}: "
        "pass the model first and the rows second"
    )
