"""What a page holds: gathered once from a model and rows, then written as words and as numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import mixtura
from mixtura import evaluate, io
from mixtura.engine import make_engine
from mixtura.estimators import GaussianMixture
from mixtura.html import LONGEST, heaviest, plain
from mixtura.mixture import Mixture, mixture_of, model_of
from mixtura.plot.calibration import BAND, against, rosenblatt, share_of_components, transforms
from mixtura.plot.one_feature import bars
from mixtura.plot.style import LEVELS, MARKERS, OKABE_ITO
from mixtura.report import alternatives, packing
from mixtura.report.alternatives import Board
from mixtura.report.data import DRAWN_ROWS, Data, Parts, parts_of, received, stretches
from mixtura.report.judged import Judged, is_of, judged, two_best
from mixtura.report.packing import COMPONENTS, Frame, packed
from mixtura.report.passes import Passes, passes_of
from mixtura.report.planes import Planes, planes_of
from mixtura.rows import Array
from mixtura.select import Selection
from mixtura.summary import facts_of

TITLE_LETTERS = 40_000
"""Letters of the names of the rows that are drawn, together; where they are more, rows go by their numbers."""

ROW_NUMBERS = 40_000
"""Numbers of the rows that are drawn, together."""

MODEL_NUMBERS = 20_000
"""Numbers of the models of passes, and of those to be compared, each together."""

DOUBT_BARS, TRANSFORM_BARS = 20, 20
"""Bars of uncertainties, and of transforms."""

QUANTILES = 250
"""Points of a picture of quantiles."""

COMPARED_ROWS = 20_000
"""Rows whose quantiles and transforms are looked at."""

SYMBOLS = {
    "o": ("circle", "\u25cf"),
    "^": ("triangle-up", "\u25b2"),
    "s": ("square", "\u25a0"),
    "D": ("diamond", "\u25c6"),
    "v": ("triangle-down", "\u25bc"),
    "P": ("cross", "\u271a"),
    "X": ("x", "\u2716"),
    "p": ("pentagon", "\u2b1f"),
}
"""The markers of pictures, as a page calls them and as letters."""

FILE_LETTERS = 100_000
"""Letters of a model file that a page has room for."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Quantiles of each feature that is shown, (expected, observed, lower, upper), None where it has no value; heights,
    edges and band of the transforms of ``n_complete`` rows, None if there are none."""

    quantiles: Sequence[tuple[Array, Array, Array, Array] | None]
    transforms: tuple[Array, Array, float, float] | None
    n_complete: int


@dataclass(frozen=True, eq=False)
class Contents:
    """All that there is to be said and drawn.

    ``model`` is the mixture beside its background, ``estimator`` None where a mixture alone was given; ``selection``
    None where nothing was selected; ``own_rows``: whether the rows are those of the fit; ``passes`` and ``board`` are a
    sentence where there are none.
    """

    model: Mixture
    estimator: GaussianMixture | None
    selection: Selection | None
    facts: dict[str, Any]
    data: Data
    parts: Parts
    judged: Judged
    own_rows: bool
    planes: Planes
    frame: Frame
    components: Sequence[int]
    calibration: Calibration
    passes: Passes | str
    board: Board | str

    @property
    def names(self) -> list[str]:
        """Of all features, as they can be shown."""
        return [plain(name, LONGEST) if name.strip() else f"column {j}" for j, name in enumerate(self.data.names)]


def gathered(
    subject: object,
    X: Any,
    sample_weight: Any,
    names: Sequence[str] | None,
    alternatives: bool,
    time_budget: float | None,
    seed: int,
) -> Contents:
    """What there is to be said of a fitted estimator, a Selection or a Mixture, and of rows X."""
    selection = subject if isinstance(subject, Selection) else None
    chosen = subject if selection is None else selection.best_
    mixture, model = mixture_of(chosen), model_of(chosen)
    d, K = mixture.n_features, mixture.n_components
    data = received(chosen, X, sample_weight, names, d)
    said = judged(model, data)
    planes = planes_of(mixture, data.x, said.label)
    n_features = len(planes.features)
    parts = parts_of(data, min(DRAWN_ROWS, ROW_NUMBERS // n_features), seed)
    frame = packing.frame_of(mixture, planes.features)
    estimator = chosen if isinstance(chosen, GaussianMixture) else None
    fit = None if estimator is None else estimator.how_fitted()
    own_rows = fit is not None and is_of(said, data, fit)
    kind = None if estimator is None else estimator._fitted_type
    facts = facts_of(model, kind, data.names, fit) | ({"n_missing": data.n_missing} if data.n_missing else {})
    return Contents(
        model=model,
        estimator=estimator,
        selection=selection,
        facts=facts,
        data=data,
        parts=parts,
        judged=said,
        own_rows=own_rows,
        planes=planes,
        frame=frame,
        components=heaviest(model, COMPONENTS),
        calibration=_calibration(model, data, planes.features),
        passes=_passes(estimator, data, parts, own_rows, MODEL_NUMBERS // packing.numbers_of(K, n_features), seed),
        board=_board(estimator, selection, data, parts, own_rows, n_features, alternatives, time_budget, seed),
    )


def _passes(gm: GaussianMixture | None, data: Data, parts: Parts, own_rows: bool, most: int, seed: int) -> Passes | str:
    if gm is None:
        return "A mixture keeps no record of how it was fitted, so there are no passes to show."
    try:
        return passes_of(gm, data, parts, own_rows, most, seed)
    except ValueError as error:  # what a model can be asked about, it need not be fitted to
        return f"EM cannot be run again on these rows: {error}."


def _board(
    gm: GaussianMixture | None,
    selection: Selection | None,
    data: Data,
    parts: Parts,
    own_rows: bool,
    n_features: int,
    wanted: bool,
    time_budget: float | None,
    seed: int,
) -> Board | str:
    if gm is None:
        return "A mixture keeps no record of how it was fitted, so there is nothing to compare it with."
    if not wanted:
        return "Other models were not asked for (alternatives=False)."

    def n_numbers(k: int) -> int:
        return packing.numbers_of(k, n_features)

    try:
        return alternatives.board_of(gm, selection, data, parts, own_rows, n_numbers, MODEL_NUMBERS, time_budget, seed)
    except ValueError as error:
        return f"Other models cannot be fitted to these rows: {error}."


def _calibration(model: Mixture, data: Data, features: Sequence[int]) -> Calibration:
    x = np.asarray(data.x[stretches(len(data.x), COMPARED_ROWS)], dtype=np.float64)
    weight = share_of_components(model, x)
    mixture = model.components
    quantiles: list[tuple[Array, Array, Array, Array] | None] = []
    for j in features:
        told = ~np.isnan(x[:, j])
        line = mixture.marginal([j])
        enough = weight[told].sum() > 0
        quantiles.append(against(line, x[told, j], weight[told], QUANTILES) if enough else None)
    complete = ~np.isnan(x).any(axis=1)
    found = None
    if weight[complete].sum() > 0:
        u = rosenblatt(mixture, x[complete])
        found = transforms(u, np.repeat(weight[complete], x.shape[1]), TRANSFORM_BARS)
    return Calibration(quantiles, found, int(complete.sum()))


# As numbers ----------------------------------------------------------------------------------------------------------


def numbers_of(contents: Contents) -> dict[str, Any]:
    """What the page's script draws, as JSON has it."""
    data, frame, planes = contents.data, contents.frame, contents.planes
    said, drawn = contents.judged, contents.parts.drawn
    return {
        "version": mixtura.__version__,
        "colors": list(OKABE_ITO),
        "symbols": [SYMBOLS[marker] for marker in MARKERS],
        "levels": list(LEVELS),
        "features": [
            {"name": contents.names[j], "origin": o, "unit": u, "digits": _digits(u)}
            for j, o, u in zip(frame.features, frame.origin.tolist(), frame.unit.tolist(), strict=True)
        ],
        "pairs": [list(pair) for pair in planes.pairs],
        "components": list(contents.components),
        "model": packed(packing.model(contents.model, frame, contents.components), "f4"),
        "background": contents.model.background is not None,
        "rows": {
            "z": packing.rows(data.x[drawn], frame),
            "index": drawn.tolist() if len(drawn) < len(data.x) else None,
            "titles": _titles(contents),
            "n": len(drawn),
            "label": packing.labels([said.label[drawn]], contents.model.n_components),
            "probability": packed(said.probability[drawn], "f4"),
        },
        "histogram": _histogram(contents),
        "doubt": _doubt(contents),
        "calibration": _calibrated(contents.calibration, frame),
        "few": _few(contents),
        "passes": _stepped(contents),
        "board": _boarded(contents),
    }


def _titles(contents: Contents) -> list[str] | None:
    """What the rows that are drawn are called, if they have names and these have room."""
    if contents.data.titles is None:
        return None
    named = [plain(contents.data.title(row), LONGEST) for row in contents.parts.drawn]
    return named if sum(map(len, named)) <= TITLE_LETTERS else None


def _digits(unit: float) -> int | None:
    """Decimals that show five digits of what differs; None where a number is better written with a power of ten."""
    decimals = max(0, 4 - math.floor(math.log10(unit)))
    return decimals if decimals <= 12 and unit < 1e9 else None


def _histogram(contents: Contents) -> dict[str, Any] | None:
    """Bars of all rows at hand, of a single feature."""
    if contents.model.n_features > 1:
        return None
    values = np.asarray(contents.data.x[:, 0], dtype=np.float64)
    values = values[~np.isnan(values)]
    edges = bars(values, contents.model.components)
    counts = np.histogram(values, bins=edges)[0]
    frame = contents.frame
    return {"edges": ((edges - frame.origin) / frame.unit).tolist(), "counts": counts.tolist(), "n": len(values)}


def _doubt(contents: Contents) -> dict[str, Any]:
    """How many rows are how uncertain."""
    most = 1 - 1 / max(2, contents.model.n_components + (contents.model.background is not None))
    counts, edges = np.histogram(contents.judged.uncertainty, bins=DOUBT_BARS, range=(0.0, most))
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def _calibrated(calibration: Calibration, frame: Frame) -> dict[str, Any]:
    def scaled(j: int, parts: tuple[Array, ...]) -> dict[str, Any]:
        return packed(np.concatenate([(part - frame.origin[j]) / frame.unit[j] for part in parts]), "f4")

    found = calibration.transforms
    return {
        "band": BAND,
        "quantiles": [None if one is None else scaled(j, one) for j, one in enumerate(calibration.quantiles)],
        "transforms": None
        if found is None
        else {"heights": found[0].tolist(), "edges": found[1].tolist(), "low": found[2], "high": found[3]},
    }


def _few(contents: Contents) -> dict[str, Any]:
    """The rows that have a colour in each pass and for each model."""
    few = contents.parts.few
    return {"z": packing.rows(contents.data.x[few], contents.frame), "n": len(few)}


def _stepped(contents: Contents) -> dict[str, Any] | None:
    passes = contents.passes
    if isinstance(passes, str):
        return None
    rows = contents.data.rows(contents.parts.few)
    firsts, seconds, shares = [], [], []
    for model in passes.models:
        best, top = two_best(model, rows)
        firsts.append(best[:, 0])
        seconds.append(best[:, 1])
        shares.append(np.round(255 * top[:, 0] / np.maximum(top.sum(axis=1), np.finfo(float).tiny)))
    models = [packing.model(model, contents.frame, contents.components) for model in passes.models]
    K = contents.model.n_components
    return {
        "shown": list(passes.shown),
        "objectives": [packing.finite(one) for one in passes.objectives],
        "accelerated": passes.accelerated.tolist(),
        "called": passes.called,
        "models": packed(np.concatenate(models), "f4"),
        "first": packing.labels(firsts, K),
        "second": packing.labels(seconds, K),
        "share": packed(np.concatenate(shares), "u1"),
    }


def _boarded(contents: Contents) -> dict[str, Any] | None:
    board, frame = contents.board, contents.frame
    if isinstance(board, str):
        return None
    rows = contents.data.rows(contents.parts.few)
    measures = alternatives.measures(board)
    cells: list[dict[str, Any]] = []
    models: list[Array] = []
    labels: list[Any] = []
    most = max(int(cell.record["n_components"]) for cell in board.cells)
    for cell in board.cells:
        one: dict[str, Any] = {
            "type": str(cell.record["covariance_type"]),
            "k": int(cell.record["n_components"]),
            "status": str(cell.record["status"]),
            "reason": plain(cell.record["reason"], 300),
            "df": int(cell.record["df"]),
            "loglik": packing.finite(cell.record["loglik"]),
            "values": [packing.finite(cell.record.get(measure["key"])) for measure in measures],
            "model": None,
        }
        if cell.model is not None:
            one["model"] = len(models)
            one["components"] = heaviest(cell.model, COMPONENTS)
            models.append(packing.model(cell.model, frame, one["components"]))
            labels.append(evaluate.labels(cell.model, rows, make_engine()))
        cells.append(one)
    return {
        "measures": measures,
        "evidence": [list(one) for one in alternatives.evidence()],
        "own": board.own,
        "cells": cells,
        "models": packed(np.concatenate([*models, np.empty(0)]), "f4"),
        "labels": packing.labels(labels, most),
    }


def model_file(contents: Contents) -> str:
    """The text of a model file; empty where it is too long for a page."""
    gm = contents.estimator
    if gm is None:
        document = {**contents.model.components.to_dict(), "covariance_type": None, "feature_names": None, "fit": None}
    else:
        document = gm.document()
    text = io.model_text(document)
    return text if len(text) <= FILE_LETTERS else ""
