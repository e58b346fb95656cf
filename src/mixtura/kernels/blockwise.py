"""What kernels do with blocks: two products, cut along the rows where BLAS is faster with short ones, and a maximum.

    joint   theta @ T(Y)     (K, q) @ (q, b) -> (K, b)
    sums    R @ T(Y)'        (K, b) @ (b, q) -> (K, q)

A BLAS copies the factors of a product into an order of its own first.  Where K and q are small that copying is most of
the work, so OpenBLAS has kernels without it for products of up to SMALL multiplications; a block cut into slices of
that size stays within them.  Cuts depend on (K, q, b) alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mixtura.rows import Array

SMALL = 1_000_000
"""Multiplications up to which OpenBLAS (0.3.17 and later, AVX-512) does not copy the factors."""

SHORTEST = 512
"""Rows of a slice from which it is worth a call of its own."""


def slice_rows(k: int, q: int, rows: int) -> int:
    """Rows of a slice of a block: a power of two, or all of them."""
    most = SMALL // (k * q)
    return rows if most < SHORTEST else min(1 << (most.bit_length() - 1), rows)


def joint(theta: Array, features: Array) -> Array:
    """theta (K, q) @ features (q, b)."""
    k, q = theta.shape
    rows = features.shape[1]
    size = slice_rows(k, q, rows)
    out = np.empty((k, rows))
    whole = rows - rows % size
    if whole > size:
        cut = out[:, :whole].reshape(k, -1, size).transpose(1, 0, 2)
        np.matmul(theta, features[:, :whole].reshape(q, -1, size).transpose(1, 0, 2), out=cut)
        if whole < rows:
            np.matmul(theta, features[:, whole:], out=out[:, whole:])
        return out
    return np.matmul(theta, features, out=out)


def scaled_sums(resp: Array, features: Array, scale: Array) -> Array:
    """resp (K, b) * scale (b,) @ features' (b, q); the smaller of the two factors takes the scale, and is used up."""
    smaller = resp if len(resp) <= len(features) else features
    smaller *= scale
    return sums(resp, features)


def sums(resp: Array, features: Array) -> Array:
    """resp (K, b) @ features' (b, q)."""
    k, q, rows = len(resp), *features.shape
    size = slice_rows(k, q, rows)
    whole = rows - rows % size
    if whole > size:
        of_slices = features[:, :whole].reshape(q, -1, size).transpose(1, 0, 2)
        table: Array = np.matmul(resp[:, :whole].reshape(k, -1, size).transpose(1, 0, 2), of_slices.transpose(0, 2, 1))
        total: Array = table.sum(axis=0)
        if whole < rows:
            total += resp[:, whole:] @ features[:, whole:].T
        return total
    # The wider factor first: measured, OpenBLAS is up to a fifth faster than the other way round.
    return np.ascontiguousarray((features @ resp.T).T)


def highest(values: Array) -> NDArray[np.intp]:
    """Where the largest of each column of ``values`` (K, b) is, (b,); the first of equals.

    NumPy's argmax along the first axis says the same, and takes several times as long.
    """
    k = len(values)
    small = np.min_scalar_type(k).type
    top = values.max(axis=0)
    from_last = np.ones(values.shape[1], dtype=small)
    for i in range(k):
        np.maximum(from_last, (values[i] == top) * small(k - i), out=from_last)
    return k - from_last.astype(np.intp)
