"""Fits in motion: files are what their names say, frames show the models of the passes, and no file is half done."""

from __future__ import annotations

import base64
import io
import re
import stat
import subprocess
import sys
from dataclasses import dataclass
from html import unescape
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, StepPatch
from PIL import Image
from scipy.integrate import trapezoid
from scipy.stats import chi2, multivariate_normal, norm
from sklearn.exceptions import NotFittedError

import mixtura
from cases import unfinished
from mixtura import GaussianMixture, Mixture, animate
from mixtura.plot import OKABE_ITO

# The function has the name of its module.
moving = sys.modules["mixtura.animate"]

TRUE = Mixture([0.4, 0.6], [[0.0, 0.0], [3.0, 1.0]], [[[1.0, 0.5], [0.5, 1.0]], [[1.0, -0.4], [-0.4, 0.6]]])
X = TRUE.sample(120, rng=0)[0]


def traced(rows: Any = X, **parameters: Any) -> GaussianMixture:
    """A fit of three passes and its start."""
    usual = {"n_components": 2, "n_init": 1, "accelerate": None, "max_iter": 3, "tol": 0, "trace": True}
    return unfinished(GaussianMixture(**usual | {"random_state": 0} | parameters), rows)


@dataclass
class Frame:
    title: str
    ellipses: list[Ellipse]
    rows: list[PathCollection]
    steps: list[StepPatch]
    lines: list[Line2D]
    remark: str
    curve: list[Line2D]
    called: str


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Frame]:
    """The frames as they were drawn, the first for finding the places; no page needs to be made of them."""
    found: list[Frame] = []
    draw = moving._draw

    def watched(axes: Any, *rest: Any) -> None:
        draw(axes, *rest)
        left, right = axes
        found.append(
            Frame(
                left.get_title("left"),
                [one for one in left.patches if isinstance(one, Ellipse)],
                list(left.collections),
                [one for one in left.patches if isinstance(one, StepPatch)],
                list(left.lines),
                left.get_title("right"),
                list(right.lines),
                right.get_ylabel(),
            )
        )

    monkeypatch.setattr(moving, "_draw", watched)
    return found


def pngs(page: str) -> list[Image.Image]:
    encoded = re.findall(r'^"data:image/png;base64,([^"]+)"', page, flags=re.MULTILINE)
    return [Image.open(io.BytesIO(base64.b64decode(one))) for one in encoded]


# files -------------------------------------------------------------------------------------------


def test_gif(tmp_path: Path) -> None:
    path = tmp_path / "em.gif"
    gm = traced()
    assert animate(gm, path, X, fps=4) == path
    with Image.open(path) as film:
        assert (film.format, film.n_frames, film.info["loop"]) == ("GIF", len(gm.history_), 0)
        first = np.asarray(film.convert("RGB"), dtype=int)
        assert film.info["duration"] == 250
        film.seek(film.n_frames - 1)
        last = np.asarray(film.convert("RGB"), dtype=int)
        assert film.info["duration"] == 2250
    assert (np.abs(first - last).max(axis=2) > 64).sum() > 500
    assert [one.name for one in tmp_path.iterdir()] == ["em.gif"]


def test_html_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    gm = traced()
    path = animate(gm, str(tmp_path / "em.HTML"), X)
    page = Path(path).read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    frames = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    assert not re.search(r"https?:|//\w|<link|import|@font-face|url\(", frames)
    found = pngs(page)
    assert len(found) == len(gm.history_)
    assert {one.size for one in found} == {(900, 450)}
    pixels = [np.asarray(one.convert("RGB")) for one in found]
    assert all((a != b).any() for a, b in pairwise(pixels))


def test_notebook_shows_the_same_page(tmp_path: Path) -> None:
    gm = traced(max_iter=1)
    shown = animate(gm, X=X)
    held = re.fullmatch(r'<iframe srcdoc="([^"]*)"[^<>]*></iframe>', shown._repr_html_())
    assert held
    page = animate(gm, tmp_path / "em.html", X).read_text(encoding="utf-8")
    assert unescape(held[1]) == page
    assert repr(shown) == "Animation(n_frames=2)"


def stand_in(folder: Path, script: str) -> str:
    program = folder / "ffmpeg"
    program.write_text(f"#!{sys.executable}\nimport sys, pathlib\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def test_mp4_hands_all_frames_to_ffmpeg(tmp_path: Path) -> None:
    # A stand-in, as few machines have the program: it notes what came in, of which the size tells the frames.
    said = "pathlib.Path(sys.argv[-1]).write_text(' '.join(sys.argv[1:-1]) + f'|{len(sys.stdin.buffer.read())}')"
    gm = traced(max_iter=1)
    with mpl.rc_context({"animation.ffmpeg_path": stand_in(tmp_path, said)}):
        path = animate(gm, tmp_path / "em.mp4", X, fps=5)
    arguments, size = path.read_text().split("|")
    assert "-pix_fmt rgb24 -s 900x450 -r 5 -i -" in arguments
    assert int(size) == (2 + 10) * 900 * 450 * 3  # two passes, and two seconds of rest


def test_mp4_that_fails_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "em.mp4"
    path.write_text("older")
    failing = stand_in(tmp_path, "sys.stdin.buffer.read(); sys.exit('no such codec')")
    with (
        mpl.rc_context({"animation.ffmpeg_path": failing}),
        pytest.raises(ValueError, match="ffmpeg said 'no such codec'"),
    ):
        animate(traced(max_iter=1), path)
    assert path.read_text() == "older"


def test_a_fault_while_drawing_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = moving._curve

    def failing(ax: Any, run: Any, reached: int) -> None:
        if reached == 1:
            raise RuntimeError("in the midst")
        draw(ax, run, reached)

    monkeypatch.setattr(moving, "_curve", failing)
    for ending in ("gif", "html"):
        with pytest.raises(RuntimeError, match="in the midst"):
            animate(traced(), tmp_path / f"em.{ending}")
    assert not [*tmp_path.iterdir()]


def test_same_bits_and_nothing_else_touched(tmp_path: Path) -> None:
    before, open_figures = dict(mpl.rcParams), plt.get_fignums()
    gm = traced(max_iter=1)
    many = TRUE.sample(2_500, rng=1)[0]
    one, two = (animate(gm, tmp_path / f"{name}.gif", many).read_bytes() for name in ("one", "two"))
    assert one == two
    assert animate(gm, tmp_path / "three.gif", many, seed=1).read_bytes() != one
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == open_figures


# what is shown -----------------------------------------------------------------------------------


def test_frames_are_the_models_of_the_passes(drawn: list[Frame]) -> None:
    gm = traced()
    animate(gm, X=X)
    assert len(drawn) == 1 + len(gm.history_)
    for frame, one in zip(drawn[1:], gm.history_, strict=True):
        assert len(frame.ellipses) == 4
        for k in range(2):
            # By pairs for each component, the wider one first.
            for ellipse, share in zip(frame.ellipses[2 * k : 2 * k + 2], (0.9, 0.5), strict=True):
                np.testing.assert_allclose(ellipse.center, one["model"].means[k])
                turn = np.radians(ellipse.angle)
                axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
                halves = np.array([ellipse.width, ellipse.height]) / 2
                covariance = axes @ np.diag(halves**2) @ axes.T / chi2.ppf(share, 2)
                np.testing.assert_allclose(covariance, one["model"].covariances[k], rtol=1e-9)
    np.testing.assert_allclose(drawn[-1].ellipses[0].center, gm.means_[0])
    assert [frame.title for frame in drawn[1:]] == [f"pass {t} of 3" for t in range(4)]


def test_colours_are_the_responsibilities(drawn: list[Frame]) -> None:
    gm = traced(max_iter=1)
    animate(gm, X=X)
    model = gm.history_[-1]["model"]
    joint = np.column_stack(
        [model.weights[k] * multivariate_normal.pdf(X, model.means[k], model.covariances[k]) for k in range(2)]
    )
    r = joint / joint.sum(axis=1, keepdims=True)
    assert (r.max(axis=1) < 0.9).sum() > 3
    expected = r @ np.array([to_rgb(OKABE_ITO[k]) for k in range(2)])
    np.testing.assert_allclose(drawn[-1].rows[0].get_facecolors()[:, :3], expected, atol=1e-9)
    np.testing.assert_array_equal(drawn[-1].rows[0].get_offsets(), X)


def test_rows_of_the_background_are_grey(drawn: list[Frame]) -> None:
    far = np.random.default_rng(0).uniform(-30, 30, (60, 2))
    rows = np.concatenate([X, far])
    gm = traced(rows, noise=True, max_iter=5)
    animate(gm, X=rows)
    away = gm.predict_proba(rows)[:, -1] > 0.999
    assert away.sum() > 20
    np.testing.assert_allclose(drawn[-1].rows[0].get_facecolors()[away, :3], 0.6, atol=0.01)


def test_curve_grows_and_marks_accelerated_passes(drawn: list[Frame]) -> None:
    gm = traced(accelerate="lbfgs", max_iter=11)
    assert any(one["accelerated"] for one in gm.history_)
    animate(gm)
    for t, frame in enumerate(drawn[1:]):
        curve, marks = frame.curve[:2]
        np.testing.assert_array_equal(curve.get_ydata(), gm.log_likelihood_history_[: t + 1])
        steps = [s for s, one in enumerate(gm.history_[: t + 1]) if one["accelerated"]]
        np.testing.assert_array_equal(marks.get_xdata(), steps)
        assert frame.called == "log-likelihood (nats)"


def test_curve_is_the_objective_where_there_is_a_prior(drawn: list[Frame]) -> None:
    gm = traced(prior=mixtura.FraleyRaftery(), max_iter=1)
    animate(gm)
    np.testing.assert_array_equal(drawn[-1].curve[0].get_ydata(), [one["objective"] for one in gm.history_])
    assert drawn[-1].called == "log-likelihood and log prior (nats)"


def test_one_feature(drawn: list[Frame], tmp_path: Path) -> None:
    gm = traced(X[:, :1])
    animate(gm, tmp_path / "line.gif", X[:, 0])
    with Image.open(tmp_path / "line.gif") as film:
        assert film.n_frames == len(gm.history_)
    for frame, one in zip(drawn[1:], gm.history_, strict=True):
        model = one["model"]
        for k in range(2):
            x, y = frame.lines[k].get_data()
            expected = model.weights[k] * norm.pdf(x, model.means[k, 0], np.sqrt(model.covariances[k, 0, 0]))
            np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-300)
    values, edges, _ = drawn[-1].steps[0].get_data()
    assert np.sum(values * np.diff(edges)) == pytest.approx(1)
    whole = drawn[-1].lines[2]
    assert trapezoid(whole.get_ydata(), whole.get_xdata()) == pytest.approx(1, abs=0.05)
    assert drawn[-1].remark == "120 rows"


def test_iterables(drawn: list[Frame], tmp_path: Path) -> None:
    gm = GaussianMixture(2, n_init=1, random_state=0)
    pairs = [*gm.fit_iter(X)][:3]
    assert animate(iter(pairs), tmp_path / "em.gif", X) == tmp_path / "em.gif"
    assert len(drawn) == 4
    np.testing.assert_allclose(drawn[-1].ellipses[0].center, pairs[-1][0].means[0])
    np.testing.assert_array_equal(drawn[-1].curve[0].get_ydata(), [objective for _, objective in pairs])


def test_two_of_three_features_with_their_names_and_gaps(drawn: list[Frame]) -> None:
    rows = np.column_stack([X, X.sum(axis=1) + np.random.default_rng(1).normal(size=len(X))])
    frame = pd.DataFrame(rows, columns=["length", "width", "mass"])
    gm = traced(frame, max_iter=1)
    frame.loc[0, "mass"] = np.nan
    frame.loc[1, "length"] = np.nan  # is not drawn, but tells of others
    animate(gm, X=frame, features=(2, 1))
    np.testing.assert_allclose(drawn[-1].ellipses[0].center, gm.means_[0, [2, 1]])
    assert len(drawn[-1].rows[0].get_offsets()) == len(rows) - 1


def test_of_many_rows_some_are_drawn_and_the_picture_says_so(drawn: list[Frame]) -> None:
    animate(traced(max_iter=1), X=TRUE.sample(2_500, rng=1)[0])
    assert len(drawn[-1].rows[0].get_offsets()) == moving.ROWS
    assert drawn[-1].remark == "50% and 90% ellipses; 2,000 of 2,500 rows"


# long runs ---------------------------------------------------------------------------------------


def greatest_change(objectives: np.ndarray, chosen: list[int]) -> float:
    """Between passes shown one after the other, where there are passes between."""
    return max(abs(objectives[b] - objectives[a]) for a, b in pairwise(chosen) if b > a + 1)


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.995])
def test_long_runs_are_shown_in_even_steps(rate: float) -> None:
    objectives = -1000 * rate ** np.arange(900.0)
    chosen = moving.frames(objectives)
    assert (chosen[0], chosen[-1]) == (0, 899)
    assert len(chosen) <= moving.FRAMES
    assert all(a < b for a, b in pairwise(chosen))
    evenly = np.unique(np.linspace(0, 899, moving.FRAMES).round().astype(int)).tolist()
    assert greatest_change(objectives, chosen) < greatest_change(objectives, evenly)


def test_no_choice_of_frames_is_more_even() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        objectives = np.cumsum(rng.exponential(size=9) ** 3)
        chosen = moving.frames(objectives, 5)
        best = min(greatest_change(objectives, [0, *inner, 8]) for inner in combinations(range(1, 8), 3))
        assert len(chosen) <= 5
        assert greatest_change(objectives, chosen) == pytest.approx(best)


def test_runs_that_stand_still_and_short_ones() -> None:
    assert moving.frames(np.zeros(1)) == [0]
    assert moving.frames(np.arange(60.0)) == [*range(60)]
    assert moving.frames(np.zeros(500)) == [0, 499]
    fell = moving.frames(np.concatenate([np.arange(300.0), np.arange(300.0)[::-1]]))
    assert 55 <= len(fell) <= 60


# errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2])
def test_without_trace_the_error_says_what_to_do(d: int, tmp_path: Path) -> None:
    gm = traced(X[:, :d], trace=False)
    with pytest.raises(ValueError, match=r"fit it with trace=True$"):
        animate(gm, tmp_path / "em.gif")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("fitted", "said"),
    [
        (TRUE, "got a Mixture: pass for example"),
        (3, "got a int: pass for example"),
        ([], "got none: an iterator can be used once"),
        ([TRUE], "got a Mixture among them"),
        ([(TRUE, "high")], "each objective must be a finite number"),
        ([(TRUE, np.nan)], "each objective must be a finite number"),
        ([(TRUE, 0.0), (TRUE.marginal([0]), 1.0)], "different numbers of features"),
    ],
)
def test_what_is_no_run(fitted: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        animate(fitted)


def test_not_fitted() -> None:
    with pytest.raises(NotFittedError, match=r"call fit\(X\) first"):
        animate(GaussianMixture(2, trace=True))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"path": "em.avi"}, r"path must end in \.gif, \.html, \.mp4, got 'em\.avi'"),
        ({"path": "no-such-folder/em.gif"}, "no-such-folder does not exist"),
        ({"X": X[:, :1]}, r"X must have shape \(n, 2\)"),
        ({"X": [[np.inf, 0.0]]}, "inf"),
        ({"features": (0, 2)}, "a feature from 0 to 1"),
        ({"features": (1, 1)}, "two different features"),
        ({"fps": 0}, "fps must be"),
        ({"fps": 60}, r"fps must be from 0\.1 to 50"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
    ],
)
def test_arguments_that_do_not_suit(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        animate([(TRUE, 0.0)], **arguments)
    assert "\n" not in str(raised.value)


def test_mp4_without_ffmpeg(tmp_path: Path) -> None:
    with (
        mpl.rc_context({"animation.ffmpeg_path": "no-such-program"}),
        pytest.raises(ValueError, match="needs the program ffmpeg"),
    ):
        animate([(TRUE, 0.0)], tmp_path / "em.mp4")


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = [name for name in sys.modules if name.split(".")[0] == "matplotlib"]
    with monkeypatch.context() as missing:
        for name in loaded:
            missing.setitem(sys.modules, name, None)
        with pytest.raises(ImportError, match=r'pip install "mixtura\[plot\]"'):
            animate([(TRUE, 0.0)])


def test_the_library_is_there_without_matplotlib() -> None:
    said = "import sys, mixtura; print(callable(mixtura.animate), 'matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
