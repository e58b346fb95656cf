"""Pictures of a mixture, of how it was fitted, and of a selection.

Every function takes a fitted estimator, a Mixture or a Selection first, draws on ``ax`` (a figure of its own
when None), returns the Axes and leaves matplotlib's settings, other figures and the screen alone.

    what the clusters are     scatter, uncertainty, pairs, discriminants, profiles, responsibilities
    what the density is       density, contours
    whether it fits           qq, pit
    how it was fitted         loglik, restarts
    which one to choose       criterion, criteria, entropy
"""

from mixtura.plot.calibration import pit, qq
from mixtura.plot.choice import criteria, criterion
from mixtura.plot.classification import scatter
from mixtura.plot.directions import discriminants
from mixtura.plot.doubt import uncertainty
from mixtura.plot.heat import responsibilities
from mixtura.plot.merges import entropy
from mixtura.plot.one_feature import density
from mixtura.plot.pairwise import pairs
from mixtura.plot.parallel import profiles
from mixtura.plot.passes import loglik
from mixtura.plot.regions import contours
from mixtura.plot.starts import restarts
from mixtura.plot.style import DASHES, MARKERS, MAX_BINS, NAMED, OKABE_ITO, ROWS_DRAWN, SHAPED_ROWS

__all__ = [
    "DASHES",
    "MARKERS",
    "MAX_BINS",
    "NAMED",
    "OKABE_ITO",
    "ROWS_DRAWN",
    "SHAPED_ROWS",
    "contours",
    "criteria",
    "criterion",
    "density",
    "discriminants",
    "entropy",
    "loglik",
    "pairs",
    "pit",
    "profiles",
    "qq",
    "responsibilities",
    "restarts",
    "scatter",
    "uncertainty",
]
