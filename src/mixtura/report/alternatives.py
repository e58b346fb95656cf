"""Other models of the same rows, to be compared: those of a selection, or the neighbours of a fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mixtura import evaluate
from mixtura.engine import make_engine
from mixtura.estimators import GaussianMixture
from mixtura.evaluate import MEASURES, OF_TOTALS, ranked
from mixtura.families import FAMILIES, UNIVARIATE, family_of
from mixtura.grid import Fit
from mixtura.mixture import Mixture, mixture_of
from mixtura.progress import counted
from mixtura.report.aligned import order_of, reordered
from mixtura.report.data import Data, Parts
from mixtura.report.packing import finite
from mixtura.rows import Array, Rows
from mixtura.select import CRITERIA, EVIDENCE, Selection, compared

REACH = 2
"""Components more and fewer than those of a fit."""

FEW_FEATURES = 10
"""Up to this many features all families are tried beside that of a fit; beyond, those of SIMPLE."""

SIMPLE = ("spherical", "diag", "tied", "full")


@dataclass(frozen=True, eq=False)
class Cell:
    """A model of the table: its ``record``, as in a Selection, and the model itself, if it is kept."""

    record: dict[str, Any]
    model: Mixture | None


@dataclass(frozen=True, eq=False)
class Board:
    """The ``cells``, the place of the ``own`` one among them, the ``criterion`` that is shown first, and ``remarks``:
    how they were made."""

    cells: Sequence[Cell]
    own: int
    criterion: str
    remarks: Sequence[str]


def board_of(
    gm: GaussianMixture,
    selection: Selection | None,
    data: Data,
    parts: Parts,
    own_rows: bool,
    n_numbers: Callable[[int], int],
    most_numbers: int,
    time_budget: float | None,
    seed: int,
) -> Board:
    """The table of a selection, or one around a fit, with as many models as have room: ``n_numbers`` of each number of
    components, ``most_numbers`` together.  ``own_rows``: whether the rows are those of the fit."""
    until = None if time_budget is None else time.monotonic() + time_budget
    own_type, own_k = gm._fitted_type, mixture_of(gm).n_components
    if selection is None:
        types = _beside(own_type, data.x.shape[1])
        counts = list(range(max(1, own_k - REACH), own_k + REACH + 1))
        criterion = "bic"
    else:
        types = list(dict.fromkeys(str(one["covariance_type"]) for one in selection.records))
        counts = sorted({int(one["n_components"]) for one in selection.records})
        criterion = selection.criterion

    def estimator(name: str, k: int) -> GaussianMixture:
        return GaussianMixture(k, covariance_type=name, prior=gm.prior, random_state=seed, n_jobs=gm.n_jobs)

    weight = None if data.weight is None else data.weight[parts.fitted]
    found = compared(estimator, types, counts, data.x[parts.fitted], weight, gm.prior, until)
    records = [record for record, _ in found] if selection is None else [dict(one) for one in selection.records]
    models = {_cell(record): fit.model for record, fit in found if isinstance(fit, Fit) and record["status"] == "ok"}
    place = next((i for i, one in enumerate(records) if _is(one, own_type, own_k)), 0)

    itself = own_rows and len(parts.fitted) == data.n_rows and _plain(gm) and _cell(records[place]) in models
    if itself:  # the very same, whatever a search came to
        models[_cell(records[place])] = mixture_of(gm)
        if selection is None:
            records[place] |= _numbers(gm, data, weight)
    rows = data.rows(parts.few)
    wanted = evaluate.labels(mixture_of(gm), rows, make_engine())
    for cell, model in models.items():
        own = evaluate.labels(model, rows, make_engine())
        models[cell] = reordered(model, order_of(own, model.n_components, wanted, own_k))
    kept = _kept(records, place, models, n_numbers, most_numbers, criterion)
    cells = [Cell(one, models[_cell(one)] if _cell(one) in kept else None) for one in records]
    return Board(cells, place, criterion, _remarks(gm, selection, data, parts, itself, records, kept, time_budget))


def _beside(own: str, d: int) -> list[str]:
    """The families to compare: that of the fit by the name that it has there, others by their codes or names."""
    if d == 1:
        others: Sequence[str] = tuple(UNIVARIATE)
    else:
        others = tuple(FAMILIES) if d <= FEW_FEATURES else SIMPLE
    code = family_of(own).code
    return [own, *(name for name in others if family_of(name).code != code)]


def _cell(record: Any) -> tuple[str, int]:
    return family_of(str(record["covariance_type"])).code, int(record["n_components"])


def _is(record: Any, own: str, k: int) -> bool:
    return _cell(record) == (_univariate(own, record), k)


def _univariate(own: str, record: Any) -> str:
    """The code of a family; of one feature that of its volume, which is all that is left."""
    code = family_of(own).code
    return UNIVARIATE[code[0]] if str(record["covariance_type"]) in UNIVARIATE else code


def _numbers(gm: GaussianMixture, data: Data, weight: Array | None) -> dict[str, float]:
    """What a record says of how well a fit suits the rows."""
    rows = data.rows()
    totals = evaluate.totals(mixture_of(gm), Rows(rows.x, weight, missing=rows.missing), make_engine())
    df = family_of(gm._fitted_type).n_parameters(mixture_of(gm).n_components, data.x.shape[1])
    return {"loglik": totals.loglik} | {name: of(totals, df) for name, of in OF_TOTALS.items()}


def _plain(gm: GaussianMixture) -> bool:
    """Whether a fit was of what other models are fitted as."""
    return gm.background_ is None and gm.mixing == "free" and gm.fixed is None and gm.reg_covar is None


def _kept(
    records: Sequence[dict[str, Any]],
    own: int,
    models: dict[tuple[str, int], Mixture],
    n_numbers: Callable[[int], int],
    most_numbers: int,
    criterion: str,
) -> set[tuple[str, int]]:
    """The cells whose models have room: the own one, the best of each number of components and of each family, then
    the others from the best on."""
    order = ranked(records, criterion) or [one for one in records if _cell(one) in models]
    first: dict[tuple[str, int], None] = {_cell(records[own]): None}
    for key in ("n_components", "covariance_type"):
        seen: set[Any] = set()
        for one in order:
            if one[key] not in seen:
                seen.add(one[key])
                first.setdefault(_cell(one))
    for one in order:
        first.setdefault(_cell(one))
    kept, left = set(), most_numbers
    for cell in first:
        if cell in models and n_numbers(cell[1]) <= left:
            kept.add(cell)
            left -= n_numbers(cell[1])
    return kept


def _remarks(
    gm: GaussianMixture,
    selection: Selection | None,
    data: Data,
    parts: Parts,
    itself: bool,
    records: Sequence[dict[str, Any]],
    kept: set[tuple[str, int]],
    time_budget: float | None,
) -> list[str]:
    """How the models were made, and what is not comparable."""
    n = len(parts.fitted)
    rows = f"all {n:,} row{'' if n == 1 else 's'}" if n == data.n_rows else f"{n:,} of {data.n_rows:,} rows"
    if selection is None:
        said = [f"{counted(len(records), 'model')} around this one were fitted to {rows}, and are compared on these."]
        if n < data.n_rows:
            said.append("Its own place has such a fit, too: the model of this report has seen all rows.")
        elif not itself:
            said.append("Its own place has such a fit, too, beside which the model of this report may differ.")
    else:
        said = [
            f"Numbers are those of the selection's table; the ellipses are of models fitted once more, to {rows}.",
        ]
    said.append("Their components have the numbers of those of this model that they share most rows with.")
    ok = {_cell(one) for one in records if one["status"] == "ok"}
    if len(ok & kept) < len(ok):
        said.append(f"The ellipses of {len(ok & kept)} of {len(ok)} models are kept; the others have numbers alone.")
    skipped = sum(one["status"] == "skipped" for one in records)
    if skipped and selection is None:
        said.append(f"{counted(skipped, 'model')} could not be begun within {time_budget:g} s.")
    if not _plain(gm):
        aside = {
            "a uniform background": gm.background_ is not None,
            "equal weights": gm.mixing != "free",
            "fixed parts": gm.fixed is not None,
            "reg_covar": gm.reg_covar is not None,
        }
        which = " and ".join(name for name, there in aside.items() if there)
        said.append(f"They are fitted without what this model has beside the plain mixture: {which}.")
    return said


def measures(board: Board) -> list[dict[str, Any]]:
    """The criteria that have numbers: key, name and sign, 1 where lower is better; the one shown first is first."""
    there = [key for key in CRITERIA if any(finite(cell.record.get(key)) is not None for cell in board.cells)]
    there.sort(key=lambda key: key != board.criterion)
    return [{"key": key, "name": MEASURES[key][0], "sign": MEASURES[key][1]} for key in there]


def evidence() -> list[tuple[float | None, str]]:
    """Differences of BIC and what they are evidence of; the last has no end."""
    return [(finite(limit), word) for limit, word in EVIDENCE]
