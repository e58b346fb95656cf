"""Criteria of model choice against the number of components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mixtura import validation
from mixtura.evaluate import MEASURES, OF_TOTALS, ranked
from mixtura.families import family_of
from mixtura.plot.canvas import axes_of
from mixtura.plot.style import DASHES, LEGEND, MARKERS, OKABE_ITO

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def criterion(selection: object, criterion: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw a criterion of model choice against the number of components, a line for each covariance family.

    Families of one shape and orientation have one colour; whole lines are of equal volumes, broken ones of variable
    ones.  Models that are not ok leave a gap; the best one has a ring.  Lines of families that are far worse than most
    leave the picture; a family that is not in it at all is named.

    Parameters
    ----------
    selection : Selection
        What ``select`` gave.
    criterion : {"bic", "icl", "icl_entropy", "aic", "loglik", "cv"}, optional
        A column of its table; default the one that chose.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If there is no such column, or no selection.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import select
    >>> from mixtura.plot import criterion
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> ax = criterion(select(X, [1, 2], ["EEE", "VVV"], random_state=0))
    >>> ax.get_ylabel()
    'BIC (lower is better)'
    """
    records = _records(selection, "criterion")
    there = [name for name in MEASURES if name in records[0]]
    column = validation.one_of(
        getattr(selection, "criterion", None) if criterion is None else criterion, "criterion", there
    )
    ax = axes_of(ax)
    from matplotlib.ticker import MaxNLocator

    named = list(dict.fromkeys(str(one["covariance_type"]) for one in records))
    for name in named:
        own = sorted((one for one in records if one["covariance_type"] == name), key=lambda one: one["n_components"])
        color, dash, marker = _family_style(name)
        ax.plot(
            [one["n_components"] for one in own],
            [one[column] if one["status"] == "ok" else np.nan for one in own],
            color=color,
            linestyle=dash,
            marker=marker,
            linewidth=1.3,
            markersize=4.5,
            markerfacecolor=color if dash == "-" else "white",
            label=name,
        )
    label, sign = MEASURES[column]
    known = ranked(records, column)
    if known:
        best = known[0]
        place = best["n_components"], best[column]
        ax.plot(*place, marker="o", markersize=13, markerfacecolor="none", markeredgecolor="black", linestyle="none")
        below = sign > 0
        ax.annotate(
            f"{best['covariance_type']}, {best['n_components']}",
            place,
            xytext=(0, -12 if below else 12),
            textcoords="offset points",
            ha="center",
            va="top" if below else "bottom",
        )
        values = np.array([sign * one[column] for one in known])
        top = values.min() + FAR * (np.quantile(values, MOST) - values.min())
        shown = values[values <= top]
        room = 0.18 * np.ptp(shown)
        if len(shown) < len(values) and room > 0:
            ends = [sign * (values.min() - room), sign * (shown.max() + room)]
            ax.set_ylim(min(ends), max(ends))
            inside = {one["covariance_type"] for one in known if sign * one[column] <= shown.max() + room}
            gone = [name for name in named if name not in inside]
            if gone:
                y, va = (0.98, "top") if sign > 0 else (0.02, "bottom")
                ax.text(0.98, y, f"beyond: {', '.join(gone)}", transform=ax.transAxes, ha="right", va=va)
        else:
            ax.margins(y=0.18)
    else:
        ax.text(0.5, 0.5, "no model is ok", transform=ax.transAxes, ha="center")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.set_xlabel("number of components")
    ax.set_ylabel(f"{label} ({'lower' if sign > 0 else 'higher'} is better)")
    ax.legend(
        title="covariance type",
        ncols=1,
        **LEGEND | {"loc": "center left"},
        bbox_to_anchor=(1.01, 0.5),
        handlelength=3,
        frameon=False,
    )
    return ax


MOST, FAR = 0.8, 2.5
"""Share of the models that the picture is made for, and how much of their range it shows."""

KINDS = ("II", "EI", "VI", "EE", "VE", "EV", "VV")
"""Shape and orientation: a colour and a marker each."""


def _family_style(name: str) -> tuple[Any, str, str]:
    """Colour, dash and marker of a covariance family."""
    code = family_of(name).code
    kind = KINDS.index(code[1:])
    # The last kind is black: VVV is in most pictures, and yellow is the weakest of the colours.
    color = OKABE_ITO[-1] if kind == len(KINDS) - 1 else OKABE_ITO[kind]
    return color, "-" if code[0] == "E" else "--", MARKERS[kind]


def criteria(selection: object, names: Sequence[str] = ("bic", "icl"), *, ax: Axes | None = None) -> Axes:
    """Draw criteria side by side against the number of components, each at the family that is best by it.

    Parameters
    ----------
    selection : Selection
        What ``select`` gave.
    names : sequence of {"bic", "icl", "icl_entropy", "aic"}
        Criteria that are lower where they are better, so that they share an axis.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If there is no such criterion, or no selection.
    ImportError
        If matplotlib is missing.

    References
    ----------
    C. Biernacki, G. Celeux and G. Govaert, "Assessing a mixture model for clustering with the integrated completed
    likelihood", IEEE Transactions on Pattern Analysis and Machine Intelligence 22, 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from mixtura import select
    >>> from mixtura.plot import criteria
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> ax = criteria(select(X, [1, 2], ["EEE", "VVV"], random_state=0))
    >>> ax.get_xlabel(), [line.get_label() for line in ax.lines[:2]]
    ('number of components', ['BIC', 'ICL'])
    """
    records = _records(selection, "criteria")
    if isinstance(names, str) or not len(names):
        raise ValueError(f"names must be a sequence of criteria, got {names!r}: pass for example ('bic', 'icl')")
    columns = [validation.one_of(name, "each of names", [*OF_TOTALS]) for name in names]
    ax = axes_of(ax)
    from matplotlib.ticker import MaxNLocator

    curves = [(column, _lower_envelope(records, column)) for column in columns]
    for index, (column, best) in enumerate(curves):
        color = OKABE_ITO[index]
        ax.plot(
            [one["n_components"] for one in best],
            [one[column] for one in best],
            color=color,
            linestyle="-" if index == 0 else DASHES[index - 1],
            marker=MARKERS[index],
            markersize=5,
            label=MEASURES[column][0],
        )
    for index, (column, best) in enumerate(curves):
        if best:
            least = ranked(best, column)[0]
            place = least["n_components"], least[column]
            ax.plot(*place, "o", markersize=13, markerfacecolor="none", markeredgecolor=OKABE_ITO[index])
            ax.annotate(
                f"{least['covariance_type']}, {least['n_components']}",
                place,
                # Criteria that add to the likelihood lie above BIC: what is said of them goes there too.
                xytext=(0, -11 if index == 0 else 11),
                textcoords="offset points",
                ha="center",
                va="top" if index == 0 else "bottom",
                bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.0},
            )
    if not any(best for _, best in curves):
        ax.text(0.5, 0.5, "no model is ok", transform=ax.transAxes, ha="center")
    ax.margins(x=0.08, y=0.15)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.set_xlabel("number of components")
    ax.set_ylabel("criterion (lower is better)")
    ax.legend(**LEGEND)
    return ax


def _lower_envelope(records: Sequence[Mapping[str, Any]], column: str) -> list[Mapping[str, Any]]:
    """Of each number of components the model that is best, in the order of these numbers."""
    best: dict[int, Mapping[str, Any]] = {}
    for one in ranked(records, column):
        best.setdefault(one["n_components"], one)
    return [best[k] for k in sorted(best)]


def _records(selection: object, what: str) -> tuple[Mapping[str, Any], ...]:
    records = getattr(selection, "records", None)
    if not isinstance(records, tuple):
        raise ValueError(f"{what} needs a Selection, got {type(selection).__name__}: pass what select() gave")
    return records
