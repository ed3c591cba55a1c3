"""
A variant of one's own
======================

A map of the data is to keep distances: rows that are far apart are to have codes that are far apart. No autoencoder
here asks for that. How much code does one take that does?
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import train_test_split

from skae import Autoencoder
from skae.inspection import LatentSpaceDisplay, LossCurveDisplay
from skae.metrics import reconstruction_scorer
from skae.nn import AutoencoderModule

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# A formula and an estimator
# --------------------------
# A variant is a torch module that overrides some of the hooks of :class:`~skae.nn.AutoencoderModule`, and an estimator
# that names it. The hook here is ``penalty``: it sees scaled rows and their codes, and returns named terms of the loss,
# one number a row. Each row is compared with its neighbour in the batch, which is another one at each step. The start
# at PCA, the held-out rows, pickles, ``GridSearchCV`` and the displays come with the base classes.


class DistanceModule(AutoencoderModule):
    """An autoencoder whose codes are to lie as far apart as their rows."""

    supports_batching = False  # `axes` are each network's own

    def __init__(self, *args, alpha, **kwargs):
        super().__init__(*args, **kwargs)
        self.alpha = alpha

    def penalty(self, seen, encoding, code):  # noqa: ARG002 - the hook's signature
        """Squared difference between the distance of two codes and that of their rows, both scaled."""
        codes = self.axes(code) / self.scaler.scale.max()  # as they are shown, in units of scaled rows
        wanted, distance = ((x - x.roll(1, dims=0)).norm(dim=1) for x in (seen, codes))
        return {"stress": self.alpha * (distance - wanted).square()}


class DistanceAutoencoder(Autoencoder):
    """An autoencoder that keeps distances, as metric multidimensional scaling does, and takes new rows."""

    module_class = DistanceModule

    def __init__(self, n_components=2, *, alpha=1.0, max_iter="auto", random_state=None):
        super().__init__(n_components, max_iter=max_iter, random_state=random_state)
        self.alpha = alpha

    def module_params(self, moments, scale):  # noqa: ARG002 - the hook's signature
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
# The new term has its own curve, and the epoch is chosen by the sum on rows that were held out.

LossCurveDisplay.from_estimator(ours)
plt.show()
