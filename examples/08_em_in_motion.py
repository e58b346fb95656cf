"""EM in motion
===============

How the ellipses find their clusters, pass by pass.

Run it with ``python examples/08_em_in_motion.py [folder for the picture]``.

The start is a bad one, on purpose: both means lie among the long waits of the Old Faithful geyser.  ``trace=True``
keeps the mixture of every pass, and ``animate`` shows them: as a picture that moves (.gif), as a page with a slider
(.html), as a film (.mp4), or in a notebook, if no file is named.
"""

from __future__ import annotations

import sys
from importlib.resources import as_file, files
from pathlib import Path

import pandas as pd

from mixtura import GaussianMixture, animate

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "example-output")

with as_file(files("mixtura") / "data" / "faithful.csv") as path:
    X = pd.read_csv(path)

gm = GaussianMixture(2, means_init=[[4.0, 70.0], [4.5, 90.0]], accelerate=None, trace=True).fit(X)
print(f"{gm.n_iter_} passes, log-likelihood {gm.log_likelihood_history_[0]:.1f} to {gm.loglik_:.1f}: {gm.stop_reason_}")

FOLDER.mkdir(parents=True, exist_ok=True)
print(f"Picture: {animate(gm, FOLDER / '08_em_in_motion.gif', X)}")
