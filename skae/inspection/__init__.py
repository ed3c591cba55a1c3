"""Displays in the style of scikit-learn, for autoencoders and other estimators with `inverse_transform`.

`from_estimator` computes and plots, `plot` plots again, and `ax_`, `axes_` and `figure_` are matplotlib objects for
further customization. Only plotting requires matplotlib.
"""

import skae._dependencies  # noqa: F401 - must be imported first

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
