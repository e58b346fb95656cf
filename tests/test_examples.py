"""The examples run as a reader runs them, print what they promise and leave their picture."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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
    assert names == ["01_from_scratch.py", "02_kmeans_is_a_mixture.py", "03_choosing_a_model.py"]


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


@pytest.mark.parametrize("name", ["01_from_scratch.py", "02_kmeans_is_a_mixture.py"])
def test_examples_leave_nothing_else_behind(name: str, tmp_path: Path) -> None:
    run(name, "here", cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    assert len(list((tmp_path / "here").iterdir())) == 1
