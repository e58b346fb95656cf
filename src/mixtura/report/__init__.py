"""A page about a model and its rows: what was found, how sure that is, what looks wrong, and what else could be.

data           the rows as they come, and which of them are drawn
judged         what the model says of each row
planes         which features are shown
passes         the passes of the fit
aligned        components of one model called by the numbers of another's
alternatives   other models of the same rows
contents       all of that, gathered, and as numbers
words          all of that in words and tables
packing        numbers in a page
page.html, page.css, page.js   the page itself, with places for the rest
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from numpy.typing import ArrayLike

from mixtura import io, validation
from mixtura.io import PathLike

if TYPE_CHECKING:
    from mixtura.report.contents import Contents


@overload
def report(
    model: Any,
    X: ArrayLike,
    path: None = None,
    *,
    sample_weight: ArrayLike | None = None,
    alternatives: bool = True,
    time_budget: float | None = 10.0,
    seed: int = 0,
) -> str: ...


@overload
def report(
    model: Any,
    X: ArrayLike,
    path: PathLike,
    *,
    sample_weight: ArrayLike | None = None,
    alternatives: bool = True,
    time_budget: float | None = 10.0,
    seed: int = 0,
) -> Path: ...


def report(
    model: Any,
    X: ArrayLike,
    path: PathLike | None = None,
    *,
    sample_weight: ArrayLike | None = None,
    alternatives: bool = True,
    time_budget: float | None = 10.0,
    seed: int = 0,
) -> str | Path:
    """Write one HTML page about a model and its rows, with pictures that answer to the hand and need no network.

    Parameters
    ----------
    model : GaussianMixture, Selection or Mixture
        What the page is about: a fitted estimator; a selection, whose winner and table are shown; or a distribution,
        of which nobody knows how it was fitted.
    X : array-like or frame of shape (n, d), Scan, or Dask array or frame
        Rows, NaN being a missing value.  At most 10,000 of them are drawn, fewer of many features, and the page says
        so.  Of a table that is larger than memory the page is about some rows, one of each stretch.
    path : str or path-like, optional
        File to make or replace, whole or not at all.  None: the page is returned.
    sample_weight : array-like of shape (n,), optional
        Weights of the rows, as in the fit; they count where EM is run again, on at most 2,000 rows.
    alternatives : bool
        Whether other models are fitted to at most 2,000 rows, to be compared on the page: those of the table of a
        selection, or the neighbours of a fit, which are all covariance types (of more than ten features some) with up
        to two components more or fewer.
    time_budget : float or None
        Seconds after which no other model is begun; those that are left out are named.  Without such a limit, or where
        it is not reached, the same model and rows give the same page, byte for byte.
    seed : int
        Which rows are drawn and fitted, and the randomness of what is fitted.

    Returns
    -------
    Path or str
        ``path``; without one, the page.

    Raises
    ------
    ValueError
        If the model is not fitted, X has another number of columns, other names, no rows or an entry that is infinite,
        or the file cannot be written.
    ImportError
        If plotly is missing, which has the script that draws: ``pip install "mixtura[report]"``.

    Notes
    -----
    A fit with trace=True shows its own passes.  For others EM is run again, on at most 2,000 rows, from the start that
    the same parameters choose.  Errors of measurement, labels and histograms that a model was fitted with are not known
    to the page.

    References
    ----------
    L. Davies and U. Gather, "The identification of multiple outliers", Journal of the American Statistical Association
    88, 1993 (rows that are far out).
    M. Rosenblatt, "Remarks on a multivariate transformation", Annals of Mathematical Statistics 23, 1952 (whether rows
    are as the model says).

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from mixtura import GaussianMixture, report
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(6, 1, (40, 2))])
    >>> gm = GaussianMixture(2, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report(gm, X, f"{folder}/report.html").name
    'report.html'
    """
    if path is None:
        return reported(model, X, sample_weight, alternatives, time_budget, seed)
    io.check_writable(path)
    return io.write_whole(path, reported(model, X, sample_weight, alternatives, time_budget, seed))


def reported(
    model: object,
    X: Any,
    sample_weight: ArrayLike | None = None,
    alternatives: bool = True,
    time_budget: float | None = 10.0,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> str:
    """The page; ``names`` are those of the features where neither X nor the model tells them."""
    plotly = plotly_script()
    alternatives = validation.switch(alternatives, "alternatives")
    if time_budget is not None:
        time_budget = validation.number(time_budget, "time_budget")
    seed = validation.count(seed, "seed", least=0)
    from mixtura.report.contents import gathered

    return _page(gathered(model, X, sample_weight, names, alternatives, time_budget, seed), plotly)


def plotly_script() -> str:
    """The script that draws; ImportError, with what to do, if it is missing."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ImportError('a report needs plotly, which is not installed: pip install "mixtura[report]"') from error
    # Where a script element ends is for the letters to say, wherever they stand.
    return re.sub(r"</(?=script)", r"<\\/", str(get_plotlyjs()), flags=re.IGNORECASE)


def _page(contents: Contents, plotly: str) -> str:
    from mixtura.report import packing, words
    from mixtura.report.contents import model_file, numbers_of

    folder = files("mixtura.report")
    html, css, script = (folder.joinpath(f"page.{ending}").read_text("utf-8") for ending in ("html", "css", "js"))
    pieces = {
        **words.sections_of(contents),
        "css": css,
        "script": script,
        "plotly": plotly,
        "data": packing.json_of(numbers_of(contents)),
        "file": packing.in_script(model_file(contents)),
    }
    # In one go: what is put in has no places of its own.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: pieces[found[1]], html)
