"""
A custom variant
================

A map of the data should preserve distances: samples that are far apart should
have codes that are far apart. No class of the package has this objective. How
much code does a custom class need?
"""

from numbers import Real

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import train_test_split

from skae import Autoencoder
from skae.base import BaseAutoencoder, Interval, parameter
from skae.inspection import LatentSpaceDisplay, LossCurveDisplay
from skae.metrics import reconstruction_scorer
from skae.nn import AutoencoderModule

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# A formula and an estimator
# --------------------------
# A variant is a torch module that overrides some hooks of
# :class:`~skae.nn.AutoencoderModule`, and an estimator that refers to it and
# declares its parameters. The hook here is ``penalty``: it receives scaled
# samples and their codes, and returns named terms of the loss, with one value
# for each sample. Each sample is compared with its neighbor in the batch,
# which is a different one in each step. The base classes provide the
# initialization from PCA, the validation set, all other parameters, pickling,
# ``GridSearchCV`` and the displays.


class DistanceModule(AutoencoderModule):
    """Module that penalizes errors of the distances of codes."""

    def __init__(self, *args, alpha, **kwargs):
        super().__init__(*args, **kwargs)
        self.alpha = alpha

    def penalty(self, seen, encoding, code):
        """Return the squared error of the distances of codes."""
        latents = (
            code if self.axes is None else self.axes(code)
        )  # as in `transform`
        codes = latents / self.scaler.scale.max()  # in units of scaled samples
        expected, distance = (
            (x - x.roll(1, dims=0)).norm(dim=1) for x in (seen, codes)
        )
        return {"stress": self.alpha * (distance - expected).square()}


class DistanceAutoencoder(BaseAutoencoder):
    """Autoencoder that preserves distances, for new samples too."""

    module_class = DistanceModule
    alpha: float = parameter(
        default=1.0, constraint=[Interval(Real, 0, None, closed="left")]
    )

    def module_params(self, statistics, scale):
        """Return the additional parameters of the module."""
        return {"alpha": self.alpha}


# %%
# Are distances preserved?
# ------------------------
# The stress is the relative error of the distances between test images. The
# codes of PCA are a projection, so that all of its distances are too short. A
# plain autoencoder does not preserve distances. The distances of the variant
# have the lowest stress, and its R² is higher than that of PCA.


def stress(codes):
    """Return the relative error of the distances between codes."""
    expected, distances = pairwise_distances(X_test), pairwise_distances(codes)
    return np.sqrt(
        np.square(distances - expected).sum() / np.square(expected).sum()
    )


ours = DistanceAutoencoder(random_state=0).fit(X_train)
print(f"{'':22s}{'stress':>8s}{'R²':>8s}")
for model in (
    PCA(2).fit(X_train),
    Autoencoder(2, random_state=0).fit(X_train),
    ours,
):
    r2 = reconstruction_scorer(model, X_test)
    print(
        f"{type(model).__name__:22s}"
        f"{stress(model.transform(X_test)):8.3f}{r2:8.3f}"
    )

# %%
# The figure shows the codes of the test images, and those of PCA:

LatentSpaceDisplay.from_estimator(ours, X_test, y_test)
plt.show()

# %%
# The new term has a separate curve. The epoch is selected by the sum of the
# terms on the validation set.

LossCurveDisplay.from_estimator(ours)
plt.show()
