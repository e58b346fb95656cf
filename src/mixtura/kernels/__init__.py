"""How one block is computed: short free functions on arrays behind one table, and the rule that chooses.

A kernel is five functions; what ``joint`` leaves behind, ``sums`` picks up:

    width(K, d)                               -> numbers that a row takes in the temporaries of a block
    prepare(scores, origin)                   -> operands         once a pass
    joint(operands, x)                        -> log_joint, left  a block, E half
    sums(operands, x, left, resp, scale)      -> table            a block, M half; tables of blocks are added
    moments(operands, table)                  -> mass, first, second, center     once a pass; see Statistics for a fifth
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mixtura.kernels import diagonal, features, residual, screened, shared
from mixtura.rows import AnyArray, Array
from mixtura.scores import Scores


class Kernel(NamedTuple):
    """The five functions of a kernel; operands and what is left belong to the kernel alone."""

    width: Callable[[int, int], int]
    prepare: Callable[..., Any]
    joint: Callable[[Any, AnyArray], tuple[Array, Any]]
    sums: Callable[[Any, AnyArray, Any, Array, Array], Array]
    moments: Callable[[Any, Array], tuple[Array, ...]]


KERNELS: dict[str, Kernel] = {
    "features": Kernel(features.width, features.prepare, features.joint, features.sums, features.moments),
    "diagonal": Kernel(diagonal.width, diagonal.prepare, diagonal.joint, diagonal.sums, diagonal.moments),
    "screened": Kernel(screened.width, screened.prepare, screened.joint, screened.sums, screened.moments),
    "residual": Kernel(residual.width, residual.prepare, residual.joint, residual.sums, residual.moments),
}

SHARED = Kernel(shared.width, shared.prepare, shared.joint, shared.sums, shared.moments)
"""The kernel of passes under one covariance for all components; its ``prepare`` needs second moments of the rows."""

OF_LAYOUT = {False: KERNELS["diagonal"], True: KERNELS["features"]}
"""The usual kernel of diagonal and of dense covariances."""

WELL_PLACED = 1e5
"""Largest amplification of rounding that the expanded square may cost: 1e5 * 2^-52 leaves about ten digits."""


def choose(scores: Scores, origin: Array) -> str:
    """Name of the kernel for these scores: the fast one while all components are well placed in the frame.

    The expanded square adds terms of size a_i |P_ij| a_j that cancel, a = |m - o| + s being how far the rows of
    a component reach from the origin.  Their sum bounds the lost digits.  It is the square of the component's
    distance kappa from the origin in its own units, or of its condition, whichever is worse; it does not depend
    on the units of the features, and it needs no look at the data.
    """
    if not well_placed(scores, origin):
        return "residual"
    if scores.whitener.ndim == 2:
        return "diagonal"
    return "screened" if screened.pays(scores, origin) else "features"


@np.errstate(over="ignore", invalid="ignore")  # what is not a number is not well placed
def well_placed(scores: Scores, origin: Array) -> bool:
    """Whether the expanded square about ``origin`` leaves digits enough; see ``choose``."""
    reach = np.abs(scores.center - origin) + scores.spread
    if scores.whitener.ndim == 2:
        amplification = ((reach * scores.whitener) ** 2).sum(axis=1)
    else:
        precision = np.abs(scores.whitener.transpose(0, 2, 1) @ scores.whitener)
        amplification = (reach * (precision @ reach[:, :, None])[:, :, 0]).sum(axis=1)
    return bool(np.all(amplification <= WELL_PLACED))


def leaves_out(kernel: Kernel, n_features: int) -> bool:
    """Whether sums of the kernel are without rows that say next to nothing of a component."""
    return kernel is KERNELS["screened"] or (kernel is KERNELS["features"] and features.in_chunks(n_features))


BLOCK_BYTES = 6 << 20
"""Size of a block's temporaries together: what a core has of the caches between the halves of a pass."""


def block_rows(kernel: Kernel, n_components: int, n_features: int) -> int:
    """Rows per block at most, from the kernel and (K, d) alone: the same data are cut in the same places for any
    engine."""
    rows = BLOCK_BYTES // (8 * kernel.width(n_components, n_features))
    return int(min(max(1 << (rows.bit_length() - 1), 256), 65536))


TASKS, LONGEST = 32, 16
"""Tasks that a pass is cut into at least, if it has as many blocks, and blocks of a task at most."""


PIECES, WORTH = 8, 8192
"""Blocks that few rows are cut into at least, if each then has so many rows: no core stays without work."""


def cut(n_rows: int, size: int) -> int:
    """Rows of blocks of equal size, ``size`` at most."""
    pieces = max(-(-n_rows // size), min(PIECES, n_rows // WORTH), 1)
    return max(-(-n_rows // pieces), 1)


def blocks_together(n_rows: int, size: int) -> int:
    """Blocks that are one task: to hand one over to a thread takes as long as many rows do."""
    return int(min(max(-(-n_rows // size) // TASKS, 1), LONGEST))
