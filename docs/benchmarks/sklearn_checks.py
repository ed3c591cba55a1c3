"""Run scikit-learn's estimator checks for Autoencoder() and the linear one, with many seeds.

    python docs/benchmarks/sklearn_checks.py [--seeds 20] [--max-iter 20] [--n-jobs 2]

Runs all checks of `check_estimator`, including the array API check, and those that it omits. The test suite uses one
seed. The checks fit hundreds of times, so fits are limited to 20 epochs; `--max-iter 0` uses the default, which takes
about six minutes per seed.
"""

import argparse
import os
import sys
import warnings
from collections import Counter
from pathlib import Path

os.environ["SCIPY_ARRAY_API"] = "1"  # otherwise a check is skipped

from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator

from skae import Autoencoder

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from test_sklearn_checks import LEFT_OUT


def run(seed, linear, max_iter):
    """Return the number of checks that passed, failed and were skipped, and the names of those that did not pass."""
    warnings.simplefilter("ignore")
    parameters = {"hidden_layer_sizes": ()} if linear else {"max_iter": max_iter or "auto"}
    estimator = Autoencoder(random_state=seed, **parameters)
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    outcomes = Counter(result["status"] for result in results)
    other = [f"{result['check_name']}: {result['exception']}" for result in results if result["status"] != "passed"]
    for name in LEFT_OUT:
        try:
            getattr(estimator_checks, name)("Autoencoder", clone(estimator))
            outcomes["passed"] += 1
        except Exception as error:
            outcomes["failed"] += 1
            other.append(f"{name}: {error!r}")
    return outcomes, other


def main():
    """Print the outcomes, summed over seeds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--max-iter", type=int, default=20)
    parser.add_argument("--n-jobs", type=int, default=2)
    arguments = parser.parse_args()
    for linear in (False, True):
        runs = Parallel(arguments.n_jobs)(
            delayed(run)(seed, linear, arguments.max_iter) for seed in range(arguments.seeds)
        )
        outcomes = sum((outcome for outcome, _ in runs), Counter())
        shortened = f"max_iter={arguments.max_iter}" if arguments.max_iter else ""
        name = f"Autoencoder({'hidden_layer_sizes=()' if linear else shortened})"
        print(f"{name}, {arguments.seeds} seeds: {dict(outcomes)}")
        for line in sorted({line for _, other in runs for line in other}):
            print("   ", line)


if __name__ == "__main__":
    main()
