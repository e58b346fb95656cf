"""What a notebook shows of a mixture, of a fit and of a selection: a sentence, a table and a small picture.

Pieces of HTML that need nothing else: no script, no request, no matplotlib.  All text that is not ours (names of
features, parameters, reasons) goes through ``text``, which leaves no markup in it.  Lines and letters have the colour
of the page (currentColor), the colours of components stand out from white and from black (3 : 1 and more), and numbers
at the means say the same; so no theme has to be known.

A picture has WIDTH x HEIGHT units, and maps the plane of the first two features onto them:

    u = a_x + s_x x,   v = a_y - s_y y        S_k  ->  C = D S_k D,  D = diag(s_x, -s_y)

C = q diag(l) q' is the ellipse of one standard deviation, with half axes sqrt(l) along the columns of q.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from mixtura.evaluate import MEASURES, ranked
from mixtura.mixture import Mixture, model_of
from mixtura.progress import counted
from mixtura.reading import feature_names
from mixtura.rows import Array
from mixtura.summary import facts_of, form_of, heading_of, said_of

if TYPE_CHECKING:
    from mixtura.estimators import GaussianMixture
    from mixtura.select import Selection

LISTED = 10
"""Components, or cells, that a table has rows for; the rest are counted."""
FEATURES = 6
"""Features that a table has columns for."""
DRAWN = 20
"""Components that a picture shows: the heaviest."""
POINTS = 600
"""Cells that a picture of a criterion shows: families come in the order of their best cell."""
LONGEST = 40
"""Characters of a name."""

WIDTH, HEIGHT = 340, 230
LEFT, RIGHT, TOP, BOTTOM = 58, 332, 8, 190
"""Where the frame of a picture is."""

COLORS = ("#0072B2", "#D55E00", "#00926B", "#B8609A", "#7A7A7A")
"""As Okabe and Ito's, those that are seen on white and on black; two are darker than theirs, and grey is added."""
WINNER = COLORS[1]
"""Of the covariance type that is best."""

STYLE = (
    "<style>"
    ".mixtura{color:inherit;max-width:100%;overflow-x:auto}"
    ".mixtura p{margin:.2em 0}"
    ".mixtura .m-note{opacity:.8;font-size:90%}"
    ".mixtura .m-side{display:flex;flex-wrap:wrap;gap:1.5em;align-items:flex-start}"
    ".mixtura table{border-collapse:collapse;color:inherit;font-variant-numeric:tabular-nums;margin:.3em 0}"
    ".mixtura caption{text-align:left;opacity:.8}"
    ".mixtura th,.mixtura td{padding:.1em .6em;text-align:right;border:0;color:inherit;background:none}"
    ".mixtura thead th{border-bottom:1px solid currentColor}"
    ".mixtura .m-about th{text-align:left;font-weight:normal;opacity:.8}"
    ".mixtura .m-about td{text-align:left}"
    ".mixtura svg{max-width:100%;height:auto;color:inherit;background:none}"
    "</style>"
)


def text(anything: object, longest: int | None = None) -> str:
    """What can stand in HTML and XML: markup as the letters it is written in, what has no letter as U+FFFD."""
    return escape(plain(anything, longest))


def plain(anything: object, longest: int | None = None) -> str:
    """The letters of a text, at most so many; what has no letter is U+FFFD."""
    letters = str(anything)
    if longest is not None and len(letters) > longest:
        letters = letters[: longest - 1] + "\u2026"
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in letters)


# Fragments -----------------------------------------------------------------------------------------------------------


def of_mixture(mixture: Mixture) -> str:
    """What a notebook shows of a distribution."""
    return _model(repr(mixture), mixture, None, None, None)


def of_estimator(gm: GaussianMixture, covariance_type: str, names: Sequence[str] | None) -> str:
    """What a notebook shows of a fitted estimator."""
    return _model(repr(gm), model_of(gm), covariance_type, names, gm.how_fitted())


def _model(
    title: str, mixture: Mixture, covariance_type: str | None, names: Sequence[str] | None, fit: dict[str, Any] | None
) -> str:
    names = feature_names(mixture.n_features) if names is None else names
    listed, features = heaviest(mixture, LISTED), range(min(FEATURES, mixture.n_features))
    facts = facts_of(narrowed(mixture, listed, features), covariance_type, [names[j] for j in features], fit)
    whole = facts | {"n_components": mixture.n_components, "n_features": mixture.n_features}
    about = "".join(row_of(a, [said]) for a, said in said_of(whole))
    return _fragment(
        title,
        f"<p>{text(heading_of(whole))}</p>",
        f'<table class="m-about"><tbody>{about}</tbody></table>',
        f'<div class="m-side"><div>{table_of(facts, listed)}{_left_out(mixture, listed)}</div>',
        f"<div>{svg_of(mixture, names)}{_note(_drawn(mixture))}</div></div>",
    )


def of_selection(selection: Selection) -> str:
    """What a notebook shows of a selection."""
    first, *others = selection.summary().split("\n")
    more = "".join(_note(line) for line in others)
    compared, known = selection.ranked, ranked(selection.records, selection.criterion)
    if not compared:
        return _fragment(repr(selection), f"<p>{text(first)}</p>", more)
    rest = len(compared) - LISTED
    wrong = sum(one["status"] != "ok" for one in selection.records)
    notes = [f"{counted(rest, 'model')} more, further behind." if rest > 0 else ""]
    notes += [f"{counted(wrong, 'model')} without a number: see below." if wrong else ""]
    families = list(dict.fromkeys(one["covariance_type"] for one in known))
    shown = families_drawn(known)
    part = [f"Drawn: the {len(shown)} best of {len(families)} covariance types." if len(shown) < len(families) else ""]
    if selection.finalists:
        part += ["Drawn: the rows that were searched."]
    return _fragment(
        repr(selection),
        f"<p>{text(first)}</p>",
        f'<div class="m-side"><div>{table_of_cells(selection)}{"".join(map(_note, notes))}</div>',
        f"<div>{svg_of_criterion(selection)}{''.join(map(_note, part))}</div></div>",
        f"<details><summary>What else was found</summary>{more}</details>" if more else "",
    )


def _fragment(title: str, *pieces: str) -> str:
    return f'{STYLE}<div class="mixtura"><p><code>{text(" ".join(title.split()))}</code></p>{"".join(pieces)}</div>'


def _note(said: str) -> str:
    return f'<p class="m-note">{text(said)}</p>' if said else ""


# Tables --------------------------------------------------------------------------------------------------------------


def heaviest(mixture: Mixture, most: int) -> list[int]:
    """The components of largest weight, in the order of their numbers."""
    return sorted(np.argsort(-mixture.weights, kind="stable")[:most].tolist())


def narrowed(mixture: Mixture, components: list[int], features: Iterable[int]) -> Mixture:
    """Some components in some features, with the weights that they have in the whole."""
    chosen = list(features)
    layout = mixture.layout.only(components).take(chosen)
    means = np.ascontiguousarray(mixture.means[np.ix_(components, chosen)])
    return Mixture.of(mixture.weights[components], means, layout, mixture.background)


def table_of(facts: dict[str, Any], numbers: Sequence[int], caption: str = "") -> str:
    """The components of ``facts``, a row for each, called by these ``numbers``; under a ``caption``, if there is
    one."""
    components = facts["components"]
    names = facts["feature_names"]
    titled = f"<caption>{text(caption)}</caption>" if caption else ""
    two = facts["n_features"] == 2
    over = "".join(f'<th scope="colgroup" colspan="2">{text(name, LONGEST)}</th>' for name in names)
    under = '<th scope="col">mean</th><th scope="col">sd</th>' * len(names)
    tall = '<th scope="col" rowspan="2">'
    correlation = f"{tall}correlation</th>" if two else ""
    forms = [form_of([c["mean"][j] for c in components], [c["sd"][j] for c in components]) for j in range(len(names))]
    rows = []
    for number, one in zip(numbers, components, strict=True):
        cells = [f"{one['weight']:.4f}"]
        for j, form in enumerate(forms):
            cells += [format(one["mean"][j], form), format(one["sd"][j], form)]
        if two:
            cells.append(format(one["covariance"][0][1] / (one["sd"][0] * one["sd"][1]), "z.3f"))
        rows.append(row_of(str(number), cells))
    return (
        f"<table>{titled}<thead><tr>{tall}component</th>{tall}weight</th>{over}{correlation}</tr>"
        f"<tr>{under}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def row_of(head: str, cells: Iterable[str]) -> str:
    """A row of a table, of text under a head of its own."""
    return f'<tr><th scope="row">{text(head)}</th>{"".join(f"<td>{text(cell)}</td>" for cell in cells)}</tr>'


def _left_out(mixture: Mixture, listed: Sequence[int]) -> str:
    """What the table does not show."""
    said = []
    others = mixture.n_components - len(listed)
    if others:
        weight = np.delete(mixture.weights, listed).sum()
        said.append(f"The heaviest; {counted(others, 'component')} more, of weight {weight:.4f} together.")
    if mixture.n_features > FEATURES:
        said.append(f"{counted(mixture.n_features - FEATURES, 'feature')} more.")
    return "".join(map(_note, said))


def table_of_cells(selection: Selection) -> str:
    """The best cells, by the criterion that was asked for."""
    columns = [name for name in ("loglik", "df", "bic", "icl", "aic", "cv") if name in selection.ranked[0]]
    heads = "".join(f'<th scope="col">{_title(name)}</th>' for name in ("n_components", *columns))
    rows = "".join(
        row_of(one["covariance_type"], [str(one["n_components"]), *(_cell(one[name], name) for name in columns)])
        for one in selection.ranked[:LISTED]
    )
    best = f"The best by {text(MEASURES[selection.criterion][0])}"
    return (
        f"<table><caption>{best}</caption><thead><tr>"
        f'<th scope="col">covariance type</th>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    )


def _title(column: str) -> str:
    return {"n_components": "components", "df": "parameters"}.get(column) or text(MEASURES[column][0])


def _cell(value: float, column: str) -> str:
    return str(value) if column == "df" else f"{value:.4f}" if column == "cv" else f"{value:.2f}"


# Pictures ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """From the ranges of two axes to units of the picture."""

    x: tuple[float, float]
    y: tuple[float, float]

    @property
    def scale(self) -> tuple[float, float]:
        """Units of the picture per unit of each axis; the second one is upwards."""
        return (RIGHT - LEFT) / (self.x[1] - self.x[0]), (TOP - BOTTOM) / (self.y[1] - self.y[0])

    def place(self, x: float, y: float) -> tuple[float, float]:
        across, up = self.scale
        return LEFT + across * (x - self.x[0]), BOTTOM + up * (y - self.y[0])

    def line(self, xs: Iterable[float], ys: Iterable[float], look: str) -> str:
        points = " ".join("{:.1f},{:.1f}".format(*self.place(x, y)) for x, y in zip(xs, ys, strict=True))
        return f'<polyline points="{points}" fill="none" {look}/>'


def svg_of(mixture: Mixture, names: Sequence[str] | None = None) -> str:
    """Ellipses of one and two standard deviations in the first two features; of one feature its density."""
    names = feature_names(mixture.n_features) if names is None else names
    return _density(mixture, names[0]) if mixture.n_features == 1 else _ellipses(mixture, names)


def _drawn(mixture: Mixture) -> str:
    """What the picture shows, if that is not all."""
    said = []
    if mixture.n_features > 2:
        said.append(f"the first two of {mixture.n_features} features")
    if mixture.n_components > DRAWN:
        all_of_them = "the density of all, and " if mixture.n_features == 1 else ""
        said.append(f"{all_of_them}the {DRAWN} heaviest of {mixture.n_components} components")
    if mixture.background is not None:
        said.append("components without the background")
    return f"Drawn: {'; '.join(said)}." if said else ""


def _ellipses(mixture: Mixture, names: Sequence[str]) -> str:
    drawn = heaviest(mixture, DRAWN)
    plane = narrowed(mixture, drawn, (0, 1))
    reach = 2 * np.sqrt(np.diagonal(plane.covariances, axis1=1, axis2=2))
    low, high = (plane.means - reach).min(axis=0), (plane.means + reach).max(axis=0)
    low, high = low - 0.03 * (high - low), high + 0.03 * (high - low)
    frame = Frame(*(_range(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True)))
    scale = np.array(frame.scale)
    shapes, labels = [], []
    for k, mean, covariance in zip(drawn, plane.means.tolist(), plane.covariances, strict=True):
        u, v = frame.place(*mean)
        lengths, axes = np.linalg.eigh(covariance * np.outer(scale, scale))
        r1, r2 = np.sqrt(np.maximum(lengths[::-1], 0.0))
        angle = math.degrees(math.atan2(axes[1, 1], axes[0, 1]))
        color = COLORS[k % len(COLORS)]
        rings = "".join(f'<ellipse rx="{times * r1:.3f}" ry="{times * r2:.3f}"/>' for times in (1, 2))
        shapes.append(
            f'<g transform="translate({u:.3f} {v:.3f}) rotate({angle:.4f})" '
            f'fill="{color}" fill-opacity=".12" stroke="{color}" stroke-width="1.3">{rings}</g>'
        )
        labels.append(f'<text x="{u:.1f}" y="{v + 3.5:.1f}" text-anchor="middle" font-weight="bold">{k}</text>')
    what = counted(len(drawn), "component")
    title = f"{what} as ellipses of 1 and 2 standard deviations in the plane of {names[0]} and {names[1]}"
    return _svg(title, frame, names[0], names[1], [*shapes, *labels])


def _density(mixture: Mixture, name: str) -> str:
    drawn = heaviest(mixture, DRAWN)
    part = narrowed(mixture, drawn, (0,))
    means, deviations = part.means[:, 0], np.sqrt(part.covariances[:, 0, 0])
    x = _range(float((means - 3.5 * deviations).min()), float((means + 3.5 * deviations).max()))
    # Evenly spaced points alone would miss narrow components.
    steps = np.linspace(-3, 3, 13)
    own = means[:, None] + steps * deviations[:, None]
    at = np.unique(np.concatenate([np.linspace(*x, 121), own.ravel()]))
    total = _weighted(mixture.weights, mixture.means[:, 0], np.sqrt(mixture.covariances[:, 0, 0]), at).sum(axis=0)
    frame = Frame(x, (0.0, float(total.max()) * 1.05))
    curves = []
    for k, mean, deviation, weight in zip(drawn, means, deviations, part.weights, strict=True):
        near = mean + np.linspace(-3.5, 3.5, 29) * deviation
        curve = _weighted(np.array([weight]), np.array([mean]), np.array([deviation]), near)[0]
        curves.append(
            frame.line(near, curve, f'stroke="{COLORS[k % len(COLORS)]}" stroke-width="1.3" stroke-dasharray="4 2"')
        )
    curves.append(frame.line(at, total, 'stroke="currentColor" stroke-width="1.5"'))
    title = f"Density of {name}, a whole line, and its {counted(len(drawn), 'component')}, broken lines"
    return _svg(title, frame, name, "density", curves)


def _weighted(weights: Array, means: Array, deviations: Array, at: Array) -> Array:
    """w_k N(x | m_k, s_k^2), (K, points)."""
    z = (at - means[:, None]) / deviations[:, None]
    heights = weights / (deviations * math.sqrt(2 * math.pi))
    return np.asarray(heights[:, None] * np.exp(-0.5 * z * z))


def families_drawn(known: Sequence[Mapping[str, Any]]) -> list[str]:
    """Covariance types of these cells, which come best first, as many as a picture has room for."""
    families = list(dict.fromkeys(str(one["covariance_type"]) for one in known))
    most = max(sum(one["covariance_type"] == name for one in known) for name in families)
    return families[: max(1, POINTS // most)]


def svg_of_criterion(selection: Selection) -> str:
    """The criterion against the number of components, a line for each covariance type."""
    column = selection.criterion
    known = ranked(selection.records, column)
    shown = families_drawn(known)
    cells = [one for one in known if one["covariance_type"] in shown]
    counts, values = [one["n_components"] for one in cells], [float(one[column]) for one in cells]
    room = 0.06 * (max(values) - min(values))
    frame = Frame((min(counts) - 0.4, max(counts) + 0.4), _range(min(values) - room, max(values) + room))
    lines = []
    for name in reversed(shown):  # the best one on top
        own = sorted((one["n_components"], float(one[column])) for one in cells if one["covariance_type"] == name)
        best = name == shown[0]
        look = f'stroke="{WINNER}" stroke-width="2"' if best else 'stroke="currentColor" stroke-opacity=".45"'
        pieces = _unbroken(own, counts)
        dots = "".join(
            '<circle cx="{:.1f}" cy="{:.1f}" r="2"/>'.format(*frame.place(*one))
            for piece in pieces
            for one in piece
            if best or len(piece) == 1
        )
        ink = f'fill="{WINNER}"' if best else 'fill="currentColor" opacity=".45"'
        drawn = "".join(
            frame.line([k for k, _ in piece], [value for _, value in piece], look) for piece in pieces if len(piece) > 1
        )
        lines.append(f"<g><title>{text(name)}</title>{drawn}<g {ink}>{dots}</g></g>")
    first = cells[0]
    u, v = frame.place(first["n_components"], float(first[column]))
    lines.append(f'<circle cx="{u:.1f}" cy="{v:.1f}" r="6" fill="none" stroke="currentColor" stroke-width="1.5"/>')
    label, sign = MEASURES[column]
    title = (
        f"{label} against the number of components; {first['covariance_type']} with {first['n_components']} "
        f"is best, {'lower' if sign > 0 else 'higher'} is better"
    )
    return _svg(title, frame, "number of components", label, lines, whole=True)


def _unbroken(own: list[tuple[int, float]], counts: Iterable[int]) -> list[list[tuple[int, float]]]:
    """The cells of a family in pieces: a line does not pass over numbers of components that it has no cell for."""
    tried = sorted(set(counts))
    pieces: list[list[tuple[int, float]]] = []
    for one in own:
        if pieces and tried.index(one[0]) == tried.index(pieces[-1][-1][0]) + 1:
            pieces[-1].append(one)
        else:
            pieces.append([one])
    return pieces


def _svg(title: str, frame: Frame, across: str, up: str, inside: Sequence[str], *, whole: bool = False) -> str:
    said = text(title, 200)
    middle, half = (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2
    marks = []
    for value, label in ticks(*frame.x, whole=whole):
        u = frame.place(value, frame.y[0])[0]
        marks.append(
            f'<path d="M{u:.1f} {BOTTOM}v4"/><text x="{u:.1f}" y="{BOTTOM + 15}"{_squeezed(label)}>{label}</text>'
        )
    sides = []
    for value, label in ticks(*frame.y):
        v = frame.place(frame.x[0], value)[1]
        sides.append(
            f'<path d="M{LEFT} {v:.1f}h-4"/><text x="{LEFT - 6}" y="{v + 3.5:.1f}"{_squeezed(label)}>{label}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="10" fill="currentColor">'
        f"<title>{said}</title>{''.join(inside)}"
        f'<rect x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" height="{BOTTOM - TOP}" fill="none" '
        'stroke="currentColor" stroke-opacity=".5"/>'
        f'<g text-anchor="middle">{"".join(marks)}'
        f'<text x="{middle}" y="{HEIGHT - 8}">{text(across, LONGEST)}</text>'
        f'<text transform="translate(11 {half}) rotate(-90)">{text(up, LONGEST)}</text></g>'
        f'<g text-anchor="end">{"".join(sides)}</g></svg>'
    )


def _squeezed(label: str) -> str:
    """What makes a long label as wide as there is room for."""
    return ' textLength="44" lengthAdjust="spacingAndGlyphs"' if len(label) > 8 else ""


def ticks(low: float, high: float, *, whole: bool = False) -> list[tuple[float, str]]:
    """Round numbers within a range, six at most, and how they are written."""
    size = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(size))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= size * (1 - 1e-9))
    if whole:
        step = max(1.0, step)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    largest = max(abs(low), abs(high))
    digits = max(1, math.ceil(math.log10(largest / step)) + 1)
    form = f"z.{decimals}f" if decimals <= 5 and largest < 1e7 else f".{digits}g"
    first, last = math.ceil(low / step), math.floor(high / step)
    return [(number * step, format(number * step, form)) for number in range(first, last + 1)]


def _range(low: float, high: float) -> tuple[float, float]:
    """A range that can be divided by, also where rounding has eaten it."""
    least = max(1e-9 * max(abs(low), abs(high)), 1e-300)
    return (low, high) if high - low > least else (low - least, high + least)
