"""
Pretraining on unlabeled images
===============================

All images of digits are available, but only 50 or 100 of them have labels. Is
a classifier more accurate on the codes of an autoencoder that was fitted to
all images than on the pixels?
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit, cross_val_score
from sklearn.svm import SVC

from skae import ContractiveAutoencoder, SparseAutoencoder, StackedAutoencoder

X, y = load_digits(return_X_y=True)

# %%
# Features learned without labels
# -------------------------------
# The reducers are fitted without labels. :class:`~skae.StackedAutoencoder` is
# trained layer by layer, and then as one network; its code here is a wide
# layer of ReLUs. :class:`~skae.SparseAutoencoder` has a wide code too, of
# which few units are active for an image.
# :class:`~skae.ContractiveAutoencoder` has a short code that is robust to
# noise. Each kind of features is divided by its standard deviation, so that
# the regularization of a classifier has the same effect on all.

reducers = {
    "PCA": PCA(16, random_state=0),
    "stack": StackedAutoencoder(
        (256, 128),
        activation="relu",
        code_activation="relu",
        max_iter=10,
        random_state=0,
    ),
    "sparse": SparseAutoencoder(256, random_state=0),
    "contractive": ContractiveAutoencoder(16, alpha=0.3, random_state=0),
}
features = {
    "pixels": X,
    **{name: reducer.fit_transform(X) for name, reducer in reducers.items()},
}
features = {name: codes / codes.std() for name, codes in features.items()}

# %%
# Classifiers with few labels
# ---------------------------
# Two classifiers are fitted to 50 or 100 labeled images, stratified by digit,
# and tested on all other images. The labeled images are drawn twenty times,
# and are the same for all features. Next to the mean accuracy is the number of
# draws in which the features are better than the pixels.

classifiers = {
    "linear classifier": LogisticRegression(C=10, max_iter=1000),
    "kernel classifier": SVC(C=10),
}
numbers = (50, 100)
accuracies = {}
for title, classifier in classifiers.items():
    for n_labels in numbers:
        splits = StratifiedShuffleSplit(
            n_splits=20, train_size=n_labels, random_state=0
        )
        for name, codes in features.items():
            accuracies[title, n_labels, name] = cross_val_score(
                classifier, codes, y, cv=splits
            )

for title in classifiers:
    print(
        f"{title + ',':20s}"
        + "".join(f"{n_labels:>12d} labels" for n_labels in numbers)
    )
    for name in features:
        line = f"  {name:18s}"
        for n_labels in numbers:
            of_name, of_pixels = (
                accuracies[title, n_labels, name],
                accuracies[title, n_labels, "pixels"],
            )
            line += (
                f"{of_name.mean():11.3f} ({np.sum(of_name > of_pixels):2d}/20)"
            )
        print(line)

# %%
# For the linear classifier, sparse and contractive codes are better features
# than pixels. Those of the stack and of PCA are not; a linear map can't add
# anything to a linear classifier. The kernel classifier learns nonlinear
# features by itself: the contractive codes are slightly better than pixels for
# it, and the wide ones are worse. So pretraining may help, but does not always
# help, if there are few labels.

colors = dict(
    zip(
        features,
        ("0.5", "#d1662a", "#3a9a5b", "#8a4fb0", "#2a63b0"),
        strict=True,
    )
)
figure, axes = plt.subplots(
    1, 2, figsize=(8.4, 3.4), sharey=True, layout="constrained"
)
for ax, title in zip(axes, classifiers, strict=True):
    for j, n_labels in enumerate(numbers):
        for i, (name, color) in enumerate(colors.items()):
            each = accuracies[title, n_labels, name]
            at = j + 0.17 * (i - 2)
            spread = np.linspace(-0.05, 0.05, len(each))
            ax.plot(
                at + spread,
                each,
                "o",
                markersize=3,
                alpha=0.5,
                color=color,
                label=None if j else name,
            )
            ax.plot([at - 0.07, at + 0.07], [each.mean()] * 2, color=color)
    ax.set(
        xticks=range(len(numbers)),
        xticklabels=numbers,
        xlabel="labels",
        title=title,
    )
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("accuracy on other images")
axes[1].legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
