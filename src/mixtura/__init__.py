"""Gaussian mixtures: fast EM on NumPy and BLAS."""

from mixtura.estimators import GaussianMixture
from mixtura.merging import merge_clusters
from mixtura.mixture import Mixture
from mixtura.priors import ChenTan, EigenvalueRatio, FraleyRaftery

__all__ = ["ChenTan", "EigenvalueRatio", "FraleyRaftery", "GaussianMixture", "Mixture", "merge_clusters"]

__version__ = "0.1.0.dev0"
