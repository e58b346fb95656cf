"""EM in motion: the model of each pass, and the objective as far as it has come.

A row takes the colour sum_k r_k c_k, where r (K,) are its responsibilities and c_k the colours of the components: what
lies between two components is of a colour between theirs.

Of a long run some passes are shown. Where Q_t is the objective after pass t and V_t = sum_{s <= t} |Q_s - Q_{s-1}|, the
passes t_0 = 0 < t_1 < ... < T shown are those of the smallest c for which

    V_{t_i} - V_{t_{i-1}} <= c        unless t_i = t_{i-1} + 1

gives FRAMES of them or fewer: a pass that changes much has a frame of its own, many that change little share one.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2, norm

from mixtura import validation
from mixtura.io import PathLike, check_writable, reason, replacing, write_whole
from mixtura.mixture import Mixture, mixture_of
from mixtura.plot.canvas import (
    draw_ellipses,
    draw_numbers,
    names_of,
    part_of,
    pyplot,
    remark,
    shares,
    two_features,
    widened,
)
from mixtura.plot.one_feature import bars
from mixtura.plot.style import BACKGROUND, DASHES, LEGEND, LEVELS, OKABE_ITO, color_of
from mixtura.rows import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

FRAMES = 60
"""Passes shown at most."""
ROWS = 2_000
"""Rows drawn at most."""
INCHES, DPI = (9.0, 4.5), 100
"""Size of a frame; in pixels both sides are even, as films want it."""
REST = 2.0
"""Seconds for which the last frame stands before all begins anew."""


@dataclass(frozen=True)
class Animation:
    """An animation that shows itself in a notebook; its page needs nothing from elsewhere."""

    n_frames: int
    page: str = field(repr=False)

    def _repr_html_(self) -> str:
        # A frame of its own: scripts and styles of two animations, and of the notebook, do not meet.
        width, height = (round(side * DPI) + room for side, room in zip(INCHES, (20, 60), strict=True))
        return (
            f'<iframe srcdoc="{escape(self.page)}" title="EM in motion" width="{width}" height="{height}" '
            'style="border:0;max-width:100%"></iframe>'
        )


@dataclass(frozen=True, eq=False)
class _Run:
    """What is drawn of the passes of a run, T + 1 with its start; rows (n, 1) or (n, 2) of n_rows, if there are any."""

    shown: Sequence[int]  # passes that have a frame
    models: Sequence[Mixture]  # theirs, of the features that are drawn
    objectives: Array  # of all passes
    accelerated: NDArray[np.intp]  # indices of passes
    called: str  # the objective
    background: bool  # whether weights leave something to it
    names: Sequence[str]
    rows: Array | None
    colors: Sequence[Array] | None  # (n, 3) for each frame
    n_rows: int


@overload
def animate(
    fitted: Any,
    path: None = None,
    X: ArrayLike | None = None,
    *,
    fps: float = 8,
    features: Sequence[int] = (0, 1),
    seed: int = 0,
) -> Animation: ...


@overload
def animate(
    fitted: Any,
    path: PathLike,
    X: ArrayLike | None = None,
    *,
    fps: float = 8,
    features: Sequence[int] = (0, 1),
    seed: int = 0,
) -> Path: ...


def animate(
    fitted: Any,
    path: PathLike | None = None,
    X: ArrayLike | None = None,
    *,
    fps: float = 8,
    features: Sequence[int] = (0, 1),
    seed: int = 0,
) -> Path | Animation:
    """Show a fit in motion: ellipses, rows in the colours of their responsibilities, the log-likelihood as it grows.

    Parameters
    ----------
    fitted : GaussianMixture fitted with trace=True, or iterable of (Mixture, float)
        The passes of a run; pairs of a mixture and its objective in nats are those of ``fit_iter``.  Of more than 60
        passes at most 60 are shown, so chosen that the objective changes as evenly as it can from one to the next;
        the first and the last are among them.
    path : str or path-like, optional
        File to make or replace, whole or not at all: .gif, .html (one page that plays without a network) or .mp4
        (which needs the program ffmpeg).  None: an object that shows itself in a notebook.
    X : array-like or frame of shape (n, d), optional
        Rows to draw, as an estimator does not keep its own; with d = 1 a histogram of all of them.  Of more than 2,000
        rows as many are drawn, and the picture says so.  Without rows the ellipses stand alone.
    fps : float
        Frames a second, from 0.1 to 50; the last one stands two seconds longer.
    features : two int
        Features on the x axis and the y axis; with d = 1, densities are drawn instead of ellipses.
    seed : int
        Which rows are drawn.

    Returns
    -------
    Path or Animation
        ``path``; without one, the object for notebooks.

    Raises
    ------
    ValueError
        If the estimator was not fitted with trace=True, there are no passes or they do not belong together, X does not
        suit them, the file has another ending or cannot be written, or ffmpeg is needed and missing.
    ImportError
        If matplotlib is missing.

    References
    ----------
    A. P. Dempster, N. M. Laird and D. B. Rubin, "Maximum likelihood from incomplete data via the EM algorithm",
    Journal of the Royal Statistical Society B 39, 1977.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from mixtura import GaussianMixture, animate
    >>> X = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [5.0, 5.0], [6.0, 5.0], [5.0, 6.0]])
    >>> gm = GaussianMixture(2, covariance_type="spherical", trace=True, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     animate(gm, f"{folder}/em.gif", X).name
    'em.gif'
    """
    pyplot()
    fps = validation.number(fps, "fps", least=0.1)
    if fps > 50:
        raise ValueError(f"fps must be from 0.1 to 50, got {fps:g}: what is faster, no eye and no GIF can follow")
    seed = validation.count(seed, "seed", least=0)
    if path is not None:
        _check_path(path)
    run = _run_of(fitted, X, features, seed)
    images = _images(run)
    if path is None:
        return Animation(len(run.shown), _page(images, fps))
    _WRITERS[Path(path).suffix.lower()](path, images, fps)
    return Path(path)


# What is shown -----------------------------------------------------------------------------------


def _run_of(fitted: Any, X: Any, features: Sequence[int], seed: int) -> _Run:
    """The passes to show."""
    models, objectives, accelerated, called = traced(fitted) if hasattr(fitted, "fit") else _paired(fitted)
    d = models[0].n_features
    chosen = [0] if d == 1 else [*two_features(features, d)]
    names = names_of(fitted, X, None, d)
    rows = colors = None
    n_rows = 0
    shown = frames(objectives)
    if X is not None:
        points = validation.points(X, d)
        points = points[~np.isnan(points[:, chosen]).any(axis=1)]  # those that have a place in the picture
        n_rows = len(points)
        if n_rows > ROWS and d > 1:
            points = points[np.random.default_rng(seed).choice(n_rows, ROWS, replace=False)]
        rows = np.asarray(points[:, chosen], dtype=np.float64) if n_rows else None
        if rows is not None and d > 1:
            colors = [_blended(models[index], points) for index in shown]
    return _Run(
        shown,
        [models[index].marginal(chosen) for index in shown],
        objectives,
        accelerated,
        called,
        models[0].background is not None,
        [names[feature] for feature in chosen],
        rows,
        colors,
        n_rows,
    )


def traced(estimator: Any) -> tuple[list[Mixture], Array, NDArray[np.intp], str]:
    """The models that an estimator kept, beside its background if it has one."""
    mixture_of(estimator)
    history = getattr(estimator, "history_", [])
    if not history or not all("model" in one for one in history):
        raise ValueError(
            "animate needs the model of every pass, got an estimator that did not keep them: fit it with trace=True"
        )
    background = getattr(estimator, "background_", None)
    models = [
        one["model"] if background is None else one["model"].beside(replace(background, weight=one["noise_weight"]))
        for one in history
    ]
    accelerated = np.flatnonzero([one["accelerated"] for one in history])
    objectives = np.array([one["objective"] for one in history])
    plain = all(one["objective"] == one["loglik"] for one in history)
    return models, objectives, accelerated, "log-likelihood (nats)" if plain else "log-likelihood and log prior (nats)"


def _paired(pairs: Iterable[tuple[Mixture, float]]) -> tuple[list[Mixture], Array, NDArray[np.intp], str]:
    """The models of pairs as ``fit_iter`` gives them."""
    wanted = "animate needs an estimator fitted with trace=True, or pairs of a Mixture and its objective"
    if not isinstance(pairs, Iterable):
        raise ValueError(f"{wanted}, got a {type(pairs).__name__}: pass for example gm.fit_iter(X)")
    models, objectives = [], []
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], Mixture)):
            raise ValueError(f"{wanted}, got a {type(pair).__name__} among them: pass for example gm.fit_iter(X)")
        models.append(pair[0])
        objectives.append(validation.number(pair[1], "each objective", least=-np.inf))
    if not models:
        raise ValueError(f"{wanted}, got none: an iterator can be used once, so make a new one")
    if len({model.n_features for model in models}) > 1:
        raise ValueError("animate needs mixtures of one run, got some of different numbers of features: pass one run")
    return models, np.array(objectives), np.array([], dtype=np.intp), "objective (nats)"


def frames(objectives: Array, most: int = FRAMES) -> list[int]:
    """The passes shown of a run with these objectives (T + 1,): ``most`` (two or more), or fewer."""
    last = len(objectives) - 1
    if last < most:
        return [*range(last + 1)]
    way = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(objectives)))])

    def within(change: float) -> list[int]:
        found = [0]
        while found[-1] < last:
            far = int(np.searchsorted(way, way[found[-1]] + change, side="right")) - 1
            found.append(max(far, found[-1] + 1))
        return found

    low, high = 0.0, float(way[-1])
    chosen = [0, last]
    for _ in range(50):
        middle = (low + high) / 2
        tried = within(middle)
        if len(tried) <= most:
            chosen, high = tried, middle
        else:
            low = middle
    return chosen


def _blended(model: Mixture, points: Any) -> Array:
    """The colours (n, 3) that rows have by their responsibilities."""
    from matplotlib.colors import to_rgb

    named = [color_of(k) for k in range(model.n_components)] + [BACKGROUND] * (model.background is not None)
    # Rounding may leave a sum that is a hair above one.
    blended = model.responsibilities(points) @ np.array([to_rgb(color) for color in named])
    return np.asarray(np.minimum(blended, 1.0))


# Drawing -----------------------------------------------------------------------------------------


def _images(run: _Run) -> Iterator[Image]:
    """The frames, in the 256 colours that suit each best."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure = pyplot().Figure(figsize=INCHES, dpi=DPI, layout="constrained")
    canvas: Any = FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2, width_ratios=[1.5, 1.0])
    draw = _densities(run) if run.models[0].n_features == 1 else _ellipses(run)
    # Where things stand is found once, by the last frame, lest they tremble.
    _draw(axes, run, draw, len(run.shown) - 1)
    canvas.draw()
    figure.set_layout_engine("none")
    for frame in range(len(run.shown)):
        _draw(axes, run, draw, frame)
        canvas.draw()
        image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        yield image.quantize(256, dither=Image.Dither.NONE)


def _draw(axes: Any, run: _Run, draw: Callable[[Axes, int], None], frame: int) -> None:
    for ax in axes:
        ax.clear()
    draw(axes[0], frame)
    axes[0].set_title(f"pass {run.shown[frame]} of {run.shown[-1]}", loc="left")
    _curve(axes[1], run, run.shown[frame])


def _ellipses(run: _Run) -> Callable[[Axes, int], None]:
    """How a frame of two features is drawn."""
    # With rows the frame is theirs, and that of where the components end; without, of wherever these go.
    held = run.models if run.rows is None else run.models[-1:]
    reach = np.sqrt(chi2.ppf(LEVELS[-1], 2))
    ends = [model.means + side * reach * np.sqrt(model.layout.diagonal) for model in held for side in (-1, 1)]
    inside = np.concatenate(ends if run.rows is None else [run.rows, *ends])
    low, high = inside.min(axis=0), inside.max(axis=0)

    def draw(ax: Axes, frame: int) -> None:
        model = run.models[frame]
        colors = [color_of(k) for k in range(model.n_components)]
        ax.set_xlim(*widened(low[0], high[0], 0.04))
        ax.set_ylim(*widened(low[1], high[1], 0.04))
        if run.rows is not None and run.colors is not None:
            size = float(np.clip(26 * (250 / len(run.rows)) ** 0.5, 5, 26))
            ax.scatter(run.rows[:, 0], run.rows[:, 1], size, c=run.colors[frame], alpha=0.6, linewidths=0)
        drawn = 0 if run.rows is None else len(run.rows)
        remark(ax, f"{shares(LEVELS)} ellipses", part_of(drawn, run.n_rows))
        for k in range(model.n_components):
            draw_ellipses(ax, model.means[k], model.covariances[k], LEVELS, colors[k])
        draw_numbers(ax, model.means, colors)
        ax.set_xlabel(run.names[0])
        ax.set_ylabel(run.names[1])

    return draw


def _densities(run: _Run) -> Callable[[Axes, int], None]:
    """How a frame of one feature is drawn."""
    last = run.models[-1]
    heights, edges = np.empty(0), np.empty(0)
    ends = [model.means + side * np.sqrt(model.layout.diagonal) for model in run.models for side in (-3, 3)]
    low, high = float(np.concatenate(ends).min()), float(np.concatenate(ends).max())
    if run.rows is not None:
        values = run.rows[:, 0]
        edges = bars(values, last.only([*range(last.n_components)]))
        heights = np.histogram(values, bins=edges)[0] / (len(values) * np.diff(edges))
        low, high = widened(float(edges[0]), float(edges[-1]), 0.03)
    x = np.linspace(low, high, 1025)
    top = 1.12 * max(float(_parts(last, x).sum(axis=1).max()), float(heights.max(initial=0.0)))

    def draw(ax: Axes, frame: int) -> None:
        model = run.models[frame]
        colors = [color_of(k) for k in range(model.n_components)]
        ax.set_xlim(low, high)
        ax.set_ylim(0, top)
        if run.rows is not None:
            ax.stairs(heights, edges, fill=True, color="0.82")
        remark(
            ax,
            f"{run.n_rows:,} rows" if run.rows is not None else "",
            f"background {1 - model.weights.sum():.0%}" if run.background else "",
        )
        parts = _parts(model, x)
        for k, color in enumerate(colors):
            ax.plot(x, parts[:, k], color=color, linestyle=DASHES[k % len(DASHES)], linewidth=1.6)
            ax.fill_between(x, parts[:, k], color=color, alpha=0.10, linewidth=0)
        ax.plot(x, parts.sum(axis=1), color="black", linewidth=1.8)
        peaks = model.weights * norm.pdf(0) / np.sqrt(model.layout.diagonal[:, 0])
        draw_numbers(ax, np.column_stack([model.means[:, 0], np.minimum(peaks, 0.95 * top)]), colors)
        ax.set_xlabel(run.names[0])
        ax.set_ylabel("density")

    return draw


def _parts(line: Mixture, x: Array) -> Array:
    """Weighted densities (len(x), K) of the components of a mixture of one feature."""
    return np.asarray(line.weights * norm.pdf(x[:, None], line.means[:, 0], np.sqrt(line.layout.diagonal[:, 0])))


def _curve(ax: Axes, run: _Run, reached: int) -> None:
    """The objective up to a pass, in the frame of the whole run."""
    from matplotlib.ticker import MaxNLocator

    objectives = run.objectives
    few = len(objectives) <= FRAMES
    passes = np.arange(reached + 1)
    ax.plot(passes, objectives[: reached + 1], color=OKABE_ITO[0], linewidth=1.6, marker="o" if few else "", ms=3.5)
    steps = run.accelerated[run.accelerated <= reached]
    if len(run.accelerated):
        ax.plot(
            steps,
            objectives[steps],
            linestyle="none",
            marker="D",
            markersize=6 if few else 4,
            markerfacecolor="white",
            markeredgecolor=OKABE_ITO[1],
            markeredgewidth=1.4,
            label="accelerated step",
            zorder=3,
        )
        ax.legend(**LEGEND | {"loc": "center right"})
    ax.plot([reached], objectives[[reached]], "o", color="black", markersize=6, zorder=4)
    ax.axhline(objectives[-1], color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    ax.set_xlim(*widened(0, max(len(objectives) - 1, 1), 0.04))
    ax.set_ylim(*widened(float(objectives.min()), float(objectives.max()), 0.06))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.set_xlabel("pass")
    ax.set_ylabel(run.called)
    # The curve climbs, so that this corner is free.
    ax.text(0.97, 0.04, f"{objectives[reached]:,.2f}", transform=ax.transAxes, ha="right", va="bottom")


# Files -------------------------------------------------------------------------------------------


def _check_path(path: PathLike) -> None:
    """Refuse what cannot be written, before there is any work done."""
    ending = Path(path).suffix.lower()
    if ending not in _WRITERS:
        raise ValueError(f"path must end in {', '.join(_WRITERS)}, got {os.fspath(path)!r}: choose one of these")
    check_writable(path)
    if ending == ".mp4":
        _ffmpeg()


def _ffmpeg() -> str:
    """The program that makes films."""
    from matplotlib import rcParams

    program = shutil.which(str(rcParams["animation.ffmpeg_path"]))
    if program is None:
        raise ValueError(
            "an .mp4 needs the program ffmpeg, which was not found: install it, or write a .gif or an .html file"
        )
    return program


def _gif(path: PathLike, images: Iterator[Image], fps: float) -> None:
    first, *others = images
    pause = 10 * round(100 / fps)  # a GIF counts in hundredths of a second
    lasts = [*[pause] * len(others), pause + round(1000 * REST)]
    with replacing(path) as file:
        # What is written is gone over again, which what is no file cannot bear.
        whole = io.BytesIO()
        first.save(whole, "GIF", save_all=True, append_images=others, duration=lasts, loop=0)
        file.write(whole.getvalue())


def _mp4(path: PathLike, images: Iterator[Image], fps: float) -> None:
    first = next(images)
    size = f"{first.width}x{first.height}"
    command = [_ffmpeg(), "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", f"{fps:g}"]
    # Only this form of colour is known to all players.
    command += ["-i", "-", "-an", "-vcodec", "h264", "-pix_fmt", "yuv420p"]
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        last = b""
        with (Path(folder) / "frames").open("w+b") as raw:
            for image in (first, *images):
                last = image.convert("RGB").tobytes()
                raw.write(last)
            for _ in range(round(REST * fps)):
                raw.write(last)
            raw.seek(0)
            try:
                made = subprocess.run([*command, os.fspath(film)], stdin=raw, capture_output=True, check=False)
            except OSError as error:
                raise ValueError(f"cannot write {path}: ffmpeg did not start, {reason(error)}: write a .gif") from error
        if made.returncode:
            said = " ".join(made.stderr.decode(errors="replace").split())
            raise ValueError(f"cannot write {path}: ffmpeg said {said!r}: mend it, or write a .gif or an .html file")
        write_whole(path, film.read_bytes())


def _html(path: PathLike, images: Iterator[Image], fps: float) -> None:
    write_whole(path, _page(images, fps))


_WRITERS: dict[str, Callable[[PathLike, Iterator[Image], float], None]] = {".gif": _gif, ".html": _html, ".mp4": _mp4}


def _page(images: Iterator[Image], fps: float) -> str:
    """A page that holds the frames and plays them, without anything from elsewhere."""
    encoded = []
    for image in images:
        png = io.BytesIO()
        image.save(png, "PNG")
        encoded.append(f"data:image/png;base64,{b64encode(png.getvalue()).decode()}")
    listed = ",\n".join(f'"{one}"' for one in encoded)
    return _PAGE.format(first=encoded[0], last=len(encoded) - 1, frames=listed, pause=1000 / fps, rest=1000 * REST)


# matplotlib's own page asks another server for the signs on its buttons. Who wants no motion gets none before pressing
# the button.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>EM in motion</title>
<style>
body {{ font: 15px sans-serif; margin: 8px; background: white; }}
img {{ display: block; max-width: 100%; }}
div {{ display: flex; gap: 10px; align-items: center; max-width: 900px; }}
input {{ flex: 1; }}
button {{ width: 5em; font: inherit; }}
</style>
</head>
<body>
<img id="frame" alt="EM in motion: the mixture and its objective, pass by pass" src="{first}">
<div>
<button id="play" type="button">Play</button>
<input id="at" type="range" min="0" max="{last}" value="0" aria-label="frame">
</div>
<script>
const frames = [
{frames}
];
const frame = document.getElementById("frame");
const at = document.getElementById("at");
const play = document.getElementById("play");
let timer = null;
function show(index) {{
  at.value = index;
  frame.src = frames[index];
}}
function later() {{
  const index = Number(at.value);
  timer = setTimeout(() => {{ show((index + 1) % frames.length); later(); }}, {pause} + (index == {last} ? {rest} : 0));
}}
function stop() {{
  clearTimeout(timer);
  timer = null;
  play.textContent = "Play";
}}
function start() {{
  play.textContent = "Pause";
  later();
}}
play.addEventListener("click", () => timer === null ? start() : stop());
at.addEventListener("input", () => {{ stop(); show(Number(at.value)); }});
if (!matchMedia("(prefers-reduced-motion: reduce)").matches) start();
</script>
</body>
</html>
"""
