"""Gaussian mixtures: fast EM on NumPy and BLAS."""

from mixtura.animate import animate
from mixtura.estimators import GaussianMixture
from mixtura.imputer import MixtureImputer
from mixtura.many import Fits, fit_many
from mixtura.merging import merge_clusters
from mixtura.mixture import Mixture
from mixtura.priors import ChenTan, EigenvalueRatio, FraleyRaftery
from mixtura.report import report
from mixtura.scanning import Scan, scan
from mixtura.select import Selection, select

__all__ = [
    "ChenTan",
    "EigenvalueRatio",
    "Fits",
    "FraleyRaftery",
    "GaussianMixture",
    "Mixture",
    "MixtureImputer",
    "Scan",
    "Selection",
    "animate",
    "fit_many",
    "merge_clusters",
    "report",
    "scan",
    "select",
]

__version__ = "0.1.0.dev0"
