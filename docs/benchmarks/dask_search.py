"""A search on a cluster of dask: the same scores, the time of two workers against one process, a worker that is killed.

    python docs/benchmarks/dask_search.py [--rounds 5] [--kills 10]

1. GridSearchCV of 12 fits on scikit-learn's digits, one thread a fit, workers warm: scores on a LocalCluster of two
   processes against those here, and medians of the seconds, taken in turns, with the settings of malloc that dask
   gives its processes and without; the first search is apart, for each worker loads torch in it.
2. The same while a worker is killed after a third of the seconds: with nothing scattered, with X and the indices of the
   splits, of which dask then gives each worker a copy, and with its memory manager stopped, which takes copies back.
3. Threads of torch in a task: as dask starts its processes, with OMP_NUM_THREADS=2 set before, with MKL_NUM_THREADS=2
   too, and with threads instead of processes.
"""

import argparse
import collections
import contextlib
import itertools
import os
import signal
import threading
import warnings

import dask
import joblib
import numpy as np
import torch
from _measure import stopwatch
from distributed import Client, LocalCluster
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, KFold

from skae import Autoencoder

X = load_digits().data
SPLITS = list(KFold(3).split(X))
ALL = [X, *itertools.chain(*SPLITS)]
SEARCH = GridSearchCV(
    Autoencoder(max_iter=15, random_state=0),
    {"n_components": [2, 4, 8, 16]},
    cv=SPLITS,
    refit=False,
    error_score="raise",
)


def cluster(**how):
    """Two workers of one thread each."""
    how = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50} | how
    return LocalCluster(host="127.0.0.1", **how) if how.get("processes", True) else LocalCluster(**how)


def usual_malloc():
    """A setting of dask with none of malloc."""
    os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)  # dask leaves it in this process once it has started another
    return dask.config.set({"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None})


def scores(**backend):
    """Scores of the search, on the cluster or here."""
    with joblib.parallel_config(**backend or {"backend": "sequential"}):
        return SEARCH.fit(X).cv_results_["mean_test_score"]


def speed(rounds):
    """Part 1; return the scores and the seconds on two workers."""
    expected = scores()
    for name, malloc in (("as dask starts processes", contextlib.nullcontext), ("without its malloc", usual_malloc)):
        here, there = [], []
        with malloc(), cluster() as workers, Client(workers):
            with stopwatch(first := []):
                found = scores(backend="dask", scatter=ALL)
            print(
                f"  {name}: the first search {first[0]:.1f} s; bit-identical results: {np.array_equal(found, expected)}"
            )
            for _ in range(rounds):
                with stopwatch(here):
                    scores()
                with stopwatch(there):
                    equal = np.array_equal(scores(backend="dask", scatter=ALL), expected)
                assert equal
        print(
            f"    here {np.median(here):.1f} s, two workers {np.median(there):.1f} s, "
            f"times as fast: {np.median(np.divide(here, there)):.2f}"
        )
    return expected, np.median(there)


def kills(n_kills, expected, seconds):
    """Part 2."""
    for name, scatter in (("nothing", None), ("X and splits", ALL), ("X and splits, and they stay", ALL)):
        outcomes = []
        for n in range(n_kills):
            with usual_malloc(), cluster() as workers, Client(workers) as client:
                if "stay" in name:
                    client.amm.stop()
                scores(backend="dask")  # warm
                victims = list(client.run(os.getpid).values())
                timer = threading.Timer(seconds / 3, os.kill, (victims[n % 2], signal.SIGKILL))
                timer.start()
                try:
                    found = scores(backend="dask", scatter=scatter)
                    outcomes.append("identical" if np.array_equal(found, expected) else "different")
                except Exception as error:
                    outcomes.append(type(error).__name__)
                timer.join()
        print(f"  {name}: {dict(collections.Counter(outcomes))}", flush=True)


def threads():
    """Part 3."""
    print(f"  this process: {torch.get_num_threads()}")
    before = os.environ.pop("OMP_NUM_THREADS", None)
    for name, variables, how in (
        ("processes", {}, {}),
        ("processes, OMP_NUM_THREADS=2", {"OMP_NUM_THREADS": "2"}, {}),
        ("processes, OMP_NUM_THREADS=2, MKL_NUM_THREADS=2", {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}, {}),
        ("processes=False", {}, {"processes": False}),
    ):
        os.environ.update(variables)
        with cluster(**how) as workers, Client(workers) as client:
            print(f"  {name}: {client.submit(torch.get_num_threads, pure=False).result()}")
        for variable in variables:
            del os.environ[variable]
    if before is not None:
        os.environ["OMP_NUM_THREADS"] = before


def main():
    """Run the parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kills", type=int, default=10)
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # of dask, when a worker is lost
    print("threads of torch in a task")
    threads()
    torch.set_num_threads(1)  # as the workers'
    Autoencoder(max_iter=1).fit(X[:100])  # what torch loads at the first step is nobody's time
    print(f"12 fits, medians of {args.rounds}")
    expected, seconds = speed(args.rounds)
    print("a worker is killed after a third of that; scattered:")
    kills(args.kills, expected, seconds)


if __name__ == "__main__":
    main()
