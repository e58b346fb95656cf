"""A Gaussian mixture from scratch, and with mixtura
====================================================

Everything happens on the eruptions of the Old Faithful geyser.

Run it with ``python examples/01_from_scratch.py [folder for the picture]``.

What a Gaussian mixture is. Suppose each row of a table was made in two steps: first a component k
was drawn with probability w_k, then the row was drawn from that component's own Gaussian, with mean
m_k and covariance S_k. Nobody wrote down which component it was. The density of a row is therefore
a weighted sum of Gaussians::

    p(x) = sum_k w_k N(x | m_k, S_k)

Fitting means to find the w, m and S that make the rows we did see most probable: the maximum of
sum_n log p(x_n). There is no formula for that maximum, because the logarithm stands before a sum.

What EM does. If somebody told us which component each row came from, there would be a formula: the
share of the rows, their mean, their covariance. And if somebody told us w, m and S, then Bayes'
rule would say how probable each component is for each row. EM plays one against the other::

    E-step   r_nk = w_k N(x_n | m_k, S_k) / p(x_n)      responsibility: how much of row n is k's
    M-step   N_k = sum_n r_nk,  w_k = N_k / N,  m_k = sum_n r_nk x_n / N_k,
             S_k = sum_n r_nk (x_n - m_k)(x_n - m_k)' / N_k

Each round makes the rows at least as probable as before, so the log-likelihood climbs until it
stands still. (A. P. Dempster, N. M. Laird and D. B. Rubin, 1977.)
"""

from __future__ import annotations

import sys
from importlib.resources import as_file, files
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from mixtura import GaussianMixture
from mixtura.plot import loglik, scatter

N_COMPONENTS, MAX_ITER, TOL, SEED = 2, 200, 1e-3, 4


# %%
# 1. From scratch: NumPy and SciPy
# --------------------------------


class PlainMixture:
    """EM for a Gaussian mixture, written to be read.

    Three habits of a first version are left out on purpose:

    - Densities are kept as logarithms. The density of a row far from every component underflows
      to 0, and 0 / 0 is no responsibility. Logarithms of densities do not underflow.
    - Nothing is added to the covariances. "+ 1e-6" is a lot for data in kilometres and nothing for
      data in millimetres, and with it the M-step is no longer the maximum that the proof of EM
      speaks of, so that the log-likelihood may fall.
    - The stopping rule looks back five rounds. The gain of one round can be tiny for a hundred
      rounds while EM crosses a plateau, so that a small last change says little about how far the
      top is. And it compares log-likelihoods, which are plain numbers: "the previous means", kept
      as a second name for an array that the M-step then overwrites, are the new means.
    """

    def __init__(self, n_components: int, max_iter: int = 200, tol: float = 1e-3, random_state: int = 0) -> None:
        self.n_components = n_components
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def start(self, X: np.ndarray) -> None:
        """Means drawn from the rows, covariances from the columns' variances, equal weights."""
        rng = np.random.default_rng(self.random_state)
        self.means_ = X[rng.choice(len(X), self.n_components, replace=False)]
        self.covariances_ = np.array([np.diag(X.var(axis=0))] * self.n_components)
        self.weights_ = np.full(self.n_components, 1 / self.n_components)
        print_start(self.weights_, self.means_)

    def e_step(self, X: np.ndarray) -> float:
        """Responsibilities of the present parameters; returns their log-likelihood."""
        log_joint = np.column_stack(
            [
                np.log(self.weights_[k]) + multivariate_normal.logpdf(X, self.means_[k], self.covariances_[k])
                for k in range(self.n_components)
            ]
        )
        log_density = logsumexp(log_joint, axis=1)
        self.responsibilities_ = np.exp(log_joint - log_density[:, None])
        return float(log_density.sum())

    def m_step(self, X: np.ndarray) -> None:
        """Weights, means and covariances of the present responsibilities."""
        mass = self.responsibilities_.sum(axis=0)
        self.weights_ = mass / len(X)
        self.means_ = self.responsibilities_.T @ X / mass[:, None]
        self.covariances_ = np.empty((self.n_components, X.shape[1], X.shape[1]))
        for k in range(self.n_components):
            away = X - self.means_[k]
            self.covariances_[k] = (self.responsibilities_[:, k, None] * away).T @ away / mass[k]

    def fit(self, X: np.ndarray) -> PlainMixture:
        self.start(X)
        # The history begins with the start and ends with the parameters that are returned: every
        # log-likelihood in it belongs to parameters that existed, and the last one is not lost when
        # the loop is left.
        history = [self.e_step(X)]
        for iteration in range(1, self.max_iter + 1):
            self.m_step(X)
            history.append(self.e_step(X))
            print_progress(iteration, history[-1])
            if len(history) > 5 and history[-1] - history[-6] < self.tol:
                print(f"Converged after {iteration} iterations")
                break
        else:
            print(f"Not converged after {self.max_iter} iterations")
        print(f"Final log-likelihood: {history[-1]:.4f}")
        self.log_likelihood_history = history
        return self


def print_start(weights: np.ndarray, means: np.ndarray) -> None:
    print("Start")
    for weight, mean in zip(weights, means, strict=True):
        print(f"  weight {weight:.3f}, mean {np.array2string(mean, precision=3)}")


def print_progress(iteration: int, log_likelihood: float) -> None:
    if iteration % 10 == 0:
        print(f"Iteration {iteration}: log-likelihood = {log_likelihood:.4f}")


def heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def main(folder: Path) -> None:
    # 272 eruptions of the Old Faithful geyser: how long each lasted, and the wait for the next,
    # both in minutes.
    with as_file(files("mixtura") / "data" / "faithful.csv") as path:
        frame = pd.read_csv(path)
    print(f"Old Faithful: {len(frame)} rows, columns {', '.join(frame.columns)}")

    heading("1. From scratch")
    X = frame.to_numpy(dtype=float)
    plain = PlainMixture(N_COMPONENTS, MAX_ITER, TOL, SEED).fit(X)

    # 2. The same steps with mixtura ---------------------------------------------------------------
    heading("2. The same steps with mixtura")
    # The start is an ordinary mixture: it could be drawn, sampled or scored before a single step is
    # made.
    rng = np.random.default_rng(SEED)
    begin = GaussianMixture.from_parameters(
        weights=np.full(N_COMPONENTS, 1 / N_COMPONENTS),
        means=X[rng.choice(len(X), N_COMPONENTS, replace=False)],
        covariances=[np.diag(frame.var(ddof=0))] * N_COMPONENTS,
    )
    print_start(begin.weights_, begin.means_)
    gm = GaussianMixture(
        N_COMPONENTS,
        weights_init=begin.weights_,
        means_init=begin.means_,
        covariances_init=begin.covariances_,
        accelerate=None,  # the passes above were plain EM: to compare them digit by digit, these are too
        max_iter=MAX_ITER,
        tol=TOL,
    )
    # EM is a loop, so it is yours: every pass hands out the mixture and its log-likelihood, the
    # start first.
    history = []
    for iteration, (_, log_likelihood) in enumerate(gm.fit_iter(frame)):
        if iteration:
            print_progress(iteration, log_likelihood)
        history.append(log_likelihood)
    print(f"{gm.stop_reason_.capitalize()} after {gm.n_iter_} iterations")
    print(f"Final log-likelihood: {gm.loglik_:.4f}")

    heading("3. Do both agree?")
    assert len(history) == len(plain.log_likelihood_history)
    furthest = np.abs(np.subtract(history, plain.log_likelihood_history)).max()
    assert furthest < 1e-8, furthest
    assert np.allclose(gm.means_, plain.means_, rtol=1e-9)
    assert np.allclose(gm.covariances_, plain.covariances_, rtol=1e-7)
    print(
        f"Pass by pass the log-likelihoods agree: {len(history)} passes, largest difference "
        f"{furthest:.1e} nats (allowed: 1e-8)"
    )

    # 4. In one line, as you would write it --------------------------------------------------------
    heading("4. The usual way")
    # One random start, as above; leave init and n_init out and several careful starts are compared
    # before the long run.
    usual = GaussianMixture(N_COMPONENTS, init="random_from_data", n_init=1, random_state=SEED, verbose=1).fit(frame)
    for weight, mean in zip(usual.weights_, usual.means_, strict=True):
        print(f"  weight {weight:.3f}, mean {np.array2string(mean, precision=3)}")

    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / "01_from_scratch.png"
    figure, axes = plt.subplots(1, 3, figsize=(13.5, 4.2), layout="constrained")
    scatter(begin, frame, ax=axes[0]).set_title("the start")
    scatter(gm, frame, probability=[0.5, 0.9], ax=axes[1]).set_title("after EM")
    loglik(gm, ax=axes[2])
    figure.savefig(picture, dpi=150)
    plt.close(figure)
    print(f"\nPicture: {picture}")

    # 5. And k-means? ------------------------------------------------------------------------------
    # Let all components share one spherical covariance and have equal weights. Then the most
    # probable component of a row is the one with the nearest mean. Give each row wholly to that
    # component instead of in shares, and the E-step is k-means' assignment and the M-step is
    # k-means' new centres.
    print(
        "\nk-means is a Gaussian mixture with equal spherical covariances and equal weights,\n"
        "whose rows belong wholly to one component: see examples/02_kmeans_is_a_mixture.py"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "example-output"))
