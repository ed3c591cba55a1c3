"""What an estimator is compared with: PCA in the place of what makes the code, behind the same transformers."""

import numpy as np

from skae._solvers import pca_of, r2_of, scaler_of
from skae.inspection._plotting import dense, taken_apart


class PCAReference:
    """PCA of samples as they come to the estimator that makes the code: scaled, if a Pipeline scales them.

    The transformers before it are those of the estimator, as they are fitted. An autoencoder with `scale="standard"`
    standardizes by itself, and so PCA has a StandardScaler before it. Missing cells hold the mean.

    Parameters
    ----------
    estimator : object
        Fitted.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Data. PCA is fitted to them.

    Attributes
    ----------
    name : str
        "PCA", or such as "StandardScaler + SimpleImputer + PCA".

    rows : ndarray of shape (n_samples, n)
        What PCA sees.
    """

    def __init__(self, estimator, X):
        self.before, inner = taken_apart(estimator)
        for step in self.before:
            X = step.transform(X)
        self.rows = dense(X)
        if getattr(inner, "scale", None) == "standard":
            scaler = scaler_of(self.rows)
            self.before, self.rows = [*self.before, scaler], dense(scaler.transform(self.rows))
        names, missing = [_name_of(step) for step in self.before], np.isnan(self.rows)
        self.is_filled = bool(missing.any())
        if self.is_filled:
            means = np.where(missing, 0.0, self.rows).sum(axis=0) / np.maximum((~missing).sum(axis=0), 1)
            self.rows = np.where(missing, means, self.rows)
            names.append("SimpleImputer")
        self.name = " + ".join([*names, "PCA"])

    def codes(self, n_components):
        """PCA's codes of the samples, (n_samples, n_components)."""
        return dense(pca_of(self.rows, n_components, 0).transform(self.rows))

    def curve(self, X, most, at_most):
        """R² of the reconstruction of X, in X's own units, from the first so many components.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)

        most : int
            Components, if the samples have so many.

        at_most : int
            Sizes, where each has to be decoded: they are spread evenly then.

        Returns
        -------
        sizes, r2 : ndarray of shape (n_sizes,)
        """
        most = min(*self.rows.shape, most)
        pca = pca_of(self.rows, most, 0)
        if not (self.before or self.is_filled):  # in PCA's own units
            return np.arange(1, most + 1), np.cumsum(pca.explained_variance_ratio_)
        sizes = np.unique(np.linspace(1, most, min(most, at_most)).round().astype(int))
        codes, r2 = dense(pca.transform(self.rows)), []
        for size in sizes:
            X_hat = codes[:, :size] @ pca.components_[:size] + pca.mean_
            for step in reversed(self.before):
                X_hat = step.inverse_transform(X_hat)
            r2.append(r2_of(X, dense(X_hat)))
        return sizes, np.array(r2)


def _name_of(step):
    """Class of a transformer; those of a Pipeline, one by one."""
    before, inner = taken_apart(step)
    names = [_name_of(one) for one in before]
    return " + ".join([*names, "passthrough" if inner in (None, "passthrough") else type(inner).__name__])
