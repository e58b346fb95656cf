"""Numbers and text in the form in which a page holds them.

A feature is centred and scaled before it goes into 32 bits, z = (x - origin) / unit, and the page computes x = origin +
unit z in 64: seven digits of what differs between rows, however far from zero they lie.  Numbers are little-endian, in
base64.

Nothing in a script element may look like markup to the browser that reads it: in JSON `<`, `>` and `&` are written as
escapes of their code, as is every letter that is not ASCII, line separators among them.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixtura.html import narrowed
from mixtura.mixture import Mixture
from mixtura.rows import AnyArray, Array

KINDS = {"f4": "<f4", "i2": "<i2", "i1": "i1", "u1": "u1"}
"""What numbers are packed as: the page's word for it, and NumPy's."""

COMPONENTS = 50
"""Components that are drawn: the heaviest."""


@dataclass(frozen=True, eq=False)
class Frame:
    """The ``features`` that a page shows, with the ``origin`` and the ``unit`` of each."""

    features: Sequence[int]
    origin: Array
    unit: Array


def frame_of(mixture: Mixture, features: Sequence[int]) -> Frame:
    """In units in which the mixture has mean zero and variance one."""
    chosen = list(features)
    plane = mixture.marginal(chosen)
    deviations = np.sqrt(np.diagonal(plane.cov))
    return Frame(chosen, plane.mean, np.where(deviations > 0, deviations, 1.0))


def packed(values: ArrayLike, kind: str) -> dict[str, str]:
    """Numbers of a kind; the page has NaN for what is not known."""
    with np.errstate(over="ignore"):  # what is beyond 32 bits is infinite to a picture
        return {"t": kind, "b": b64encode(np.ascontiguousarray(values, dtype=KINDS[kind]).tobytes()).decode("ascii")}


def labels(values: Sequence[NDArray[np.intp]], n_components: int) -> dict[str, str]:
    """Labels of rows for one model after the other, from -1 (the background) to ``n_components`` - 1."""
    return packed(np.concatenate([*values, np.empty(0)]), "i1" if n_components <= 128 else "i2")


def rows(x: AnyArray, frame: Frame) -> dict[str, str]:
    """Rows x (n, d): one feature after the other."""
    z = (np.asarray(x[:, frame.features], dtype=np.float64) - frame.origin) / frame.unit
    return packed(z.T, "f4")


def numbers_of(n_components: int, n_features: int) -> int:
    """How many numbers a model has in :func:`model`."""
    k = min(n_components, COMPONENTS)
    return k * (1 + n_features + n_features * (n_features + 1) // 2)


def model(mixture: Mixture, frame: Frame, components: Sequence[int]) -> Array:
    """Weights, means and the upper triangles of covariances, one after the other, in the units of the frame."""
    part = narrowed(mixture, list(components), frame.features)
    means = (part.means - frame.origin) / frame.unit
    covariances = part.covariances / np.outer(frame.unit, frame.unit)
    upper = np.triu_indices(len(frame.features))
    return np.concatenate([part.weights, means.ravel(), covariances[:, upper[0], upper[1]].ravel()])


def json_of(value: Any) -> str:
    """JSON that can stand in a script element."""
    return in_script(json.dumps(value, allow_nan=False, separators=(",", ":")))


def in_script(text: str) -> str:
    """JSON in ASCII as it can stand in a script element."""
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def finite(value: Any) -> float | None:
    """A number of JSON, which has no word for what is not finite."""
    return float(value) if value is not None and np.isfinite(value) else None
