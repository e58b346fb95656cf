"""How one block is computed: short free functions on arrays behind one table, and the rule that chooses.

A kernel is four functions; what ``joint`` leaves behind, ``sums`` picks up:

    prepare(scores, origin)                   -> operands         once a pass
    joint(operands, x)                        -> log_joint, left  a block, E half
    sums(operands, x, left, resp, scale)      -> table            a block, M half; tables of blocks are added
    moments(operands, table)                  -> mass, first, second, center     once a pass; see Statistics for a fifth
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mixtura.kernels import diagonal, features, residual
from mixtura.rows import AnyArray, Array
from mixtura.scores import Scores


class Kernel(NamedTuple):
    """The four functions of a kernel; operands and what is left belong to the kernel alone."""

    prepare: Callable[[Scores, Array], Any]
    joint: Callable[[Any, AnyArray], tuple[Array, Any]]
    sums: Callable[[Any, AnyArray, Any, Array, Array], Array]
    moments: Callable[[Any, Array], tuple[Array, ...]]


KERNELS: dict[str, Kernel] = {
    "features": Kernel(features.prepare, features.joint, features.sums, features.moments),
    "diagonal": Kernel(diagonal.prepare, diagonal.joint, diagonal.sums, diagonal.moments),
    "residual": Kernel(residual.prepare, residual.joint, residual.sums, residual.moments),
}

WELL_PLACED = 1e5
"""Largest amplification of rounding that the expanded square may cost: 1e5 * 2^-52 leaves about ten digits."""


def choose(scores: Scores, origin: Array) -> str:
    """Name of the kernel for these scores: the fast one while all components are well placed in the frame.

    The expanded square adds terms of size a_i |P_ij| a_j that cancel, a = |m - o| + s being how far the rows of
    a component reach from the origin.  Their sum bounds the lost digits.  It is the square of the component's
    distance kappa from the origin in its own units, or of its condition, whichever is worse; it does not depend
    on the units of the features, and it needs no look at the data.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what is not a number is not well placed
        return _fast(scores, origin)


def _fast(scores: Scores, origin: Array) -> str:
    reach = np.abs(scores.center - origin) + scores.spread
    if scores.whitener.ndim == 2:
        amplification = ((reach * scores.whitener) ** 2).sum(axis=1)
        fast = "diagonal"
    else:
        precision = np.abs(scores.whitener.transpose(0, 2, 1) @ scores.whitener)
        amplification = (reach * (precision @ reach[:, :, None])[:, :, 0]).sum(axis=1)
        fast = "features"
    return fast if bool(np.all(amplification <= WELL_PLACED)) else "residual"


BLOCK_BYTES = 8 << 20
"""Size of a block's largest temporary: what two cores keep in their caches between the halves of a pass."""


def block_rows(n_components: int, n_features: int, *, dense: bool) -> int:
    """Rows per block, from (K, d) and the layout alone: the same data are cut in the same places for any engine."""
    width = 1 + 2 * n_features
    if dense:
        width = min(1 + n_features + n_features * (n_features + 1) // 2, features.CHUNK)
    rows = BLOCK_BYTES // (8 * max(width, n_components))
    return int(min(max(1 << (rows.bit_length() - 1), 256), 16384))
