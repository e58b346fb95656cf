"""What a page says in words and tables; all text that is not ours goes through ``text``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mixtura.background import LABEL
from mixtura.degeneracy import HARMLESS, REMEDY
from mixtura.em import Reason
from mixtura.html import LONGEST, narrowed, row_of, table_of, text
from mixtura.plot.calibration import BAND
from mixtura.plot.style import LEVELS
from mixtura.progress import counted
from mixtura.report.contents import Contents
from mixtura.report.judged import ALPHA, COMMON, loglik
from mixtura.report.packing import COMPONENTS
from mixtura.rows import Array
from mixtura.summary import facts_of, heading_of, said_of

_NUMBER = re.compile(r"[-+.,\de%]+|missing|inf|nan")
"""What is set to the right."""

LISTED = 10
"""Rows of a table of rows, and starts of a table of starts."""

VALUES = 6
"""Features that a table of rows has columns for."""

SHOWS = ' title="Show it in the picture of rows"'
"""What pressing a row does."""

CORRELATED = 12
"""Components whose correlations have a table."""

UNSURE = (0.05, 0.25)
"""Uncertainties that are counted."""

MEANING: dict[str, str] = {
    Reason.CONVERGED: "The last passes gained next to nothing: more of them would not change what is shown here.",
    Reason.ROUNDING: "Another pass would have lost more to rounding than it gains: this is as near as numbers get.",
    Reason.MAX_ITER: "It was still gaining: its numbers would change with more passes. Raise max_iter and fit again.",
    Reason.REG_COVAR: "With reg_covar the next pass would have lowered the log-likelihood: this is no maximum of it.",
    Reason.INTERRUPTED: "It was interrupted: its numbers would change with more passes. Fit again, to the end.",
}
"""What the way in which a run stopped means for its numbers."""

STATES: dict[str, str] = {
    "ok": "Nothing is wrong with it.",
    "flat": "Harmless: the data themselves have no spread in this direction.",
    "unresolved": "Harmless: it is narrower than the errors of its rows let one see.",
    **REMEDY,
}
"""What to do about a component in a state."""


def title_of(contents: Contents) -> str:
    """What kind of model it is."""
    return text(heading_of(contents.facts))


def about(contents: Contents) -> str:
    """What was fitted, to what, how it stopped and what that means."""
    facts, data = contents.facts, contents.data
    lines = "".join(row_of(a, [said]) for a, said in said_of(facts))
    pieces = [f'<table class="about"><caption class="hidden">The fit</caption><tbody>{lines}</tbody></table>']
    fit = facts["fit"]
    if fit is not None:
        reason = Reason.CONVERGED if fit["converged"] and fit["stop_reason"] not in MEANING else fit["stop_reason"]
        pieces.append(_p(MEANING.get(reason, "")))
    remarks = getattr(contents.estimator, "remarks_", {}).values()
    pieces += [f'<p class="warning"><strong>Warning:</strong> {text(_sentence(one))}</p>' for one in remarks]
    if contents.selection is not None:
        points = "".join(f"<li>{text(line)}</li>" for line in contents.selection.summary().split("\n"))
        pieces.append(f"<h3>How it was chosen</h3><ul>{points}</ul>")
    if fit is not None and fit["n_rows"] != data.n_rows:
        pieces.append(
            _p(f"The report is about {_rows(data.n_rows)}, the fit was to {fit['n_rows']:,}: they may be others.")
        )
    elif fit is not None and data.whole and not contents.own_rows:
        pieces.append(
            _p(
                f"The rows of this report have a log-likelihood of {loglik(contents.judged, data):,.2f}, those of the "
                f"fit had {fit['loglik']:,.2f}: they are others, or came with weights, errors or labels that are not "
                "the same here."
            )
        )
    if not data.whole:
        pieces.append(_p(f"Of {data.n_rows:,} rows {len(data.x):,}, one of each stretch, are what all else is about."))
    return "".join(pieces)


def sections_of(contents: Contents) -> dict[str, str]:
    """The pieces of HTML that a page has places for, by the names of these."""
    return {
        "title": title_of(contents),
        "inner": f"{LEVELS[0]:.0%}",
        "outer": f"{LEVELS[-1]:.0%}",
        "about": about(contents),
        "model": model(contents),
        "rows": rows(contents),
        "doubt": doubt(contents),
        "outliers": outliers(contents),
        "checks": checks(contents),
        "calibration": calibration(contents),
        "passes": passes(contents),
        "board": board(contents),
    }


# The model -----------------------------------------------------------------------------------------------------------


def model(contents: Contents) -> str:
    """Weights, means and standard deviations, and correlations on demand."""
    mixture, shown = contents.model, list(contents.planes.features)
    numbers = list(contents.components)
    names = [contents.names[j] for j in shown]
    facts = facts_of(narrowed(mixture, numbers, shown), None, names, None)
    pieces = [_box("The components", table_of(facts, numbers, "The components"))]
    if len(numbers) < mixture.n_components:
        pieces.append(_p(f"The {COMPONENTS} heaviest of {mixture.n_components} components."))
    if len(shown) < mixture.n_features:
        pieces.append(
            _p(f"The {len(shown)} of {mixture.n_features} features that tell the components apart best, one by one.")
        )
    if mixture.background is not None:
        pieces.append(_p(f"The uniform background has weight {mixture.background.weight:.4f}."))
    if len(shown) > 2:
        covariances = narrowed(mixture, numbers, shown).covariances
        tables = [
            _correlations(number, covariance, names)
            for number, covariance in zip(numbers[:CORRELATED], covariances[:CORRELATED], strict=True)
        ]
        pieces.append(f"<details><summary>Correlations within each component</summary>{''.join(tables)}</details>")
    return "".join(pieces)


def _correlations(number: int, covariance: Array, names: Sequence[str]) -> str:
    deviations = np.sqrt(np.diagonal(covariance))
    matrix = covariance / np.outer(deviations, deviations)
    return _table(
        f"Correlations in component {number}",
        ["", *map(text, names)],
        [[text(name), *(format(value, "z.3f") for value in line)] for name, line in zip(names, matrix, strict=True)],
    )


# Rows ----------------------------------------------------------------------------------------------------------------


def rows(contents: Contents) -> str:
    """What of the rows is drawn."""
    drawn, data = len(contents.parts.drawn), contents.data
    said = []
    if drawn < data.n_rows:
        said.append(f"{drawn:,} of {data.n_rows:,} rows are drawn, chosen by chance; tables are about all of them.")
        if not data.whole:
            said[-1] = f"{drawn:,} of {data.n_rows:,} rows are drawn, chosen by chance."
    if data.n_missing:
        said.append("A row without a value for one of the two features has no place in the picture.")
    return "".join(map(_p, said))


def doubt(contents: Contents) -> str:
    """How sure the classification is, and the rows of which it is least sure."""
    judged, n = contents.judged, len(contents.data.x)
    if contents.model.n_components == 1 and contents.model.background is None:
        return _p("There is one component, and no doubt which one a row belongs to.")
    uncertainty = judged.uncertainty
    counts = [(level, int((uncertainty > level).sum())) for level in UNSURE]
    said = " and ".join(f"above {level:g} for {_share(count, n)}" for level, count in counts)
    mean = float(uncertainty.mean())
    wrong = f"{mean:.2%}" if mean >= 0.00005 else "less than 0.01%"
    order = np.argsort(-uncertainty, kind="stable")[:LISTED]
    order = order[uncertainty[order] >= 0.0005]  # others are sure to as many digits as are shown
    lines = [
        [
            _titled(contents, int(i)),
            _component(judged.label[i]),
            f"{judged.probability[i]:.3f}",
            _component(judged.second[i]),
            f"{judged.second_probability[i]:.3f}",
            *_values(contents, int(i)),
        ]
        for i in order
    ]
    head = ["row", "component", "probability", "next", "probability", *_values_named(contents)]
    table = _table("The rows that are in most doubt", head, lines, _rows_of(contents, order)) if lines else ""
    return (
        _p(f"Of {_rows(n)}, the uncertainty is {said}.")
        + _p(
            f"If each row goes to its most probable component, {wrong} of them are expected to go wrong, "
            "if the model is right."
        )
        + table
    )


def outliers(contents: Contents) -> str:
    """The rows that are far from every component, and how many chance makes."""
    judged, n = contents.judged, len(contents.data.x)
    far = int((judged.p_value < judged.limit).sum())
    rare, expected = int((judged.p_value < COMMON).sum()), n * COMMON
    said = (
        f"{_many(far)} of {_rows(n)} {'is' if far == 1 else 'are'} far out by the rule of Davies and Gather, "
        f"p below {judged.limit:.2g}: if all follow the model, with a probability of {1 - ALPHA:.0%} or more none is."
    )
    chance = (
        f"{_rows(rare)} {'has' if rare == 1 else 'have'} p below {COMMON:g}; chance alone makes about "
        f"{expected:.3g} of them, or fewer."
    )
    order = np.lexsort((judged.log_density, judged.p_value))[:LISTED]
    lines = [
        [
            _titled(contents, int(i)),
            _p_value(judged.p_value[i]),
            "yes" if judged.p_value[i] < judged.limit else "no",
            _component(judged.nearest[i]),
            f"{judged.log_density[i]:.2f}",
            *_values(contents, int(i)),
        ]
        for i in order
    ]
    head = ["row", "p", "far out", "nearest", "log density", *_values_named(contents)]
    return _p(said) + _p(chance) + _table("The rows furthest out", head, lines, _rows_of(contents, order))


def _titled(contents: Contents, row: int) -> str:
    return text(contents.data.title(row), LONGEST)


def _values(contents: Contents, row: int) -> list[str]:
    values = [contents.data.x[row, j] for j in contents.planes.features[:VALUES]]
    return ["missing" if np.isnan(value) else f"{float(value):.6g}" for value in values]


def _values_named(contents: Contents) -> list[str]:
    return [text(contents.names[j], LONGEST) for j in contents.planes.features[:VALUES]]


def _rows_of(contents: Contents, order: Iterable[Any]) -> list[int]:
    """The places of rows among those that are drawn, -1 where they are not."""
    place = {int(row): at for at, row in enumerate(contents.parts.drawn)}
    return [place.get(int(row), -1) for row in order]


def _component(label: Any) -> str:
    return "background" if label == LABEL else str(int(label))


def _p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.2g}" if p > 0 else "0"


def _share(count: int, n: int) -> str:
    return f"{count:,} ({count / n:.1%})" if count else "none"


def _rows(n: int) -> str:
    return f"{n:,} row{'' if n == 1 else 's'}"


def _many(count: int) -> str:
    return "None" if count == 0 else f"{count:,}"


# Checks --------------------------------------------------------------------------------------------------------------


def checks(contents: Contents) -> str:
    """What is known of each component, and of each start."""
    gm = contents.estimator
    found = [] if gm is None else getattr(gm, "diagnostics_", [])
    if not found:
        return _p(
            "What a fit finds out about each component is not known here: neither a model file nor a mixture keeps it."
        )
    wrong = [one for one in found if one["state"] not in HARMLESS]
    said = (
        f"{counted(len(wrong), 'component')} of {len(found)} {'needs' if len(wrong) == 1 else 'need'} a look."
        if wrong
        else f"None of {counted(len(found), 'component')} collapsed, starved or emptied."
        if len(found) > 1
        else "The component has not collapsed."
    )
    listed = found if len(found) <= COMPONENTS else (wrong or found)[:COMPONENTS]
    lines = [
        [
            str(one["component"]),
            f"{one['effective_n']:.1f}",
            f"{one['distinct_rows']:,}",
            f"{one['smallest_scale']:.2g}",
            text(one["state"]),
            text(one["done"]),
            text(_sentence(STATES[one["state"]])),
        ]
        for one in listed
    ]
    head = ["component", "rows", "distinct", "narrowest", "state", "what was done", "what it means"]
    pieces = [_p(said), _table("Each component", head, lines)]
    if len(listed) < len(found):
        pieces.append(_p(f"{len(listed)} of {len(found)} components are listed."))
    return "".join(pieces) + _starts(contents)


def _starts(contents: Contents) -> str:
    starts = getattr(contents.estimator, "restarts_", [])
    if len(starts) < 2:
        return ""
    lines = [
        [
            str(number),
            f"{one['objective']:,.2f}",
            str(one["passes"]),
            text(one["outcome"]),
            str(one["degenerate"]),
            f"{one['agreement']:.2f}",
        ]
        for number, one in enumerate(starts[:LISTED])
    ]
    head = ["start", "objective (nats)", "passes", "outcome", "degenerate", "agreement"]
    return _table("The starts", head, lines) + _p(
        (f"{LISTED} of {len(starts)} starts. " if len(starts) > LISTED else "")
        + "Agreement is the adjusted Rand index of a start's partition with the one in this report: 1 where they are "
        "the same; the objective is that of the rows that a start was tried on. "
        "Short runs are the ones that were not carried on. Starts that converged lower are local optima; if they are "
        "many, a larger n_init is worth its time."
    )


def calibration(contents: Contents) -> str:
    """What the pictures of quantiles and transforms are of."""
    found, n = contents.calibration, len(contents.data.x)
    said = "Quantiles of each feature are those of the model across, those of the rows upwards: on the line they agree."
    if found.transforms is None:
        return _p(f"{said} No row is complete, so that there are no transforms of whole rows.")
    rows = "" if found.n_complete == n else f" Of {n:,} rows {found.n_complete:,} are looked at."
    outside = int(((found.transforms[0] < found.transforms[2]) | (found.transforms[0] > found.transforms[3])).sum())
    bars = len(found.transforms[0])
    return _p(said + rows) + _p(
        f"{outside} of {bars} bars of the transforms leave a band that holds {BAND:.0%} of each if the model is right, "
        f"so that about {(1 - BAND) * bars:.0f} is what chance makes. Many bars outside, or a slope or a hill, mean "
        "that rows are not as the model says: another family, another number of components, or tails that are not "
        "Gaussian."
    )


# Passes and other models ---------------------------------------------------------------------------------------------


def passes(contents: Contents) -> str:
    """Whose passes they are."""
    return _p(contents.passes if isinstance(contents.passes, str) else contents.passes.remark)


def board(contents: Contents) -> str:
    """How the other models were made."""
    found = contents.board
    return _p(found) if isinstance(found, str) else "".join(_p(one) for one in found.remarks)


# Pieces --------------------------------------------------------------------------------------------------------------


def _p(said: str) -> str:
    return f"<p>{text(said)}</p>" if said else ""


def _sentence(said: str) -> str:
    return f"{said[:1].upper()}{said[1:]}{'' if said.endswith('.') else '.'}"


def _box(label: str, inside: str) -> str:
    """What scrolls by itself where it is wider than the page, by the keyboard, too."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{text(label)}">{inside}</div>'


def _table(caption: str, head: Sequence[str], lines: Sequence[Sequence[str]], places: Sequence[int] = ()) -> str:
    """A table of one or more lines of cells in HTML; with ``places`` the head of a row is a button that shows it in the
    picture of rows."""
    wordy = [
        ' class="words"' if any(not _NUMBER.fullmatch(cell) for cell in column) else ""
        for column in zip(*lines, strict=True)
    ]
    tops = "".join(
        f'<th scope="col"{look}>{cell}</th>' if cell else "<td></td>" for cell, look in zip(head, wordy, strict=True)
    )
    body = []
    for at, (first, *cells) in enumerate(lines):
        if places and places[at] >= 0:
            first = f'<button type="button" class="show" data-row="{places[at]}"{SHOWS}>{first}</button>'
        values = "".join(f"<td{look}>{cell}</td>" for cell, look in zip(cells, wordy[1:], strict=True))
        body.append(f'<tr><th scope="row"{wordy[0]}>{first}</th>{values}</tr>')
    return _box(
        caption,
        f"<table><caption>{text(caption)}</caption><thead><tr>{tops}</tr></thead><tbody>{''.join(body)}</tbody></table>",
    )
