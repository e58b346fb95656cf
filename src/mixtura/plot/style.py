"""How pictures look: colours that everyone tells apart, and shapes and dashes that say the same in print."""

from __future__ import annotations

from typing import Any

from mixtura.rows import Array

# Okabe & Ito, "Color universal design", 2002: eight colours that people with any common colour
# vision tell apart. Strong ones first, black last as it is the colour of the whole; of their yellow
# the darker form, which a white page does not swallow.
OKABE_ITO: tuple[str, ...] = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0C808", "#000000")
# Shape and dash say the same as colour, for print without colour.
BACKGROUND = "0.6"
"""Grey of rows that belong to no component."""
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "p")
DASHES: tuple[Any, ...] = ("--", "-.", ":", (0, (6, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))

ROWS_DRAWN = 20_000
"""More rows than this hide one another: a random subset is drawn, and the picture says so."""
SHAPED_ROWS = 2_000
"""Up to this many rows the marker's shape tells the component; beyond, rows are dots."""
NAMED = 12
"""Up to this many components a legend names each; beyond, the numbers at the means alone."""
LEVELS = (0.5, 0.9)
"""Shares of a component inside its ellipses."""
MAX_BINS = 200
"""More bars than this are narrower than a line."""

QUIET = "0.35"
"""Grey of what is said beside a picture."""
LEGEND: dict[str, Any] = {
    "loc": "best",
    "fontsize": "small",
    "title_fontsize": "small",
    "framealpha": 0.85,
    "alignment": "left",
}


def color_of(k: int) -> Any:
    """The colour of a component."""
    if k < len(OKABE_ITO):
        return OKABE_ITO[k]
    from matplotlib import colormaps

    # Steps of the golden ratio: neighbours differ, and a component keeps its colour whatever K is.
    return colormaps["viridis"](0.618034 * (k - len(OKABE_ITO)) % 1.0)


def component_label(k: int, weights: Array) -> str:
    """What a legend says of a component."""
    return f"{k}: weight {weights[k]:.2f}" if weights[k] >= 0.01 else f"{k}: weight {weights[k]:.1g}"


def shades(n: int) -> list[tuple[float, float, float]]:
    """``n`` blues from light to dark, which are greys from light to dark in print."""
    from matplotlib.colors import to_rgb

    ink = to_rgb(OKABE_ITO[0])
    shares = [0.55] if n == 1 else [0.18 + 0.62 * step / (n - 1) for step in range(n)]
    return [(1 - s + s * ink[0], 1 - s + s * ink[1], 1 - s + s * ink[2]) for s in shares]
