"""Gaussian mixtures: fast EM on NumPy and BLAS."""

from mixtura.estimators import GaussianMixture
from mixtura.mixture import Mixture

__all__ = ["GaussianMixture", "Mixture"]

__version__ = "0.1.0.dev0"
