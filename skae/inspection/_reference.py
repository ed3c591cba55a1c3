"""PCA as a reference for an estimator, after the same transformers."""

import numpy as np

from skae._solvers import pca_of, r2_of, scaler_of
from skae.inspection._plotting import dense, split_pipeline


class PCAReference:
    """PCA of the input of the final estimator: of scaled samples, if a Pipeline scales them.

    The fitted transformers of the estimator are applied before PCA. For an autoencoder with `scale="standard"`, which
    standardizes its input, PCA is fitted after a StandardScaler. Missing values are replaced by the mean.

    Parameters
    ----------
    estimator : object
        Fitted estimator.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Input data. PCA is fitted to them.

    Attributes
    ----------
    name : str
        "PCA", or a name such as "StandardScaler + SimpleImputer + PCA".

    rows : ndarray of shape (n_samples, n)
        Input of PCA.
    """

    def __init__(self, estimator, X):
        self.before, inner = split_pipeline(estimator)
        for step in self.before:
            X = step.transform(X)
        self.rows = dense(X)
        if getattr(inner, "scale", None) == "standard":
            scaler = scaler_of(self.rows)
            self.before, self.rows = [*self.before, scaler], dense(scaler.transform(self.rows))
        names, missing = [_name(step) for step in self.before], np.isnan(self.rows)
        self.is_filled = bool(missing.any())
        if self.is_filled:
            means = np.where(missing, 0.0, self.rows).sum(axis=0) / np.maximum((~missing).sum(axis=0), 1)
            self.rows = np.where(missing, means, self.rows)
            names.append("SimpleImputer")
        self.name = " + ".join([*names, "PCA"])

    def codes(self, n_components):
        """Return PCA's codes of the samples, (n_samples, n_components)."""
        return dense(pca_of(self.rows, n_components, 0).transform(self.rows))

    def curve(self, X, max_components, max_sizes):
        """Return R² of the reconstruction of X, in the units of X, from increasing numbers of components.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Input data.

        max_components : int
            Maximum number of components.

        max_sizes : int
            Maximum number of sizes if each requires decoding. They are evenly spaced.

        Returns
        -------
        sizes, r2 : ndarray of shape (n_sizes,)
            Numbers of components, and R² for each.
        """
        max_components = min(*self.rows.shape, max_components)
        pca = pca_of(self.rows, max_components, 0)
        if not (self.before or self.is_filled):  # X is the input of PCA
            return np.arange(1, max_components + 1), np.cumsum(pca.explained_variance_ratio_)
        sizes = np.unique(np.linspace(1, max_components, min(max_components, max_sizes)).round().astype(int))
        codes, r2 = dense(pca.transform(self.rows)), []
        for size in sizes:
            X_hat = codes[:, :size] @ pca.components_[:size] + pca.mean_
            for step in reversed(self.before):
                X_hat = step.inverse_transform(X_hat)
            r2.append(r2_of(X, dense(X_hat)))
        return sizes, np.array(r2)


def _name(step):
    """Return the class name of a transformer, or the names of the steps of a Pipeline."""
    before, inner = split_pipeline(step)
    names = [_name(one) for one in before]
    return " + ".join([*names, "passthrough" if inner in (None, "passthrough") else type(inner).__name__])
