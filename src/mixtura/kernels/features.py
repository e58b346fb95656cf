"""Dense covariances as two matrix products around a softmax.

With o the origin of the frame, y = x - o and a_k = m_k - o, a Gaussian is linear in T(y) = (1, y, {y_i y_j}, i <= j):

    log w_k N(x | k) = theta_k . T(y)
    theta_k = (log_coef_k - a_k' P_k a_k / 2,  P_k a_k,  {-P_k,ij, halved for i = j}),    P_k = U_k' U_k
    E:  log_joint = Theta @ T(Y)       (K, q) @ (q, b)       q = 1 + d + d (d + 1) / 2
    M:  table     = R @ T(Y)'          (K, b) @ (b, q)

Half the flops of the textbook form, in two well-shaped products.  Rows are the contiguous axis of every temporary.
T(Y) is built in chunks of features that stay in the cache; with more than one chunk it is built again for the M
half, which costs less than to fetch it from memory.

The expanded square cancels digits: see ``kernels.choose`` for when that is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mixtura.rows import AnyArray, Array
from mixtura.scores import Scores

CHUNK = 512
"""Rows of T(Y) that are built at a time: times the rows of a block, a few megabytes."""

NEGLIGIBLE = 1e-17
"""A responsibility that cannot change a sum of float64 weights of order one."""


@dataclass(frozen=True, eq=False)
class Operands:
    """``theta`` (K, q) and ``origin`` (d,)."""

    theta: Array
    origin: Array


@lru_cache(maxsize=64)
def _chunks(n_features: int) -> tuple[tuple[int, int], ...]:
    """Ranges [i, j) of features whose products y_i y_i.. make one chunk of at most CHUNK rows."""
    chunks, start, rows = [], 0, 1 + n_features
    for i in range(n_features):
        if rows + n_features - i > CHUNK and i > start:
            chunks.append((start, i))
            start, rows = i, 0
        rows += n_features - i
    return (*chunks, (start, n_features))


@lru_cache(maxsize=64)
def _upper(n_features: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the upper triangle in the order of T(y), and where in that order the diagonal stands."""
    i, j = np.triu_indices(n_features)
    return i, j, np.flatnonzero(i == j)


def _first_column(i: int, n_features: int) -> int:
    """Column of T(y) in which y_i y_i stands."""
    return 1 + n_features + i * n_features - i * (i - 1) // 2


def prepare(scores: Scores, origin: Array) -> Operands:
    """Theta for these scores about ``origin``."""
    n_features = len(origin)
    offset = scores.center - origin
    white = (scores.whitener @ offset[:, :, None])[:, :, 0]
    precision = scores.whitener.transpose(0, 2, 1) @ scores.whitener
    theta = np.empty((len(offset), _first_column(n_features, n_features)))
    theta[:, 0] = scores.log_coef - 0.5 * (white * white).sum(axis=1)
    theta[:, 1 : 1 + n_features] = (white[:, None, :] @ scores.whitener)[:, 0]
    i, j, diagonal = _upper(n_features)
    quadratic = -precision[:, i, j]
    quadratic[:, diagonal] *= 0.5
    theta[:, 1 + n_features :] = quadratic
    return Operands(theta, origin)


def _build(buffer: Array, chunk: tuple[int, int], n_features: int) -> tuple[Array, slice]:
    """One chunk of T(Y) into ``buffer``, whose first 1 + d rows hold (1, Y); and the columns of Theta it meets."""
    y = buffer[1 : 1 + n_features]
    row = 1 + n_features
    for i in range(*chunk):
        stop = row + n_features - i
        np.multiply(y[i], y[i:], out=buffer[row:stop])
        row = stop
    # The first chunk takes the constant and linear rows along: with a single chunk there is a single product.
    if chunk[0] == 0:
        return buffer[:row], slice(0, row)
    start = _first_column(chunk[0], n_features)
    return buffer[1 + n_features : row], slice(start, start + row - 1 - n_features)


def joint(operands: Operands, x: AnyArray) -> tuple[Array, Array]:
    """log_joint (K, b) of the rows ``x`` (b, d), and the buffer that holds the last chunk of T(Y)."""
    n_features = x.shape[1]
    chunks = _chunks(n_features)
    widest = max(_first_column(j, n_features) - _first_column(i, n_features) for i, j in chunks)
    buffer = np.empty((1 + n_features + widest, len(x)))
    buffer[0] = 1.0
    np.subtract(x.T, operands.origin[:, None], out=buffer[1 : 1 + n_features])
    features, columns = _build(buffer, chunks[0], n_features)
    log_joint = operands.theta[:, columns] @ features
    for chunk in chunks[1:]:
        features, columns = _build(buffer, chunk, n_features)
        log_joint += operands.theta[:, columns] @ features
    return log_joint, buffer


def sums(operands: Operands, x: AnyArray, buffer: Array, resp: Array, scale: Array) -> Array:
    """Sums of scale * resp * T(y) over the rows, (K, q); ``resp`` (K, b) and ``buffer`` are used up."""
    n_features = x.shape[1]
    chunks = _chunks(n_features)
    if len(chunks) == 1:
        features = buffer
        # One of the two factors takes the scale: the smaller one.
        smaller = resp if len(resp) <= len(features) else features
        smaller *= scale
        return resp @ features.T
    resp *= scale
    table = np.empty_like(operands.theta)
    hot = resp > NEGLIGIBLE
    sparse = 4 * np.count_nonzero(hot, axis=1) < len(x)
    for k in np.flatnonzero(sparse):
        table[k] = _gathered(x[hot[k]], resp[k, hot[k]], operands.origin)
    dense = np.flatnonzero(~sparse)
    if len(dense):
        part = resp if len(dense) == len(resp) else resp[dense]
        for chunk in reversed(chunks):  # the last one is still in the buffer
            if chunk == chunks[-1]:
                start = _first_column(chunk[0], n_features)
                columns = slice(start, table.shape[1])
                features = buffer[1 + n_features : 1 + n_features + table.shape[1] - start]
            else:
                features, columns = _build(buffer, chunk, n_features)
            table[dense, columns] = part @ features.T
    return table


def _gathered(x: AnyArray, resp: Array, origin: Array) -> Array:
    """One row of the table from the rows that belong to its component: in many dimensions most do not."""
    root = np.sqrt(resp)
    y = np.subtract(x, origin, order="C")
    y *= root[:, None]
    second = y.T @ y
    return np.concatenate(([resp.sum()], root @ y, second[_upper(len(origin))[:2]]))


def moments(operands: Operands, table: Array) -> tuple[Array, Array, Array, Array]:
    """Mass (K,), first (K, d) and second (K, d, d) moments in the table, and the centers (K, d) they are about."""
    n_components, n_features = len(table), len(operands.origin)
    second = np.empty((n_components, n_features, n_features))
    i, j, _ = _upper(n_features)
    second[:, i, j] = second[:, j, i] = table[:, 1 + n_features :]
    center = np.broadcast_to(operands.origin, (n_components, n_features))
    return table[:, 0], table[:, 1 : 1 + n_features], second, center
