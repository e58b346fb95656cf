"""The examples run as a reader runs them, print what they promise and leave their picture."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from mixtura import plot

EXAMPLES = Path(__file__).parent.parent / "examples"
PNG = b"\x89PNG\r\n\x1a\n"


def run(name: str, *arguments: str, cwd: Path) -> str:
    """Output of the example; any warning in it is an error."""
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def is_picture(path: Path) -> bool:
    content = path.read_bytes()
    return content.startswith(PNG) and len(content) > 10_000


def matches(pattern: str, text: str) -> list[str]:
    return re.findall(pattern, text, flags=re.MULTILINE)


def test_all_examples_are_tested() -> None:
    names = sorted(path.name for path in EXAMPLES.glob("[0-9]*.py"))
    assert names == [
        "01_from_scratch.py",
        "02_kmeans_is_a_mixture.py",
        "03_choosing_a_model.py",
        "04_missing_values.py",
        "05_measurement_errors.py",
        "06_peaks_in_a_spectrum.py",
        "07_pictures.py",
        "08_em_in_motion.py",
    ]


def test_from_scratch(tmp_path: Path) -> None:
    output = run("01_from_scratch.py", str(tmp_path / "pictures"), cwd=tmp_path)
    assert "272 rows, columns eruptions, waiting" in output
    # The plain class and mixtura print the same lines, from the start to convergence.
    sections = re.split(r"^\d\. .*\n-+\n", output, flags=re.MULTILINE)
    plain, pieces, agreement, usual = sections[1:5]
    assert plain.strip() == pieces.strip()
    assert len(matches(r"^  weight 0\.500, mean \[.*\]$", plain)) == 2
    assert matches(r"^Iteration 10: log-likelihood = -\d+\.\d{4}$", plain)
    assert matches(r"^Converged after \d+ iterations$", plain)
    assert matches(r"^Final log-likelihood: -\d+\.\d{4}$", plain)
    ((passes, difference),) = matches(r"agree: (\d+) passes, largest difference (\S+) nats", agreement)
    ((iterations,),) = [matches(r"Converged after (\d+) iterations", plain)]
    assert int(passes) == int(iterations) + 1
    assert float(difference) < 1e-8
    assert "log-likelihood" in usual
    assert "02_kmeans_is_a_mixture.py" in output
    assert is_picture(tmp_path / "pictures" / "01_from_scratch.png")


def test_kmeans_is_a_mixture(tmp_path: Path) -> None:
    output = run("02_kmeans_is_a_mixture.py", cwd=tmp_path)
    steps = [line.split() for line in matches(r"^ +\d+ +\d+\.\d+ .*$", output)]
    assert [int(step[0]) for step in steps] == list(range(1, len(steps) + 1))
    assert len(steps) > 3
    for _, ours, theirs, _, gap, _ in steps:
        assert ours == theirs
        assert float(gap) < 1e-10
    assert int(steps[-1][3]) == 0
    loglik = [float(step[5]) for step in steps]
    assert loglik == sorted(loglik)
    agreement = matches(r"^ +(\S+) +(\d+) of (\d+) +(\d+) +(\S+)$", output)
    assert [float(row[0]) for row in agreement][:2] == [1.0, 0.3]
    _, same, total, undecided, gap = agreement[-1]
    assert same == total
    assert int(undecided) == 0
    assert float(gap) < 1e-10
    # Without an argument the picture goes to a folder where the reader stands.
    assert is_picture(tmp_path / "example-output" / "02_kmeans_is_a_mixture.png")


def test_choosing_a_model(tmp_path: Path) -> None:
    output = run("03_choosing_a_model.py", cwd=tmp_path)
    assert matches(r"^V.E with \d components, by BIC \(\d+\.\d+; lower is better\)\.$", output)
    agreement = [float(one) for one in matches(r"^agreement.*: (\d\.\d+)$", output)]
    assert len(agreement) == 3
    assert agreement[0] < agreement[1]  # merging components makes clusters of them
    assert agreement[2] > 0.9
    assert is_picture(tmp_path / "example-output" / "03_choosing_a_model.png")


def estimates(name: str, text: str) -> list[tuple[float, float]]:
    """The means and standard errors of the first line of that name."""
    line = matches(rf"^ *{re.escape(name)} +(-?\d.*)$", text)[0]
    return [(float(mean), float(error)) for mean, error in re.findall(r"(-?\d[\d.]*) \+- (\d[\d.]*)", line)]


def numbers(name: str, text: str) -> list[float]:
    """The numbers of the first line of that name."""
    return [float(one) for one in matches(rf"^ *{re.escape(name)} +(-?\d[-.%\d ]*)$", text)[0].replace("%", "").split()]


@pytest.mark.slow
def test_missing_values(tmp_path: Path) -> None:
    output = run("04_missing_values.py", cwd=tmp_path)
    assert "153 days, Ozone, Solar.R, Wind, Temp; 44 values missing, on 42 days" in output
    assert min(numbers("log ozone     tied", output)) < min(numbers("ozone         tied", output))
    _, _, hidden, folds, reasons = re.split(r"^.*\n-+\n", output, flags=re.MULTILINE)
    # The rows as they are tell more than either way to be rid of the gaps, in every column.
    for way in ("gain over complete days", "gain over mean imputation"):
        gains = estimates(way, hidden)
        assert len(gains) == 3
        assert all(gain > 0 for gain, _ in gains)
        assert gains[0][0] > 2 * gains[0][1]
        assert gains[2][0] > 2 * gains[2][1]
        assert estimates(way, folds)[0][0] > 0
    (truth,) = numbers("nothing is missing", reasons)
    left, found = ({name: estimates(name, reasons)[i][0] for name in ("chance", "the heat")} for i in (0, 1))
    assert abs(left["the heat"] - truth) > 3 * abs(found["the heat"] - truth)
    assert estimates("chance", reasons)[1][1] < estimates("chance", reasons)[0][1]
    # What depends on the missing value itself is beyond anybody.
    itself = estimates("the ozone itself", reasons)[1]
    assert itself[0] < truth - 10 * itself[1]
    assert is_picture(tmp_path / "example-output" / "04_missing_values.png")


@pytest.mark.slow
def test_measurement_errors(tmp_path: Path) -> None:
    output = run("05_measurement_errors.py", cwd=tmp_path)
    truth, naive, sharp = (numbers(f"cluster  {name}", output) for name in ("truth", "no errors", "with errors"))
    for true, wide, found in zip(truth[4:], naive[4:], sharp[4:], strict=True):
        assert wide > 1.4 * true
        assert found == pytest.approx(true, rel=0.25)
    known, blind, seen = (numbers(name, output) for name in ("truth", "no errors", "with errors"))
    assert blind[3] < known[3] - 0.2
    assert seen[3] == pytest.approx(known[3], abs=0.01)
    certainty = [[float(one) for one in line.split()] for line in matches(r"^\d[.\d]*(?: +[01]\.\d{3}){4}$", output)]
    there = [line[1] for line in certainty]
    assert there == sorted(there, reverse=True)
    assert there[-1] == pytest.approx(sharp[0], abs=2e-3)
    spectra = output.split("A few spectra")[1]
    by_labels = [estimates(number, spectra)[0][0] for number in ("0", "10", "40", "(the truth)")]
    assert by_labels == sorted(by_labels)
    assert is_picture(tmp_path / "example-output" / "05_measurement_errors.png")


@pytest.mark.slow
def test_peaks_in_a_spectrum(tmp_path: Path) -> None:
    output = run("06_peaks_in_a_spectrum.py", cwd=tmp_path)
    truth = numbers("width (keV)", output)
    points, sheppard, bins = (estimates(name, output) for name in ("points", "Sheppard", "bins"))
    for true, wide, (found, error) in zip(truth[:2], points, bins, strict=False):
        assert wide[0] > 1.05 * true
        assert found == pytest.approx(true, abs=4 * error)
    assert sheppard[0][0] > 1.05 * truth[0]  # of a peak that is narrower than the bins
    assert sheppard[2][0] == pytest.approx(truth[2], abs=4 * sheppard[2][1])
    for h in ("0.25", "0.5", "1", "1.5", "2"):
        *_, (found, error) = estimates(h, output.split("wider bins")[1])
        assert found == pytest.approx(1.0, abs=4 * error)
    assert is_picture(tmp_path / "example-output" / "06_peaks_in_a_spectrum.png")


def test_pictures(tmp_path: Path) -> None:
    run("07_pictures.py", "here", cwd=tmp_path)
    drawn = {path.stem for path in (tmp_path / "here").iterdir() if is_picture(path)}
    functions = [name for name in plot.__all__ if callable(getattr(plot, name))]
    assert drawn == {f"07_{name}" for name in functions}


def test_em_in_motion(tmp_path: Path) -> None:
    output = run("08_em_in_motion.py", "here", cwd=tmp_path)
    ((passes, start, end),) = matches(r"^(\d+) passes, log-likelihood (\S+) to (\S+): converged$", output)
    assert float(start) < float(end) - 100
    with Image.open(tmp_path / "here" / "08_em_in_motion.gif") as film:
        assert film.n_frames == int(passes) + 1
        assert 5 < film.n_frames < 60


@pytest.mark.parametrize("name", ["01_from_scratch.py", "02_kmeans_is_a_mixture.py"])
def test_examples_leave_nothing_else_behind(name: str, tmp_path: Path) -> None:
    run(name, "here", cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    assert len(list((tmp_path / "here").iterdir())) == 1
