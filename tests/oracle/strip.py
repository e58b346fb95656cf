"""Keep of the reference results what the tests read: ``python strip.py FOLDER`` writes the JSON files beside this one.

FOLDER holds data/NAME.csv and NAME/{steps,tight,weighted,prior,combi,merge_fpc,noise,default,ssc,missing}.json, as
README.md describes them.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

NAMES = ("acidity", "diabetes", "faithful", "galaxies", "iris")
MERGED = ("crabs", "diabetes", "faithful", "geyser", "iris")
SPREAD = ("airquality_cc", "banknote", "crabs", "eurounemployment", "geyser", "hbk", "wine")
CHOSEN = (
    *("acidity", "airquality_cc", "banknote", "crabs", "diabetes", "eurounemployment"),
    *("faithful", "galaxies", "geyser", "hbk", "iris", "wine"),
)
"""Data sets of which selection.json holds the log-likelihoods of all models; their rows are in other files."""
LABELLED = ("banknote", "crabs", "diabetes", "iris", "wine")
INCOMPLETE = ("airquality", "pima_tr2")
NOISY = ("acidity", "banknote_noise", "chevron", "faithful_noise", "hbk")
MODELS = ("E", "V", "EII", "VII", "EEI", "VVI", "EEE", "VVV")
COUPLED = ("VEI", "EVI", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV")
"""Models whose components share some of volume, shape and orientation: kept in families.json."""
MOST_COMPONENTS = 4
NO_MAXIMUM = ("EII", "EEI")
"""Models whose results under a prior are no maximum of the posterior density (see README.md)."""


def data(path):
    """Numbers of a table without its column of labels."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    columns = [i for i, name in enumerate(header) if name != "label"]
    return [[None if row[i] == "NA" else float(row[i]) for i in columns] for row in rows]


def read(folder, name, kind):
    return json.loads((folder / name / f"{kind}.json").read_text())


def only(record, *keys):
    """Some entries of a record, those that are there."""
    return {key: record[key] for key in keys if key in record}


def stripped(folder, name):
    steps, tight, weighted, prior = (read(folder, name, kind) for kind in ("steps", "tight", "weighted", "prior"))
    wanted = [run for run in tight["runs"] if run["model"] in MODELS and run["G"] <= MOST_COMPONENTS]
    sizes = sorted({str(run["G"]) for run in wanted})
    return {
        "x": data(folder / "data" / f"{name}.csv"),
        "steps": [
            {
                "z": block["z"],
                "mstep": {
                    model: only(block["mstep"][model], "pro", "mean", "sigma", "q_value")
                    for model in MODELS
                    if model in block["mstep"]
                },
                "estep": {
                    model: only(block["estep"][model], "loglik", "z", "log_component_density", "log_density")
                    for model in MODELS
                    if model in block["estep"]
                },
            }
            for block in steps["blocks"][:1]
        ],
        "partitions": {G: tight["partitions"][G] for G in sizes},
        "label_partition": tight["label_partition"],
        "tight": [
            only(
                run,
                *("model", "G", "start", "equal_pro", "status", "df", "bic", "loglik_polished"),
                *("em_step_gain", "min_rcond", "min_nk", "pro", "mean", "sigma"),
            )
            for run in wanted
        ],
        "prior": {
            "hyperparameters": [
                only(one, "family", "G", "shrinkage", "mean", "dof", "scale") for one in prior["hyperparameters"]
            ],
            "mstep": {
                model: only(found, "pro", "mean", "sigma")
                for model, found in prior["mstep_G2"]["params"].items()
                if model in MODELS and model not in NO_MAXIMUM
            },
            "runs": [
                only(run, "model", "G", "loglik", "pro", "mean", "sigma")
                for run in prior["runs"]
                if run["model"] in MODELS
                and run["status"] == "ok"
                and (run["G"] == 1 or run["model"] not in NO_MAXIMUM)
            ],
        },
        "weights": only(weighted, "w_real", "w_integer"),
        "weighted_partitions": weighted["partitions"],
        "weighted": [
            only(
                run,
                *("weights", "model", "G", "status", "loglik_weighted", "min_rcond"),
                *("pro", "mean", "sigma"),
            )
            for run in weighted["runs"]
            if run["model"] in MODELS
        ],
    }


def merged(folder, name):
    """How others merge the components of one mixture; the file of one of the two may be missing."""
    kinds = [kind for kind in ("combi", "merge_fpc") if (folder / name / f"{kind}.json").exists()]
    found = {kind: read(folder, name, kind) for kind in kinds}
    kept = {"x": data(folder / "data" / f"{name}.csv"), **only(found[kinds[0]], "pro", "mean", "sigma")}
    if "combi" in found:
        kept |= only(found["combi"], "entropy_by_k", "classification_by_k")
        kept["optimal_k"] = found["combi"]["optimal_k"]["two_piece"]
    if "merge_fpc" in found:
        methods = found["merge_fpc"]["methods"]
        kept["demp"] = only(methods["demp"], "clustering", "merge_values")
        kept["ridgeline"] = only(methods["ridge.ratio"], "clustering", "merge_values")
    return kept


def coupled(folder, name):
    """Steps and runs of the models in COUPLED; runs of all others, too, where no file of their own has them."""
    steps, tight = (read(folder, name, kind) for kind in ("steps", "tight"))
    runs = [
        run
        for run in tight["runs"]
        if run["model"] in (COUPLED if name in NAMES else (*COUPLED, *MODELS)) and run["G"] <= MOST_COMPONENTS
    ]
    kept = {
        "x": data(folder / "data" / f"{name}.csv"),
        "steps": [
            {
                "z": block["z"],
                "mstep": {
                    model: only(block["mstep"][model], "pro", "mean", "sigma", "q_value")
                    for model in COUPLED
                    if block["mstep"].get(model, {}).get("status") == "ok"
                },
            }
            for block in steps["blocks"][:1]
        ],
        "partitions": {G: tight["partitions"][G] for G in sorted({str(run["G"]) for run in runs})},
        "tight": [
            only(
                run, *("model", "G", "status", "df", "bic", "loglik_polished"), *("em_step_gain", "min_rcond", "min_nk")
            )
            for run in runs
            if run["start"] == "default" and not run["equal_pro"]
        ],
    }
    if name in NAMES:
        del kept["x"]
    return kept


def labels_of_rows(path):
    """The column of labels of a table, or None."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return [row[header.index("label")] for row in rows] if "label" in header else None


def noisy(folder, name):
    """Runs with a uniform background; the parameters of those of two components."""
    found = read(folder, name, "noise")
    return {
        "x": data(folder / "data" / f"{name}.csv"),
        "labels": labels_of_rows(folder / "data" / f"{name}.csv"),
        **only(found, "Vinv", "nnclean", "partitions"),
        "best": only(found["best"], "model", "G", "loglik", "classification"),
        "runs": [
            only(
                run,
                *("model", "G", "status", "df", "loglik", "loglik_at_params"),
                *(("pro", "mean", "sigma") if run["G"] == 2 else ()),
            )
            for run in found["runs"]
        ],
    }


def selected(folder, name):
    """Log-likelihoods by model and number of components, with default settings, and the best by BIC."""
    found = read(folder, name, "default")
    rounded = {
        model: [None if one is None else round(one, 7) for one in values] for model, values in found["loglik"].items()
    }
    return {"G": found["G"], "loglik": rounded, "best": only(found["best"], "model", "G", "loglik", "bic", "df")}


def labelled(folder, name):
    """Semi-supervised runs."""
    found, path = read(folder, name, "ssc"), folder / "data" / f"{name}.csv"
    classes = [found["class_names"].index(label) for label in labels_of_rows(path)]
    runs = {model: only(run, "status", "loglik", "df", "error_unknown") for model, run in found["tight"].items()}
    return {"x": data(path), "classes": classes, "known_rows": found["known_rows"], "runs": runs}


def incomplete(folder, name):
    """Runs over rows with missing values."""
    found = read(folder, name, "missing")
    keys = ("G", "model", "status", "loglik", "start_params", "pro", "mean", "sigma", "imputed_rows", "imputed")
    return {
        "x": data(folder / "data" / f"{name}.csv"),
        "one": only(found["fiml_G1"], "loglik_mvtnorm", "mean", "sigma"),
        "runs": [only(run, *keys, "log_component_density", "posterior") for run in found["em"]],
    }


def main(folder):
    results = {name: stripped(Path(folder), name) for name in NAMES}
    results["merging"] = {name: merged(Path(folder), name) for name in MERGED}
    wide = [name for name in NAMES if len(results[name]["x"][0]) > 1]
    results["families"] = {name: coupled(Path(folder), name) for name in (*wide, *SPREAD)}
    results["noise"] = {name: noisy(Path(folder), name) for name in NOISY}
    results["labelled"] = {name: labelled(Path(folder), name) for name in LABELLED}
    results["incomplete"] = {name: incomplete(Path(folder), name) for name in INCOMPLETE}
    results["selection"] = {name: selected(Path(folder), name) for name in CHOSEN}
    for name, result in results.items():
        text = json.dumps(result, separators=(",", ":"))
        Path(__file__).with_name(f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
