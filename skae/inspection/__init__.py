"""Plots of fitted autoencoders, and of anything else that transforms there and back: scikit-learn's Displays.

`from_estimator` computes and draws, `plot` draws once more, and `ax_`, `axes_` and `figure_` are matplotlib's, to go on
with. Only drawing needs matplotlib.
"""

import skae._dependencies  # noqa: F401 - before anything else is loaded

from skae.inspection._components import ComponentsDisplay
from skae.inspection._explained_variance import ExplainedVarianceDisplay
from skae.inspection._feature_errors import FeatureErrorsDisplay
from skae.inspection._latent_grid import LatentGridDisplay
from skae.inspection._latent_space import LatentSpaceDisplay
from skae.inspection._loss_curve import LossCurveDisplay
from skae.inspection._reconstruction import ReconstructionDisplay
from skae.inspection._samples import SamplesDisplay

__all__ = [
    "ComponentsDisplay",
    "ExplainedVarianceDisplay",
    "FeatureErrorsDisplay",
    "LatentGridDisplay",
    "LatentSpaceDisplay",
    "LossCurveDisplay",
    "ReconstructionDisplay",
    "SamplesDisplay",
]
