"""
A custom variant
================

A map of the data is to preserve distances: samples that are far apart are to have codes that are far apart. No
autoencoder of the package asks for that. How much code does one need that does?
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
# A variant is a torch module that overrides some of the hooks of :class:`~skae.nn.AutoencoderModule`, and an estimator
# that names it and declares its parameters. The hook here is ``penalty``: it sees scaled samples and their codes, and
# returns named terms of the loss, one number for each sample. Each sample is compared with its neighbor in the batch,
# which is another one at each step. The start at PCA, the validation set, all other parameters, pickles,
# ``GridSearchCV`` and the displays come with the base classes.


class DistanceModule(AutoencoderModule):
    """An autoencoder whose codes are to lie as far apart as their samples."""

    def __init__(self, *args, alpha, **kwargs):
        super().__init__(*args, **kwargs)
        self.alpha = alpha

    def penalty(self, seen, encoding, code):  # noqa: ARG002 - the hook's signature
        """Squared difference between the distance of two codes and that of their samples, both scaled."""
        shown = code if self.axes is None else self.axes(code)  # as `transform` returns them
        codes = shown / self.scaler.scale.max()  # in units of scaled samples
        wanted, distance = ((x - x.roll(1, dims=0)).norm(dim=1) for x in (seen, codes))
        return {"stress": self.alpha * (distance - wanted).square()}


class DistanceAutoencoder(BaseAutoencoder):
    """An autoencoder that preserves distances, as metric multidimensional scaling does, and takes new samples."""

    module_class = DistanceModule
    alpha: float = parameter(default=1.0, constraint=[Interval(Real, 0, None, closed="left")])

    def module_params(self, statistics, scale):  # noqa: ARG002 - the hook's signature
        """What the module takes besides what each takes."""
        return {"alpha": self.alpha}


# %%
# Does it do what it says?
# ------------------------
# The stress is the relative error of the distances between test images. PCA's codes are a projection, so its distances
# are all too short, and those of a plain autoencoder have no reason to be right. The variant's are nearer to the truth
# than both, and it still gives back more of the images than PCA.


def stress(codes):
    """Root of the squared error of distances between codes, over that of calling them all zero."""
    wanted, distances = pairwise_distances(X_test), pairwise_distances(codes)
    return np.sqrt(np.square(distances - wanted).sum() / np.square(wanted).sum())


ours = DistanceAutoencoder(random_state=0).fit(X_train)
print(f"{'':22s}{'stress':>8s}{'R²':>8s}")
for model in (PCA(2).fit(X_train), Autoencoder(2, random_state=0).fit(X_train), ours):
    r2 = reconstruction_scorer(model, X_test)
    print(f"{type(model).__name__:22s}{stress(model.transform(X_test)):8.3f}{r2:8.3f}")

# %%
# Its map of the test images, beside PCA's:

LatentSpaceDisplay.from_estimator(ours, X_test, y_test)
plt.show()

# %%
# The new term has its own curve, and the epoch is chosen by the sum on samples that were held out.

LossCurveDisplay.from_estimator(ours)
plt.show()
