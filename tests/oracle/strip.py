"""Keep of the reference results what the tests read: ``python strip.py FOLDER`` writes NAME.json beside this file.

FOLDER holds data/NAME.csv and NAME/{steps,tight,weighted,prior}.json, as README.md describes them.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

NAMES = ("acidity", "diabetes", "faithful", "galaxies", "iris")
MODELS = ("E", "V", "EII", "VII", "EEI", "VVI", "EEE", "VVV")
MOST_COMPONENTS = 4
NO_MAXIMUM = ("EII", "EEI")
"""Models whose results under a prior are no maximum of the posterior density (see README.md)."""


def data(path):
    """Numbers of a table without its column of labels."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    columns = [i for i, name in enumerate(header) if name != "label"]
    return [[float(row[i]) for i in columns] for row in rows]


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


def main(folder):
    for name in NAMES:
        text = json.dumps(stripped(Path(folder), name), separators=(",", ":"))
        Path(__file__).with_name(f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
