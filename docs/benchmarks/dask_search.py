"""GridSearchCV on a dask cluster: equal scores, time of two workers against one process, and killed workers.

    python docs/benchmarks/dask_search.py [--rounds 5] [--kills 10]

1. GridSearchCV of 12 fits on scikit-learn's digits, one thread per fit, after a warm-up: the scores on a LocalCluster
   of two processes are compared with those in this process. Medians of alternating timings are printed, with the malloc
   settings that dask gives its processes and without. The first search is timed separately, since each worker imports
   torch in it.
2. The same search while a worker is killed after a third of its duration: with nothing scattered; with X and the
   indices of the splits scattered, of which dask gives each worker a copy; and also with dask's memory manager, which
   removes such copies, stopped.
3. Number of torch threads in a task: in dask's processes by default, with OMP_NUM_THREADS=2 set before, with
   MKL_NUM_THREADS=2 too, and with threads instead of processes.
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
    """Return a cluster of two workers with one thread each."""
    how = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50} | how
    return LocalCluster(host="127.0.0.1", **how) if how.get("processes", True) else LocalCluster(**how)


def usual_malloc():
    """Return a dask configuration without malloc settings."""
    os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)  # dask sets it in this process when it starts a worker
    return dask.config.set({"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None})


def scores(**backend):
    """Return the scores of the search, on the cluster or in this process."""
    with joblib.parallel_config(**backend or {"backend": "sequential"}):
        return SEARCH.fit(X).cv_results_["mean_test_score"]


def speed(rounds):
    """Run part 1; return the scores and the seconds on two workers."""
    expected = scores()
    for name, malloc in (
        ("with dask's malloc settings", contextlib.nullcontext),
        ("without malloc settings", usual_malloc),
    ):
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
            f"    this process {np.median(here):.1f} s, two workers {np.median(there):.1f} s, "
            f"speedup: {np.median(np.divide(here, there)):.2f}"
        )
    return expected, np.median(there)


def kills(n_kills, expected, seconds):
    """Run part 2."""
    for name, scatter in (("nothing", None), ("X and splits", ALL), ("X and splits, memory manager stopped", ALL)):
        outcomes = []
        for n in range(n_kills):
            with usual_malloc(), cluster() as workers, Client(workers) as client:
                if "stopped" in name:
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
    """Run part 3."""
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
    warnings.simplefilter("ignore")  # dask warns when a worker is lost
    print("torch threads in a task")
    threads()
    torch.set_num_threads(1)  # as in the workers
    Autoencoder(max_iter=1).fit(X[:100])  # warm-up: torch imports modules at the first step
    print(f"12 fits, medians of {args.rounds}")
    expected, seconds = speed(args.rounds)
    print("a worker is killed after a third of the search; scattered:")
    kills(args.kills, expected, seconds)


if __name__ == "__main__":
    main()
