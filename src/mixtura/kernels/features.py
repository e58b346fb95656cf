"""Dense covariances as two matrix products around a softmax.

With o the origin of the frame, y = x - o and a_k = m_k - o, a Gaussian is linear in T(y) = (y, 1, {y_i y_j}, i <= j):

    log w_k N(x | k) = theta_k . T(y)
    theta_k = (P_k a_k,  log_coef_k - a_k' P_k a_k / 2,  {-P_k,ij, halved for i = j}),    P_k = U_k' U_k
    E:  log_joint = Theta @ T(Y)       (K, q) @ (q, b)       q = d + 1 + d (d + 1) / 2
    M:  table     = R @ T(Y)'          (K, b) @ (b, q)

Half the flops of the textbook form, in two well-shaped products.  Rows are the contiguous axis of every temporary.

The pairs stand in d // 2 + 1 groups by how far apart i and j are, counted round a circle:

    group g:   y_i y_(i - g mod d),  i = 1 .. d        (for even d the last group has the first d / 2 only: they recur)

so that with the last d // 2 rows of Y written once more above them, all groups are one product of two views of Y.
T(Y) is built in chunks of groups that stay in the cache; with more than one chunk it is built again for the M half,
which costs less than to fetch it from memory.

The expanded square cancels digits: see ``kernels.choose`` for when that is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mixtura.kernels import blockwise
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
    """Ranges [g, h) of groups whose products make one chunk of about CHUNK rows; linear rows go with the first."""
    n_groups = n_features // 2 + 1
    first = max(1, (CHUNK - 1 - n_features) // n_features)
    starts = [0, *range(first, n_groups, max(1, CHUNK // n_features))]
    return tuple(zip(starts, [*starts[1:], n_groups], strict=True))


def in_chunks(n_features: int) -> bool:
    """Whether there is more than one chunk: then sums leave out responsibilities that are NEGLIGIBLE."""
    return len(_chunks(n_features)) > 1


@lru_cache(maxsize=64)
def pairs(n_features: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns (p,) of the entries of a symmetric matrix in the order of T(y); first comes its diagonal."""
    group, i = np.divmod(np.arange(n_features * (n_features + 1) // 2), n_features)
    return i, (i - group) % n_features


def width(n_components: int, n_features: int) -> int:
    """Numbers that a row takes in the temporaries of a block."""
    return n_components + n_features + min(1 + n_features + n_features * (n_features + 1) // 2, CHUNK)


def prepare(scores: Scores, origin: Array) -> Operands:
    """Theta for these scores about ``origin``."""
    n_features = len(origin)
    offset = scores.center - origin
    white = (scores.whitener @ offset[:, :, None])[:, :, 0]
    precision = scores.whitener.transpose(0, 2, 1) @ scores.whitener
    i, j = pairs(n_features)
    theta = np.empty((len(offset), n_features + 1 + len(i)))
    theta[:, :n_features] = (white[:, None, :] @ scores.whitener)[:, 0]
    theta[:, n_features] = scores.log_coef - 0.5 * (white * white).sum(axis=1)
    quadratic = -precision[:, i, j]
    quadratic[:, :n_features] *= 0.5
    theta[:, 1 + n_features :] = quadratic
    return Operands(theta, origin)


def _buffer(x: AnyArray, origin: Array) -> Array:
    """Room for Y, T(Y) or the widest chunk of it: rows (d // 2 of Y once more, Y, 1, products)."""
    n_rows, n_features = x.shape
    again = n_features // 2
    widest = max(
        min(h * n_features, n_features * (n_features + 1) // 2) - g * n_features for g, h in _chunks(n_features)
    )
    buffer = np.empty((again + n_features + 1 + widest, n_rows))
    y = buffer[again : again + n_features]
    np.subtract(x.T, origin[:, None], out=y)
    buffer[:again] = y[n_features - again :]
    buffer[again + n_features] = 1.0
    return buffer


def _part(buffer: Array, chunk: tuple[int, int], n_features: int) -> tuple[Array, slice]:
    """Where in the buffer a chunk of T(Y) stands, and the columns of Theta it meets.

    The first chunk takes the linear and constant rows along: with a single chunk there is a single product.
    """
    begin, end = chunk
    again, linear = n_features // 2, n_features + 1
    start = linear + begin * n_features
    stop = linear + min(end * n_features, n_features * (n_features + 1) // 2)
    if begin == 0:
        return buffer[again : again + stop], slice(0, stop)
    return buffer[again + linear : again + linear + stop - start], slice(start, stop)


def _build(buffer: Array, chunk: tuple[int, int], n_features: int) -> tuple[Array, slice]:
    """The same, with the products filled in."""
    begin, end = chunk
    again, row = n_features // 2, buffer.strides[0]
    y, products = buffer[again : again + n_features], buffer[again + n_features + 1 :]
    whole = end - begin - (2 * (end - 1) == n_features)
    if whole:
        shape = (whole, n_features, buffer.shape[1])
        turned: Array = np.ndarray(shape, np.float64, buffer, (again - begin) * row, (-row, row, buffer.strides[1]))
        np.multiply(y, turned, out=products[: whole * n_features].reshape(shape))
    if whole < end - begin:
        np.multiply(y[:again], y[again:], out=products[whole * n_features :][:again])
    return _part(buffer, chunk, n_features)


def joint(operands: Operands, x: AnyArray) -> tuple[Array, Array]:
    """log_joint (K, b) of the rows ``x`` (b, d), and the buffer that holds the last chunk of T(Y)."""
    n_features = x.shape[1]
    chunks = _chunks(n_features)
    buffer = _buffer(x, operands.origin)
    features, columns = _build(buffer, chunks[0], n_features)
    log_joint = blockwise.joint(operands.theta[:, columns], features)
    for chunk in chunks[1:]:
        features, columns = _build(buffer, chunk, n_features)
        log_joint += blockwise.joint(operands.theta[:, columns], features)
    return log_joint, buffer


def sums(operands: Operands, x: AnyArray, buffer: Array, resp: Array, scale: Array) -> Array:
    """Sums of scale * resp * T(y) over the rows, (K, q); ``resp`` (K, b) and ``buffer`` are used up."""
    n_features = x.shape[1]
    chunks = _chunks(n_features)
    if len(chunks) == 1:
        return blockwise.scaled_sums(resp, buffer[n_features // 2 :], scale)
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
            features, columns = (_part if chunk == chunks[-1] else _build)(buffer, chunk, n_features)
            table[dense, columns] = blockwise.sums(part, features)
    return table


def _gathered(x: AnyArray, resp: Array, origin: Array) -> Array:
    """One row of the table from the rows that belong to its component: in many dimensions most do not."""
    root = np.sqrt(resp)
    y = np.subtract(x, origin, order="C")
    y *= root[:, None]
    second = y.T @ y
    return np.concatenate((root @ y, [resp.sum()], second[pairs(len(origin))]))


def moments(operands: Operands, table: Array) -> tuple[Array, Array, Array, Array]:
    """Mass (K,), first (K, d) and second (K, d, d) moments in the table, and the centers (K, d) they are about."""
    return moments_about(operands.origin, table)


def moments_about(origin: Array, table: Array) -> tuple[Array, Array, Array, Array]:
    """The same for a table about ``origin``."""
    n_components, n_features = len(table), len(origin)
    second = np.empty((n_components, n_features, n_features))
    i, j = pairs(n_features)
    second[:, i, j] = second[:, j, i] = table[:, 1 + n_features :]
    center = np.broadcast_to(origin, (n_components, n_features))
    return table[:, n_features], table[:, :n_features], second, center
