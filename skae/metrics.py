"""Metrics and scorers for anything that has `transform` and `inverse_transform`."""

from sklearn.metrics import r2_score

__all__ = ["reconstruction_scorer"]


def reconstruction_scorer(estimator, X, y=None):  # noqa: ARG001 - scikit-learn's signature
    """R² of the reconstruction of X: a scorer for any estimator that transforms there and back.

    It is given as `scoring` to `GridSearchCV`, `cross_val_score` and the like, so that one search compares PCA, NMF,
    KernelPCA with its inverse, a Pipeline of them and autoencoders.

    Parameters
    ----------
    estimator : object
        Fitted, with `transform` and `inverse_transform`.

    X : array-like of shape (n_samples, n_features)
        Data.

    y : Ignored
        Not used, present for API consistency by convention.

    Returns
    -------
    score : float
        `r2_score(X, X_hat, multioutput="variance_weighted")` of `X_hat = inverse_transform(transform(X))`: 1 minus
        the squared error of the reconstruction over the variance of X, summed over features. 1 at best, 0 for the
        mean of X.

    Raises
    ------
    TypeError
        If the estimator can't transform back.

    See Also
    --------
    sklearn.metrics.r2_score : The score itself.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import NMF, PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import Pipeline
    >>> from skae.metrics import reconstruction_scorer
    >>> X, _ = load_digits(return_X_y=True)
    >>> pipe = Pipeline([("reduce", PCA())])
    >>> candidates = {"reduce": [PCA(8), NMF(8, max_iter=1000, random_state=0)]}
    >>> search = GridSearchCV(pipe, candidates, scoring=reconstruction_scorer).fit(X)
    >>> search.best_params_["reduce"]
    PCA(n_components=8)
    >>> bool(search.best_score_ > 0.6)
    True
    """
    if not hasattr(estimator, "inverse_transform"):
        raise TypeError(
            f"reconstruction_scorer needs an estimator with inverse_transform, and {estimator!r} has none. "
            "For KernelPCA set fit_inverse_transform=True."
        )
    X_hat = estimator.inverse_transform(estimator.transform(X))
    return float(r2_score(X, X_hat, multioutput="variance_weighted"))
