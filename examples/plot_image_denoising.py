"""
Denoising images with convolutions
==================================

Images were struck by strong noise. How much of them do denoising autoencoders recover that PCA doesn't, and are
convolutions worth their time?
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from skae import DenoisingAutoencoder
from skae.architectures import Convolutional
from skae.datasets import fetch_fashion_mnist
from skae.inspection import LossCurveDisplay

X, _ = fetch_fashion_mnist(subset="test", return_X_y=True)
X = X.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(-1, 14 * 14).astype(np.float32) / 255  # half the size
X_train, X_test = X[:3000], X[8000:]

rng = np.random.default_rng(0)
X_noisy = np.clip(X_test + rng.normal(scale=0.4, size=X_test.shape), 0, 1).astype(np.float32)


def psnr(X_hat):
    """Peak signal-to-noise ratio against the clean test images, in decibels."""
    return -10 * np.log10(np.square(X_hat - X_test).mean())


# %%
# PCA
# ---
# PCA is fitted to clean images and projects noisy ones. With few components it loses detail, with many it lets noise
# through. It is given the number that is best for the test images, which nobody would know.

projected = []
for k in (8, 16, 32, 64):
    pca = PCA(k, random_state=0).fit(X_train)
    projected.append(pca.inverse_transform(pca.transform(X_noisy)))
restored = {"PCA": max(projected, key=psnr)}

# %%
# Denoising autoencoders
# ----------------------
# ``DenoisingAutoencoder`` is fitted to clean images too. It strikes them with fresh noise at each step and learns to
# return the clean ones. It starts at the best linear denoiser, which ``hidden_layer_sizes=()`` leaves as it is. By
# default there are two dense layers beside it.
#
# The encoder of the convolutional one is three convolutions of 3 x 3 pixels with 64, 32 and 16 channels, each followed
# by pooling of 2 x 2; the decoder mirrors it with upsampling and convolutions. A dense layer and the code of 64 numbers
# lie in between. With ``dense_code=False`` the last map of 2 x 2 x 16 features would be the code, as in the classic
# denoising net.

noise = {"corruption": "gaussian", "corruption_level": 0.4, "random_state": 0}
denoisers = {
    "linear": DenoisingAutoencoder(64, hidden_layer_sizes=(), **noise),
    "dense": DenoisingAutoencoder(64, **noise),
    "convolutional": DenoisingAutoencoder(
        64,
        architecture=Convolutional(image_shape=(14, 14), channels=(64, 32, 16)),
        hidden_layer_sizes=(256,),
        batch_size=64,
        max_iter=10,
        **noise,
    ),
}
for name, denoiser in denoisers.items():
    restored[name] = denoiser.fit(X_train).reconstruct(X_noisy)

for name, images in {"noisy": X_noisy, **restored}.items():
    print(f"{name:16s}{psnr(images):6.1f} dB")

# %%
# All three are well above PCA, for they know what noise to expect. The convolutional one gains a little over the linear
# denoiser it starts at, and the dense one gains more in less time: on small images that are centred, dense layers see
# all there is to see. Convolutions take many epochs and images before they are ahead.
#
# The images
# ----------

n = 10
lines = {"clean": X_test, "noisy": X_noisy, **restored}
figure, axes = plt.subplots(len(lines), n, figsize=(8.6, 4.9), layout="constrained")
for line, (name, images) in zip(axes, lines.items(), strict=True):
    for ax, image in zip(line, images, strict=False):
        ax.imshow(image.reshape(14, 14), cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# How the training went
# ---------------------
# The loss of held-out images, struck by noise, decides which epoch is kept. Of the convolutional one it fell to the
# end.

LossCurveDisplay.from_estimator(denoisers["convolutional"])
plt.show()
