"""The oracle: one EM step for six covariance families as the textbooks write it, in plain loops over plain floats.

Slow on purpose, and independent of the library: C. M. Bishop, *Pattern Recognition and Machine Learning*,
Springer 2006, section 9.2, for the E-step and the M-step; G. Celeux and G. Govaert, "Gaussian parsimonious
clustering models", Pattern Recognition 28, 1995, for the families.

It is right at any offset, because no coordinate is ever used other than in a difference that is taken first:
the difference of two float64 is correctly rounded, and exact when they are near each other.  The terms of a sum
are added without rounding (``math.fsum``).

n rows, k components, i j features.  Responsibilities are probabilities: they do not contain the weights of the rows.
"""

from __future__ import annotations

import math

import numpy as np

FAMILIES = ("EII", "VII", "EEI", "VVI", "EEE", "VVV")
COUPLED = ("VEI", "EVI", "VEE", "EEV", "VEV", "EVV")


def _cholesky(matrix):
    """Lower triangular L with L L' the matrix, row by row."""
    d = len(matrix)
    lower = [[0.0] * d for _ in range(d)]
    for i in range(d):
        for j in range(i + 1):
            rest = math.fsum([matrix[i][j], *(-lower[i][m] * lower[j][m] for m in range(j))])
            lower[i][j] = math.sqrt(rest) if i == j else rest / lower[j][j]
    return lower


def _squared_distance(lower, difference):
    """difference' (L L')^-1 difference, by forward substitution."""
    z = []
    for i, row in enumerate(lower):
        z.append(math.fsum([difference[i], *(-row[m] * z[m] for m in range(i))]) / row[i])
    return math.fsum(one * one for one in z)


def e_step(X, weights, means, covariances, sample_weight=None):
    """Responsibilities (n, K) and the total log-likelihood, sum of w_n log p(x_n), of a mixture (Bishop 9.23, 9.14)."""
    X, means = np.asarray(X).tolist(), np.asarray(means).tolist()
    covariances = np.asarray(covariances).tolist()
    n, d, components = len(X), len(X[0]), range(len(means))
    row_weight = [1.0] * n if sample_weight is None else np.asarray(sample_weight).tolist()

    lowers = [_cholesky(covariances[k]) for k in components]
    constants = []
    for k in components:
        half_log_det = math.fsum(math.log(lowers[k][i][i]) for i in range(d))
        constants.append(math.log(weights[k]) - 0.5 * d * math.log(2 * math.pi) - half_log_det)

    responsibilities, log_densities = [], []
    for x in X:
        log_joint = []
        for k in components:
            difference = [x[i] - means[k][i] for i in range(d)]
            log_joint.append(constants[k] - 0.5 * _squared_distance(lowers[k], difference))
        top = max(log_joint)
        log_density = top + math.log(math.fsum(math.exp(one - top) for one in log_joint))
        responsibilities.append([math.exp(one - log_density) for one in log_joint])
        log_densities.append(log_density)
    loglik = math.fsum(w * one for w, one in zip(row_weight, log_densities, strict=True))
    return np.array(responsibilities), loglik


def m_step(X, responsibilities, family, mixing="free", sample_weight=None):
    """Weights (K,), means (K, d) and covariances (K, d, d) that maximise the expected log-likelihood."""
    X, responsibilities = np.asarray(X).tolist(), np.asarray(responsibilities).tolist()
    n, d, K = len(X), len(X[0]), len(responsibilities[0])
    row_weight = [1.0] * n if sample_weight is None else np.asarray(sample_weight).tolist()
    mass_of = [[row_weight[r] * responsibilities[r][k] for k in range(K)] for r in range(n)]

    # Everything is about the first row, from which the differences are taken before anything is multiplied.
    first = X[0]
    away = [[x[i] - first[i] for i in range(d)] for x in X]
    mass, shifts, scatters = [], [], []
    for k in range(K):
        mass.append(math.fsum(mass_of[r][k] for r in range(n)))
        shift = [math.fsum(mass_of[r][k] * away[r][i] for r in range(n)) / mass[k] for i in range(d)]
        scatter = [[0.0] * d for _ in range(d)]
        for i in range(d):
            for j in range(d):
                scatter[i][j] = math.fsum(
                    mass_of[r][k] * (away[r][i] - shift[i]) * (away[r][j] - shift[j]) for r in range(n)
                )
        shifts.append(shift)
        scatters.append(scatter)

    total = math.fsum(row_weight)
    weights = [1 / K if mixing == "equal" else mass[k] / total for k in range(K)]
    means = [[first[i] + shifts[k][i] for i in range(d)] for k in range(K)]
    return np.array(weights), np.array(means), np.array(_covariances(family, scatters, mass, d))


def _covariances(family, scatters, mass, d):
    """The M-step of the covariances, W_k the scatter of component k and n_k its mass (Celeux & Govaert 1995)."""
    if family in COUPLED:
        return _coupled(family, np.array(scatters), np.array(mass), d)
    K, total = len(mass), math.fsum(mass)
    features, components = range(d), range(K)
    traces = [math.fsum(scatters[k][i][i] for i in features) for k in components]
    pooled = [[math.fsum(scatters[k][i][j] for k in components) for j in features] for i in features]

    def entry(k, i, j):
        match family:
            case "EII":  # tr(W) / (n d) I
                return math.fsum(traces) / (total * d) if i == j else 0.0
            case "VII":  # tr(W_k) / (n_k d) I
                return traces[k] / (mass[k] * d) if i == j else 0.0
            case "EEI":  # diag(W) / n
                return pooled[i][i] / total if i == j else 0.0
            case "VVI":  # diag(W_k) / n_k
                return scatters[k][i][i] / mass[k] if i == j else 0.0
            case "EEE":  # W / n
                return pooled[i][j] / total
            case "VVV":  # W_k / n_k
                return scatters[k][i][j] / mass[k]
        raise ValueError(f"expected one of {FAMILIES + COUPLED}, got {family!r}")

    return [[[entry(k, i, j) for j in features] for i in features] for k in components]


def _coupled(family, scatters, mass, d):
    """The same where components share a part: volumes and shape in turns, along eigenvectors if these are free."""
    volume, shape, orientation = family
    if orientation == "I":
        scatters = scatters * np.eye(d)
    if shape == "V":  # lambda W_k / |W_k|^(1/d), lambda = sum_k |W_k|^(1/d) / n
        sizes = np.linalg.det(scatters) ** (1 / d)
        return scatters * (sizes.sum() / mass.sum() / sizes)[:, None, None]
    axes = np.linalg.eigh(scatters)[1] if orientation == "V" else np.eye(d)[None]
    along = axes.transpose(0, 2, 1) @ scatters @ axes
    sizes = np.ones(len(mass))
    for _ in range(1000 if volume == "V" else 1):
        common = (along / sizes[:, None, None]).sum(axis=0) / mass.sum()
        if volume == "V":
            sizes = np.trace(along @ np.linalg.inv(common), axis1=1, axis2=2) / (mass * d)
    return axes @ (sizes[:, None, None] * common) @ axes.transpose(0, 2, 1)


def step(X, weights, means, covariances, family, mixing="free", sample_weight=None):
    """One pass: the parameters after one update, and the log-likelihood of those before it."""
    responsibilities, loglik = e_step(X, weights, means, covariances, sample_weight)
    return (*m_step(X, responsibilities, family, mixing, sample_weight), loglik)


# The same in arrays of long doubles, for more rows than loops can go through; held against the loops by a test.


def fast_step(X, weights, means, covariances, family, mixing="free", sample_weight=None):
    """What :func:`step` gives, vectorised over the rows."""
    real = np.longdouble
    X, means = np.asarray(X, dtype=real), np.asarray(means, dtype=real)
    (n, d), K = X.shape, len(means)
    row_weight = np.ones(n, real) if sample_weight is None else np.asarray(sample_weight, dtype=real)

    log_joint = np.empty((n, K), real)
    for k in range(K):
        lower = np.array(_cholesky(np.asarray(covariances)[k].tolist()), dtype=real)
        z = np.empty((n, d), real)
        for i in range(d):
            z[:, i] = (X[:, i] - means[k, i] - z[:, :i] @ lower[i, :i]) / lower[i, i]
        log_joint[:, k] = np.log(real(weights[k])) - 0.5 * (z * z).sum(axis=1)
        log_joint[:, k] -= np.log(np.diagonal(lower)).sum() + 0.5 * d * np.log(2 * real(np.pi))
    top = log_joint.max(axis=1)
    log_density = top + np.log(np.exp(log_joint - top[:, None]).sum(axis=1))
    mass_of = np.exp(log_joint - log_density[:, None]) * row_weight[:, None]

    away = X - X[0]
    mass = mass_of.sum(axis=0)
    shifts = (mass_of.T @ away) / mass[:, None]
    scatters = np.empty((K, d, d), real)
    for k in range(K):
        y = away - shifts[k]
        scatters[k] = (mass_of[:, k, None] * y).T @ y
    found = np.full(K, 1 / K) if mixing == "equal" else mass / row_weight.sum()
    covariances = _covariances(family, scatters.astype(float).tolist(), mass.astype(float).tolist(), d)
    return found.astype(float), (X[0] + shifts).astype(float), np.array(covariances), float(row_weight @ log_density)


# rows that are not exact ----------------------------------------------------------------------------------------------


def told_step(X, weights, means, covariances, *, noise=None, allowed=None, sample_weight=None, background=None):
    """Sums of one E-step over rows with NaN and errors, row by row: the total log-likelihood, and mass (K,), mean
    (K, d) and scatter about it (K, d, d) of each component; with ``background``, a list of log w_0 / V for each row,
    its mass.

    Equations 16 to 20 of J. Bovy, D. W. Hogg and S. T. Roweis, "Extreme deconvolution", Annals of Applied Statistics 5,
    2011, with the projection R of a row being the rows of the identity for the features that are observed.
    """
    X, means, covariances = np.asarray(X, float), np.asarray(means, float), np.asarray(covariances, float)
    n, d, components = len(X), X.shape[1], range(len(means))
    row_weight = np.ones(n) if sample_weight is None else np.asarray(sample_weight, float)
    loglik, lit = 0.0, 0.0
    q, b = np.zeros((n, len(means))), np.zeros((n, len(means), d))
    B = np.zeros((n, len(means), d, d))
    for i in range(n):
        seen = ~np.isnan(X[i])
        R = np.eye(d)[seen]
        S = np.zeros((d, d)) if noise is None else (np.diag(noise[i]) if np.ndim(noise[i]) == 1 else np.array(noise[i]))
        S[~seen], S[:, ~seen] = 0.0, 0.0
        w = X[i, seen]
        log_joint = []
        for j in components:
            m, V = means[j], covariances[j]
            b[i, j], B[i, j], log_density = m, V, 0.0
            if seen.any():
                T = R @ V @ R.T + R @ S @ R.T
                inverse = np.linalg.inv(T)
                away = w - R @ m
                b[i, j] = m + V @ R.T @ inverse @ away
                B[i, j] = V - V @ R.T @ inverse @ R @ V
                log_density = -0.5 * (away @ inverse @ away + np.linalg.slogdet(2 * np.pi * T)[1])
            fits = allowed is None or allowed[i][j]
            log_joint.append(math.log(weights[j]) + log_density if fits else -math.inf)
        if background is not None:
            fits = allowed is None or (allowed[i][-1] if len(allowed[i]) > len(means) else all(allowed[i]))
            log_joint.append(background[i] if fits else -math.inf)
        top = max(log_joint)
        parts = [math.exp(one - top) for one in log_joint]
        total = math.fsum(parts)
        loglik += row_weight[i] * (top + math.log(total))
        q[i] = row_weight[i] * np.array(parts[: len(means)]) / total
        lit += row_weight[i] * sum(parts[len(means) :]) / total
    mass = q.sum(axis=0)
    mean = np.einsum("ij,ijk->jk", q, b) / mass[:, None]
    away = b - mean
    scatter = np.einsum("ij,ijk,ijl->jkl", q, away, away) + np.einsum("ij,ijkl->jkl", q, B)
    return (loglik, mass, mean, scatter) if background is None else (loglik, mass, mean, scatter, lit)
