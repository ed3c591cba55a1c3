"""The reconstruction scorer supports all estimators with transform and inverse_transform."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, PCA, KernelPCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder
from skae.metrics import reconstruction_scorer


def by_definition(estimator, X):
    X_hat = estimator.inverse_transform(estimator.transform(X))
    return 1 - ((X - X_hat) ** 2).sum() / ((X - X.mean(axis=0)) ** 2).sum()


@pytest.mark.parametrize(
    "estimator",
    [
        PCA(3),
        NMF(3, max_iter=2000, tol=1e-2),
        KernelPCA(3, kernel="rbf", fit_inverse_transform=True),
        make_pipeline(StandardScaler(), PCA(3)),
        make_pipeline(StandardScaler(), Autoencoder(3, hidden_layer_sizes=16, max_iter=3, random_state=0)),
        Autoencoder(3, hidden_layer_sizes=16, max_iter=3, random_state=0).set_output(transform="pandas"),
    ],
    ids=lambda estimator: " ".join(repr(estimator).split()),
)
def test_scores_by_definition(estimator, digits):
    estimator.fit(digits)
    assert reconstruction_scorer(estimator, digits) == pytest.approx(by_definition(estimator, digits))
    assert isinstance(reconstruction_scorer(estimator, digits), float)


def test_scorer_equals_the_score_method(digits):
    fitted = Autoencoder(3, hidden_layer_sizes=16, max_iter=3, random_state=0).fit(digits)
    assert reconstruction_scorer(fitted, digits) == pytest.approx(fitted.score(digits))


def test_grid_search_compares_pca_with_autoencoders(digits):
    pipe = Pipeline([("scale", StandardScaler()), ("reduce", PCA())])
    grid = {"reduce": [PCA(), Autoencoder(max_iter=3, random_state=0)], "reduce__n_components": [2, 8]}
    search = GridSearchCV(pipe, grid, scoring=reconstruction_scorer, cv=2).fit(digits)
    pca = make_pipeline(StandardScaler(), PCA(8, random_state=0))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    expected = cross_val_score(pca, digits, cv=2, scoring=reconstruction_scorer).mean()
    assert search.cv_results_["mean_test_score"][1] == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
def test_grid_search_of_readme(digits):
    y = np.arange(len(digits)) % 3
    pipe = Pipeline([("scale", StandardScaler()), ("reduce", PCA()), ("classify", LogisticRegression(max_iter=1000))])
    grid = {"reduce": [PCA(), Autoencoder(max_iter=2, random_state=0)], "reduce__n_components": [2, 8]}
    searches = [GridSearchCV(pipe, grid, cv=2, n_jobs=n_jobs).fit(digits, y) for n_jobs in (1, 2)]
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    np.testing.assert_array_equal(*scores)  # n_jobs=2 gives bit-identical results


def test_estimators_without_inverse_transform_raise(digits):
    with pytest.raises(TypeError, match="requires an estimator with inverse_transform, but KMeans"):
        reconstruction_scorer(KMeans(2).fit(digits), digits)


def test_r2_of_the_mean_is_zero(digits):
    assert r2_score(
        digits, np.tile(digits.mean(0), (len(digits), 1)), multioutput="variance_weighted"
    ) == pytest.approx(0)
