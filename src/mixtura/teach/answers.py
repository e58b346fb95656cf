"""What the page asks of the library, and the answers: pure functions from dict to dict, of JSON values.

Nothing is kept between two questions: the page sends its points and the model that it has reached, and gets back the
shares of the points, or the next model.  For a model (w, m, S) and points x_n, n = 1 .. N, in the plane:

    E   r_nk = w_k N(x_n | m_k, S_k) / p(x_n),    p(x) = sum_j w_j N(x | m_j, S_j)      ``share``
    M   N_k = sum_n r_nk,  w_k = N_k / N,  m_k = sum_n r_nk x_n / N_k,  S_k by the family         ``update``

Both are ``em.e_step`` and the M-step of the very problem that ``GaussianMixture.fit`` would make of the points, and
``run`` is its plain EM.  A model comes back as ``Mixture.to_dict`` has sent it: to the last bit.

What is wrong with a question is a ``Refusal``: a code and numbers, which the page has words for in its language.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from mixtura import GaussianMixture, Mixture, em, evaluate, runs
from mixtura.covariance import Dense, read_only, suited
from mixtura.engine import Serial, one_blas_thread
from mixtura.families import ALIASES, FAMILIES, Family, family_of
from mixtura.plot.style import OKABE_ITO
from mixtura.rows import Array, InMemory, Rows
from mixtura.start import distinct_points
from mixtura.task import ON_DEGENERATE, Task, settings_of, task_of
from mixtura.teach.sets import BOARD, SETS

MOST_POINTS, MOST_COMPONENTS, MOST_PASSES = 2_000, 12, 300
FURTHEST = 1_000_000
"""Largest coordinate of a point."""
LONGEST_HISTORY, LARGEST = 10_000, 1e300
"""Log-likelihoods that the page may remind of, and how large they may be."""
TOL = 1e-3
"""Total nats over the last five passes under which a run ends: the default of GaussianMixture."""
NARROWER = 9
"""Standard deviations in a table of ever narrower components, each a tenth of the one before."""
KMEANS_RUNS = 10

LANGUAGES = ("en", "ja")
STARTS = ("k-means++", "random_from_data", "random", "crowded", "one-place")
"""How to begin: three of the library's starts and two bad ones."""


class Refusal(ValueError):
    """A question that has no answer: ``code`` and ``numbers`` say why, in whatever language."""

    def __init__(self, code: str, **numbers: int | float | str) -> None:
        super().__init__(words("en")[f"error.{code}"].format(**numbers))
        self.code, self.numbers = code, numbers


@cache
def words(language: str) -> dict[str, str]:
    """Every word of the page in a language of LANGUAGES."""
    text = (files("mixtura.teach") / f"words.{language}.json").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(text)
    return found


def answer(request: Any) -> dict[str, Any]:
    """The answer to one question of the page.

    Parameters
    ----------
    request : dict
        ``ask``, a name of ASKS, and what that one needs, as JSON has it.

    Returns
    -------
    dict
        Numbers, lists and names; None for a number that is not finite.

    Raises
    ------
    Refusal
        If the question makes no sense, with a code and one sentence.

    Examples
    --------
    >>> found = answer({"ask": "points", "set": "twins"})
    >>> found["points"][-2:]
    [[0.5, 7.5], [0.5, 7.5]]
    """
    if not isinstance(request, dict):
        raise Refusal("request")
    ask = request.get("ask")
    if not isinstance(ask, str) or ask not in ASKS:
        raise Refusal("ask", known=", ".join(ASKS))
    with one_blas_thread():
        found = _plain(ASKS[ask](request))
    assert isinstance(found, dict)
    return found


# The door --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Posed:
    """Points (n, 2) and a family for K components, and the ``task`` that a fit would make of them."""

    points: Array
    n_components: int
    code: str
    task: Task

    @property
    def problem(self) -> em.Problem:
        return self.task.problem


def _posed(request: Mapping[str, Any]) -> Posed:
    points, k, code = _points(request), _count(request, "k", 1, MOST_COMPONENTS, "components"), _code(request)
    try:
        settings = settings_of(GaussianMixture(k, covariance_type=code, accelerate=None).get_params(deep=False))
        task = task_of(settings, Rows(points), None, Serial())
    except ValueError as error:  # squares of such numbers are none
        raise Refusal("scale") from error
    return Posed(points, k, code, task)


def _points(request: Mapping[str, Any]) -> Array:
    rows = request.get("points")
    if not (isinstance(rows, list) and 1 <= len(rows) <= MOST_POINTS and all(_are_numbers(one, 2) for one in rows)):
        raise Refusal("points", most=MOST_POINTS, furthest=FURTHEST)
    return np.array(rows, dtype=np.float64)


def _are_numbers(value: Any, n: int) -> bool:
    """Whether it is a list of so many numbers that are not too large."""
    # Before NumPy sees it, which would make an array of however much text.
    return isinstance(value, list) and len(value) == n and all(_is_number(one) for one in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= FURTHEST


def _count(request: Mapping[str, Any], name: str, least: int, most: int, code: str) -> int:
    value = request.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refusal(code, least=least, most=most)
    return value


def _code(request: Mapping[str, Any]) -> str:
    """The code of volume, shape and orientation behind a covariance type."""
    name = request.get("family", "full")
    if not isinstance(name, str) or name not in [*ALIASES, *FAMILIES]:
        raise Refusal("family", known=", ".join([*ALIASES, *FAMILIES]))
    return family_of(name).code


def _one_of(request: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    value = request.get(name)
    if not isinstance(value, str) or value not in known:
        raise Refusal(name, known=", ".join(known))
    return value


def _seed(request: Mapping[str, Any]) -> int:
    return _count({"seed": 0, **request}, "seed", 0, 2**31 - 1, "seed")


def _model(request: Mapping[str, Any], n_components: int | None = None, *, family: Family | None = None) -> Mixture:
    """The model that the page sends back, in the layout of the family."""
    document = request.get("model")
    try:
        model = Mixture.from_dict(document) if isinstance(document, dict) else None
    except (TypeError, ValueError, KeyError, OverflowError, np.linalg.LinAlgError) as error:
        raise Refusal("model", most=MOST_COMPONENTS) from error
    if (
        model is None
        or model.n_features != 2
        or n_components not in (None, model.n_components)
        or model.n_components > MOST_COMPONENTS
    ):
        raise Refusal("model", most=MOST_COMPONENTS)
    return model if family is None else model.stored_as(suited(model.layout, diagonal=family.diagonal))


def _posed_with_model(request: Mapping[str, Any]) -> tuple[Posed, Mixture]:
    posed = _posed(request)
    return posed, _model(request, posed.n_components, family=FAMILIES[posed.code])


def _place(request: Mapping[str, Any], name: str) -> Array:
    place = request.get(name)
    if not _are_numbers(place, 2):
        raise Refusal("place", furthest=FURTHEST)
    return np.array(place, dtype=np.float64)


def _history(request: Mapping[str, Any]) -> list[float]:
    """Log-likelihoods of the passes before."""
    values = request.get("history", [])
    numbers = isinstance(values, list) and all(isinstance(one, int | float) for one in values)
    # In Python an integer may be larger than any float, and 1e999 is infinite.
    if not numbers or len(values) > LONGEST_HISTORY or any(abs(one) > LARGEST for one in values):
        raise Refusal("history", most=LONGEST_HISTORY)
    return [float(one) for one in values]


def _plain(value: Any) -> Any:
    """The same in values that JSON has."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


# Answers ---------------------------------------------------------------------------------------------------------


def setup() -> dict[str, Any]:
    """What the page offers, from the library's own tables."""
    counts = range(1, MOST_COMPONENTS + 1)
    return {
        "families": [
            {"name": name, "code": family.code, "parameters": [family.n_parameters(k, 2) for k in counts]}
            for name, family in [*((name, FAMILIES[code]) for name, code in ALIASES.items()), *FAMILIES.items()]
        ],
        "sets": list(SETS),
        "starts": list(STARTS),
        "rules": list(ON_DEGENERATE),
        "colors": list(OKABE_ITO),
        "board": [list(ends) for ends in BOARD],
        "most_points": MOST_POINTS,
        "most_components": MOST_COMPONENTS,
        "tol": TOL,
        "window": em.WINDOW,
        "languages": list(LANGUAGES),
    }


def points(request: Mapping[str, Any]) -> dict[str, Any]:
    """A ready-made ``set`` of points."""
    found = SETS[_one_of(request, "set", tuple(SETS))]()
    return {"points": found.points, "source": found.source, "plane": found.plane}


def begin(request: Mapping[str, Any]) -> dict[str, Any]:
    """A first model, made as ``start`` says."""
    posed, how, seed = _posed(request), _one_of(request, "start", STARTS), _seed(request)
    gm = GaussianMixture(
        posed.n_components,
        covariance_type=posed.code,
        accelerate=None,
        max_iter=0,
        random_state=seed,
        **_start(posed, how),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the page says what a warning would
        model, _ = next(gm.fit_iter(posed.points))
    return _seen(posed, model)


def _start(posed: Posed, how: str) -> dict[str, Any]:
    """Parameters of GaussianMixture for a start."""
    k, middle = posed.n_components, posed.points.mean(axis=0)
    if how == "one-place":
        return {"means_init": np.repeat(middle[None], k, axis=0)}
    if how == "crowded":  # all means at the points nearest to the one that is furthest out
        out = posed.points[((posed.points - middle) ** 2).sum(axis=1).argmax()]
        near = ((posed.points - out) ** 2).sum(axis=1).argsort(kind="stable")[:k]
        return {"means_init": posed.points[np.resize(near, k)]}
    return {"init": how, "n_init": 1}


def see(request: Mapping[str, Any]) -> dict[str, Any]:
    """The model among the points as they are now."""
    return _seen(*_posed_with_model(request))


def move(request: Mapping[str, Any]) -> dict[str, Any]:
    """The model with the mean of a ``component`` moved ``to`` another place."""
    posed, model = _posed_with_model(request)
    k = _count(request, "component", 0, posed.n_components - 1, "component")
    means = model.means.copy()
    means[k] = _place(request, "to")
    return _seen(posed, Mixture.of(model.weights, means, model.layout))


def share(request: Mapping[str, Any]) -> dict[str, Any]:
    """The E-step: responsibilities (n, K), and the sums and the model that the M-step will make of them."""
    posed, model = _posed_with_model(request)
    reached = em.e_step(posed.problem, model)
    sums = reached.statistics
    after = posed.problem.update(sums, model)
    return {
        "responsibilities": evaluate.responsibilities(model, Rows(posed.points), Serial()),
        "loglik": reached.loglik,
        "mass": sums.mass,
        "first": sums.mass[:, None] * sums.center + sums.first,
        "after": {"weights": after.weights, "means": after.means, "covariances": after.covariances},
    }


def update(request: Mapping[str, Any]) -> dict[str, Any]:
    """The M-step: the next model, what it gains, and whether the rule would stop here."""
    posed, model = _posed_with_model(request)
    history = _history(request)
    before = em.e_step(posed.problem, model)
    after = posed.problem.update(before.statistics, model)
    reached = em.e_step(posed.problem, after)
    objectives = [*(history or [before.objective]), reached.objective]
    size = em.size_of(posed.problem, reached.objective)
    return {
        **_seen(posed, after),
        "before": before.loglik,
        "lately": objectives[-1] - objectives[-1 - em.WINDOW] if len(objectives) > em.WINDOW else None,
        "converged": em.converged(objectives, size, TOL, reached),
    }


def run(request: Mapping[str, Any]) -> dict[str, Any]:
    """Plain EM from the model on, pass by pass, until its rule stops it or MOST_PASSES are made."""
    posed, model = _posed_with_model(request)
    found = list(em.passes(posed.problem, model, tol=TOL, max_iter=MOST_PASSES))
    return {
        "passes": [{"model": one.model.to_dict(), "loglik": one.loglik, "view": _view(one.model)} for one in found],
        "reason": str(found[-1].reason),
        "lately": found[-1].objective - found[-1 - em.WINDOW].objective if len(found) > em.WINDOW else None,
        "states": _states(posed, found[-1].model),
    }


def look(request: Mapping[str, Any]) -> dict[str, Any]:
    """Bayes' rule at a place, with all of its numbers; densities as logarithms, which do not underflow."""
    model, place = _model(request), _place(request, "at")[None]
    log_density = np.array([_alone(model, k).logpdf(place)[0] for k in range(model.n_components)])
    with np.errstate(divide="ignore"):  # a component without weight
        log_weight = np.log(model.weights)
    return {
        "weights": model.weights,
        "log_density": log_density,
        "log_product": log_weight + log_density,
        "log_sum": model.logpdf(place)[0],
        "responsibilities": model.responsibilities(place)[0],
        "mahalanobis": [_mahalanobis(model, k, place[0]) for k in range(model.n_components)],
    }


def _alone(model: Mixture, k: int) -> Mixture:
    """The Gaussian of a component, which may be without weight."""
    return Mixture.of(np.ones(1), model.means[k : k + 1], model.layout.only([k]))


def _mahalanobis(model: Mixture, k: int, place: Array) -> float:
    away, whitener = place - model.means[k], model.layout.whitener[k]
    return float(np.linalg.norm(whitener @ away if whitener.ndim == 2 else whitener * away))


def narrow(request: Mapping[str, Any]) -> dict[str, Any]:
    """What the log-likelihood would be with a ``component`` on the point that is nearest to it, ever narrower."""
    posed, model = _posed_with_model(request)
    k = _count(request, "component", 0, posed.n_components - 1, "component")
    nearest = posed.points[((posed.points - model.means[k]) ** 2).sum(axis=1).argmin()]
    means, covariances = model.means.copy(), model.covariances.copy()
    means[k] = nearest
    # From the scale of all points on: that of a component on the floor is narrow already.
    first = float(np.sqrt(np.trace(posed.problem.update.overall.covariances[0]) / 2)) or 1.0
    rows = []
    for step in range(NARROWER):
        deviation = first * 10.0**-step
        covariances[k] = deviation**2 * np.eye(2)
        narrowed = Mixture.of(model.weights, means, Dense(read_only(covariances.copy())))
        rows.append({"deviation": deviation, "loglik": float(narrowed.logpdf(posed.points).sum())})
    return {"at": nearest, "points": int((posed.points == nearest).all(axis=1).sum()), "rows": rows}


def fit(request: Mapping[str, Any]) -> dict[str, Any]:
    """What one call of fit comes to under a ``rule`` for degenerate components."""
    posed, rule, seed = _posed(request), _one_of(request, "rule", ON_DEGENERATE), _seed(request)
    gm = GaussianMixture(
        posed.n_components, covariance_type=posed.code, on_degenerate="rescue", random_state=seed, tol=TOL
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the page says what a warning would
        gm.fit(posed.points)
        degenerate = "degenerate" in gm.remarks_
        refused = False
        if rule != "rescue" and degenerate:
            try:
                gm = gm.set_params(on_degenerate=rule).fit(posed.points)
            except ValueError:  # that is what was asked for; of which components, the rescued fit says
                refused = True
    k = gm.mixture_.n_components
    found = _posed({**request, "k": k})
    return {
        **_seen(found, gm.mixture_),
        "k": k,
        "degenerate": degenerate,
        "refused": refused,
        "dropped": [one["component"] for one in gm.dropped_],
        "starts": len(gm.restarts_),
        "reason": str(gm.stop_reason_),
    }


def kmeans(request: Mapping[str, Any]) -> dict[str, Any]:
    """scikit-learn's k-means of the points, numbered as the components of the model, if there is one.

    With ``source``, the group that each point was drawn from, also how many points each of the two puts elsewhere.
    """
    posed, seed = _posed(request), _seed(request)
    k = posed.n_components
    distinct = distinct_points(InMemory(Rows(posed.points)), k)
    if distinct < k:
        raise Refusal("distinct", k=k, distinct=distinct)
    with threadpool_limits(limits=1):  # so few points are not worth the threads that it would wake
        found = KMeans(k, n_init=KMEANS_RUNS, random_state=seed).fit(posed.points)
    labels, centers = found.labels_.astype(np.intp), found.cluster_centers_
    source, wrong = _source(request, len(posed.points)), None
    own = None
    if request.get("model") is not None:
        model = _model(request, k)
        own = model.predict(posed.points)
        new = _matched(labels, own, k)
        labels, centers = new[labels], centers[np.argsort(new)]
    if source is not None:
        wrong = {"kmeans": _elsewhere(labels, source), "mixture": None if own is None else _elsewhere(own, source)}
    return {"labels": labels, "centers": centers, "inertia": float(found.inertia_), "wrong": wrong}


def _source(request: Mapping[str, Any], n: int) -> NDArray[np.intp] | None:
    source = request.get("source")
    if source is None:
        return None
    if not _are_numbers(source, n) or not set(source) <= set(range(MOST_COMPONENTS)):
        raise Refusal("source", n=n, most=MOST_COMPONENTS)
    return np.array(source, dtype=np.intp)


def _matched(labels: NDArray[np.intp], others: NDArray[np.intp], k: int) -> NDArray[np.intp]:
    """For each label (k,) the one of the ``others`` that shares most points with it, all different."""
    shared = np.zeros((k, k))
    np.add.at(shared, (labels, others), 1)
    return np.asarray(linear_sum_assignment(shared, maximize=True)[1])


def _elsewhere(labels: NDArray[np.intp], source: NDArray[np.intp]) -> int:
    """How many points are not with the group that they were drawn from, under the best matching of the two."""
    k = int(max(labels.max(), source.max())) + 1
    return int((_matched(labels, source, k)[labels] != source).sum())


# What is drawn of a model ----------------------------------------------------------------------------------------


def _seen(posed: Posed, model: Mixture) -> dict[str, Any]:
    """A model, what is drawn of it, the state of its components, and the log-likelihood of the points."""
    return {
        "model": model.to_dict(),
        "view": _view(model),
        "states": _states(posed, model),
        "loglik": em.e_step(posed.problem, model).loglik,
    }


def _view(model: Mixture) -> list[dict[str, Any]]:
    """Of each component the weight, mean and covariance, and L of S = L L': m + r L u, |u| = 1, is the ellipse of r
    standard deviations."""
    layout = model.layout if isinstance(model.layout, Dense) else Dense(model.layout.dense)
    return [
        {"weight": weight, "mean": mean, "covariance": covariance, "root": root}
        for weight, mean, covariance, root in zip(
            model.weights, model.means, layout.matrices, layout.factor, strict=True
        )
    ]


def _states(posed: Posed, model: Mixture) -> list[dict[str, Any]]:
    """What ``diagnostics_`` would say of each component."""
    labels = evaluate.labels(model, Rows(posed.points), Serial())
    return [
        {
            "state": one.state,
            "effective_n": one.effective_n,
            "distinct_rows": one.distinct_rows,
            "smallest_scale": one.smallest_scale,
        }
        for one in runs.diagnosis(posed.task, model, labels)
    ]


ASKS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "points": points,
    "begin": begin,
    "see": see,
    "move": move,
    "share": share,
    "update": update,
    "run": run,
    "look": look,
    "narrow": narrow,
    "fit": fit,
    "kmeans": kmeans,
}
