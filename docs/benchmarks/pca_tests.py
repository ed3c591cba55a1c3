"""Run scikit-learn's tests of PCA with a linear autoencoder instead of PCA.

    python docs/benchmarks/pca_tests.py [-k EXPRESSION]

The tests are those of the installed scikit-learn; its test module is loaded with the class below as PCA. Prints how
many tests pass, and the failures with their reasons.
"""

import argparse
import os
import re
import warnings

os.environ["SCIPY_ARRAY_API"] = "1"  # otherwise tests are skipped

import pytest
import sklearn.decomposition

import skae

TESTS = "sklearn.decomposition.tests.test_pca"


class PCA(skae.Autoencoder):
    """`Autoencoder(hidden_layer_sizes=())` with PCA's parameters; solvers only affect the valid `n_components`."""

    def __init__(
        self,
        n_components=None,
        *,
        copy=True,
        whiten=False,
        svd_solver="auto",
        tol=0.0,
        iterated_power="auto",
        n_oversamples=10,
        power_iteration_normalizer="auto",
        random_state=None,
    ):
        super().__init__(n_components, hidden_layer_sizes=(), whiten=whiten, tol=tol, random_state=random_state)
        self.copy, self.svd_solver, self.iterated_power = copy, svd_solver, iterated_power
        self.n_oversamples, self.power_iteration_normalizer = n_oversamples, power_iteration_normalizer

    def fit(self, X, y=None):
        """Fit the autoencoder to X."""
        n_components = self.n_components
        if n_components == "mle" and self.svd_solver in ("arpack", "randomized"):
            raise ValueError(f"n_components={n_components!r} cannot be a string with svd_solver={self.svd_solver!r}")
        if n_components is None and self.svd_solver == "arpack":  # ARPACK's maximum
            self.n_components = min(X.shape) - 1
        try:
            return super().fit(X, y)
        finally:
            self.n_components = n_components


class Outcomes:
    """A pytest plugin that counts tests and records failures."""

    def __init__(self):
        self.n_passed, self.n_skipped, self.failed = 0, 0, []

    def pytest_runtest_logreport(self, report):
        """Count a test after it ran, or failed in its setup."""
        if report.when == "call" and report.passed:
            self.n_passed += 1
        elif report.skipped:
            self.n_skipped += 1
        elif report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            lines = (crash.message if crash else str(report.longrepr)).strip().splitlines()
            self.failed.append((report.nodeid.rpartition("::")[2], re.sub(r"\s+", " ", " ".join(lines[:4]))))


def main():
    """Print the outcomes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-k", default="", help="expression that selects tests, as in pytest")
    sklearn.decomposition.PCA = PCA  # the tests import it; skae has already imported the original
    outcomes = Outcomes()
    options = ["-q", "-n0", "-p", "no:cacheprovider", "-p", "no:randomly", "--no-header", "--no-summary", "--tb=short"]
    options += ["-W", "ignore", "-k", parser.parse_args().k, "--rootdir", os.path.dirname(sklearn.__file__)]
    with warnings.catch_warnings():
        pytest.main([*options, "--pyargs", TESTS], plugins=[outcomes])
    n = outcomes.n_passed + len(outcomes.failed)
    print(f"\nscikit-learn {sklearn.__version__}: {outcomes.n_passed} of {n} tests of PCA pass", end="")
    print(f" ({outcomes.n_skipped} more are skipped: they need other array libraries)")
    for name, reason in outcomes.failed:
        print(f"    {name}: {reason[:160]}")


if __name__ == "__main__":
    main()
