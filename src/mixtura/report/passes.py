"""The passes of a fit, as a page shows them: those that were kept, or those of the same fit made once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from mixtura import evaluate
from mixtura.animate import FRAMES, frames, traced
from mixtura.em import Reason
from mixtura.engine import make_engine
from mixtura.estimators import GaussianMixture
from mixtura.mixture import Mixture
from mixtura.progress import counted
from mixtura.report.aligned import order_of, reordered
from mixtura.report.data import Data, Parts
from mixtura.rows import Array

ROWWISE = ("labels_init", "responsibilities_init", "init")
"""Parameters that may have an entry for each row."""


@dataclass(frozen=True, eq=False)
class Passes:
    """``shown`` passes with their ``models``, the ``objectives`` of all passes, which of these are ``accelerated``
    steps, what the objective is ``called``, and in ``remark`` whose passes they are."""

    shown: Sequence[int]
    models: Sequence[Mixture]
    objectives: Array
    accelerated: NDArray[np.intp]
    called: str
    remark: str


def passes_of(gm: GaussianMixture, data: Data, parts: Parts, own_rows: bool, most: int, seed: int) -> Passes | str:
    """At most ``most`` of the passes that a fit made, or a sentence that says why there are none; ``own_rows``: whether
    the rows are those of the fit."""
    if gm.how_fitted() is None:
        return "The model was not fitted by passes over these rows, so there are none to show."
    if all("model" in one for one in getattr(gm, "history_", [{}])):
        return _thinned(gm, most, "These are the passes of the fit itself, which kept them (trace=True).")
    again = once_more(gm, len(data.x), parts, seed)
    if again is None:
        return (
            "The fit began with labels or responsibilities of other rows, so that EM cannot be run again from there: "
            "fit with trace=True to see its passes."
        )
    weight = None if data.weight is None else data.weight[parts.fitted]
    again._fit_kept(partial(again._task, data.x[parts.fitted], weight), None)
    if again.stop_reason_ is Reason.INTERRUPTED:  # half of a run is not what was asked for
        raise KeyboardInterrupt
    whole = len(parts.fitted) == data.n_rows
    same = "the same rows" if own_rows else "the rows of this report"
    rows = same if whole else f"{len(parts.fitted):,} of {data.n_rows:,} rows"
    ended = again.log_likelihood_history_[-1]
    remark = (
        f"The fit did not keep its passes, so EM was run again on {rows}, from the start that the same parameters "
        f"choose. It ended after {counted(again.n_iter_, 'pass', 'passes')} at a log-likelihood of {ended:,.2f}"
    )
    if whole and own_rows and hasattr(gm, "loglik_"):
        remark += f"; that of the model in this report is {gm.loglik_:,.2f}"
    rows_again = data.rows(parts.fitted)
    labels = [evaluate.labels(one, rows_again, make_engine()) for one in (again.mixture_, gm.mixture_)]
    sizes = [one.mixture_.n_components for one in (again, gm)]
    order = order_of(labels[0], sizes[0], labels[1], sizes[1])
    found = _thinned(again, most, f"{remark}.")
    return replace(found, models=[reordered(model, order) for model in found.models])


def once_more(gm: GaussianMixture, n_rows: int, parts: Parts, seed: int) -> GaussianMixture | None:
    """An estimator that makes the fit again and keeps its passes; None where it began with other rows."""
    changed: dict[str, Any] = {}
    for name in ROWWISE:
        given = getattr(gm, name)
        if given is None or isinstance(given, str) or callable(given):
            continue
        if len(given) != n_rows:
            return None
        changed[name] = np.asarray(given)[parts.fitted]
    chance = {} if isinstance(gm.random_state, int | np.integer) else {"random_state": seed}
    # Components that were dropped are not missed.
    changed |= {"n_components": gm.mixture_.n_components, "on_degenerate": "rescue"}
    quiet = {"trace": True, "verbose": 0, "warm_start": False, "engine": "auto"}
    again: GaussianMixture = clone(gm).set_params(**quiet, **chance, **changed)
    return again


def _thinned(gm: GaussianMixture, most: int, remark: str) -> Passes:
    models, objectives, accelerated, called = traced(gm)
    shown = frames(objectives, min(FRAMES, max(most, 2)))
    if len(shown) < len(objectives):
        remark += f" Shown are {len(shown)} of {len(objectives)}, more of them where more changes."
    return Passes(shown, [models[index] for index in shown], objectives, accelerated, called, remark)
