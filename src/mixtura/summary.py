"""What is said of a model: facts, in the form that ``--json`` prints, and a summary of them for a reader."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mixtura import GaussianMixture, Mixture
from mixtura.mixture import model_of
from mixtura.progress import counted
from mixtura.reading import feature_names


def facts_of_fit(gm: GaussianMixture, n_missing: int) -> dict[str, Any]:
    """What there is to say of a fit to a table in which so many values are missing."""
    facts = facts_of(model_of(gm), gm.covariance_type, list(gm.feature_names_in_), gm.how_fitted())
    return facts | ({"n_missing": n_missing} if n_missing else {})


def facts_of(
    mixture: Mixture,
    covariance_type: str | None,
    names: Sequence[str] | None,
    fit: dict[str, Any] | None,
) -> dict[str, Any]:
    """What there is to say of a mixture; ``fit`` is the entry of this name of a model document."""
    if fit is not None:
        loglik, df, n = fit["loglik"], fit["df"], fit["total_weight"]
        fit = fit | {"bic": df * math.log(n) - 2 * loglik, "aic": 2 * df - 2 * loglik}
    behind = {} if mixture.background is None else {"noise_weight": mixture.background.weight}
    deviations = np.sqrt(np.diagonal(mixture.covariances, axis1=1, axis2=2))
    components = zip(mixture.weights, mixture.means, deviations, mixture.covariances, strict=True)
    return {
        "n_components": mixture.n_components,
        "n_features": mixture.n_features,
        "covariance_type": covariance_type,
        "feature_names": None if names is None else list(names),
        "fit": fit,
        **behind,
        "components": [
            {"weight": weight, "mean": mean, "sd": deviation, "covariance": covariance}
            for weight, mean, deviation, covariance in components
        ],
    }


def text_of(facts: dict[str, Any], width: int) -> str:
    """The facts for a reader, in lines of at most ``width`` where one feature does not need more."""
    lines = [heading_of(facts), *(f"  {about:<14}  {said}" for about, said in said_of(facts))]
    return "\n".join([*lines, "", *_components(facts, width)])


def heading_of(facts: dict[str, Any]) -> str:
    """What kind of model it is."""
    kind = facts["covariance_type"]
    return f"Gaussian mixture of {counted(facts['n_components'], 'component')}" + (
        f", covariance type {kind}" if kind else ""
    )


def said_of(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """What there is to say of the whole: what it is about, and what is said."""
    fit = facts["fit"]
    features = counted(facts["n_features"], "feature")
    if fit is None:
        said = [("data", f"{features}; how it was fitted is not known")]
    else:
        source = f"{facts['data']}: " if "data" in facts else ""
        weight = f" of total weight {fit['total_weight']:.6g}" if fit["total_weight"] != fit["n_rows"] else ""
        ended = "converged" if fit["converged"] else f"not converged ({fit['stop_reason']})"
        missing = f", {counted(facts['n_missing'], 'value')} missing" if "n_missing" in facts else ""
        said = [
            ("data", f"{source}{counted(fit['n_rows'], 'row')}{weight}, {features}{missing}"),
            ("stopped", f"{ended} after {counted(fit['n_iter'], 'pass', 'passes')}"),
            ("log-likelihood", f"{fit['loglik']:.4f} with {counted(fit['df'], 'free parameter')}"),
            ("BIC", f"{fit['bic']:.4f} (lower is better)"),
            ("AIC", f"{fit['aic']:.4f}"),
        ]
    if "noise_weight" in facts:
        said.append(("background", f"{facts['noise_weight']:.4f} of all rows"))
    return said


def _components(facts: dict[str, Any], width: int) -> list[str]:
    """A row for each component, in as many tables below one another as the width asks for."""
    components = facts["components"]
    names = facts["feature_names"] or feature_names(facts["n_features"])
    first = _group(
        "",
        ("component", [str(k) for k in range(len(components))]),
        ("weight", [f"{component['weight']:.4f}" for component in components]),
    )
    groups = []
    for j, name in enumerate(names):
        means = [component["mean"][j] for component in components]
        deviations = [component["sd"][j] for component in components]
        form = form_of(means, deviations)
        groups.append(
            _group(
                name,
                ("mean", [format(mean, form) for mean in means]),
                ("sd", [format(deviation, form) for deviation in deviations]),
            )
        )
    if facts["n_features"] == 2:
        correlations = [c["covariance"][0][1] / (c["sd"][0] * c["sd"][1]) for c in components]
        groups.append(_group("", ("correlation", [format(value, "z.3f") for value in correlations])))

    lines: list[str] = []
    while groups:
        beside = [first, groups.pop(0)]
        while groups and sum(len(group[0]) + 3 for group in [*beside, groups[0]]) <= width + 3:
            beside.append(groups.pop(0))
        if lines:
            lines.append("")
        lines += ["   ".join(parts).rstrip() for parts in zip(*beside, strict=True)]
    return lines


def _group(title: str, *columns: tuple[str, list[str]]) -> list[str]:
    """Columns side by side under their heads and a common title, as lines of one width."""
    padded = []
    for head, cells in columns:
        size = max(len(cell) for cell in [head, *cells])
        padded.append([cell.rjust(size) for cell in [head, *cells]])
    rows = ["  ".join(cells) for cells in zip(*padded, strict=True)]
    size = max(len(title), len(rows[0]))
    return [title.rjust(size), *(row.rjust(size) for row in rows)]


def form_of(means: list[float], deviations: list[float]) -> str:
    """A format that shows three digits of the smallest deviation, and the means as finely."""
    decimals = max(0, 2 - math.floor(math.log10(min(deviations))))
    return ".6g" if decimals > 8 or max(abs(mean) for mean in means) >= 1e15 else f"z.{decimals}f"
