"""Searches on a dask cluster, and blocks of samples from dask, Arrow, polars and Spark."""

import itertools
import os
import signal
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from torch import nn

from skae import Autoencoder, DenoisingAutoencoder
from skae.architectures import Architecture

pytestmark = pytest.mark.slow

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
cloudpickle = pytest.importorskip("cloudpickle")  # a dependency of both

SMALLEST = {"hidden_layer_sizes": 8, "max_iter": 2, "random_state": 0}
GRID = {"n_components": [1, 2, 3]}

# Searches ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    """Return a client of a local cluster of two processes."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def client(cluster):
    """Return the client, with warnings as errors in the workers."""
    cluster.wait_for_workers(2)  # a test kills one worker
    cluster.run(warnings.simplefilter, "error")
    return cluster


def scores(search, X, **backend):
    """Return the scores of a search on the cluster, or in this process if no backend is given."""
    with joblib.parallel_config(**backend or {"backend": "sequential"}):
        return search.fit(X).cv_results_["mean_test_score"]


def test_search_on_a_cluster_is_bit_identical(client, digits):
    search = GridSearchCV(Autoencoder(**SMALLEST), GRID, cv=2, error_score="raise")
    np.testing.assert_array_equal(scores(search, digits, backend="dask"), scores(search, digits))
    # in torch, each thread has its own number of threads, so this runs in the threads that run tasks
    addresses = client.scheduler_info(n_workers=-1)["workers"]
    threads = [client.submit(torch.get_num_threads, workers=[address], pure=False) for address in addresses]
    assert client.gather(threads) == [1, 1]


def test_architecture_of_a_notebook_is_sent_to_workers(client, digits):  # noqa: ARG001
    class Narrow(Architecture):
        def __init__(self, width=4):
            self.width = width

        def build(self, n_features, activation):  # noqa: ARG002
            return nn.Linear(n_features, self.width), nn.Linear(self.width, n_features), self.width

    Narrow.__module__ = "__main__"  # as in a notebook; workers could import it from this file
    estimator = Autoencoder(2, architecture=Narrow(3), **SMALLEST)

    def fits(backend):
        with joblib.parallel_config(backend):
            return cross_validate(estimator, digits, cv=2, return_estimator=True, error_score="raise")["estimator"]

    for there, here in zip(fits("dask"), fits("sequential"), strict=True):
        np.testing.assert_array_equal(there.transform(digits), here.transform(digits))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this platform")
def test_search_survives_a_killed_worker(client, digits, tmp_path):
    before = set(client.run(os.getpid).values())
    marker, home = tmp_path / "killed", os.getpid()

    def kill_one_worker(rows):
        if os.getpid() != home and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 0.9 * rows

    splits = list(KFold(2).split(digits))
    search = GridSearchCV(
        DenoisingAutoencoder(corruption=kill_one_worker, **SMALLEST), GRID, cv=splits, error_score="raise"
    )
    expected = scores(search, digits)
    # otherwise each array is stored on one worker only, and lost if that one is killed
    everything = [digits, *itertools.chain(*splits)]
    client.amm.stop()  # the memory manager would remove copies
    np.testing.assert_array_equal(scores(search, digits, backend="dask", scatter=everything), expected)
    client.wait_for_workers(2)
    assert set(client.run(os.getpid).values()) != before


# Blocks --------------------------------------------------------------------------------------------------------------

COLUMNS = [f"x{j}" for j in range(64)]
SIZE = 100  # the last block is smaller


@pytest.fixture
def parts(digits):
    return [digits[start : start + SIZE] for start in range(0, len(digits), SIZE)]


def of_arrays(X):
    yield from (block.compute() for block in da.from_array(X, chunks=(SIZE, -1)).blocks)


def of_delayed(X):
    yield from (block.compute() for block in da.from_array(X, chunks=(SIZE, -1)).to_delayed().ravel())


def of_dask(X):
    yield from da.from_array(X, chunks=(SIZE, -1)).blocks  # computed by the estimator


def of_parquet(X):
    with pa.BufferOutputStream() as sink:
        pq.write_table(pa.table(dict(zip(COLUMNS, X.T.copy(), strict=True))), sink)
        yield from pq.ParquetFile(sink.getvalue()).iter_batches(batch_size=SIZE)


def of_polars(X):
    yield from pl.DataFrame(X, schema=COLUMNS).iter_slices(SIZE)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("blocks", [of_arrays, of_delayed, of_dask, of_parquet, of_polars])
def test_stream_of_blocks_equals_a_stream_of_arrays(blocks, digits, parts):
    ours, arrays = (Autoencoder(3, hidden_layer_sizes=8, random_state=0) for _ in range(2))
    for block, part in zip(blocks(digits), parts, strict=True):
        ours.partial_fit(block)
        arrays.partial_fit(part)
    np.testing.assert_array_equal(ours.transform(digits), arrays.transform(digits))
    together = np.concatenate([ours.transform(block) for block in blocks(digits)])
    np.testing.assert_array_equal(together, np.concatenate([ours.transform(part) for part in parts]))
    np.testing.assert_allclose(together, ours.transform(digits), rtol=0, atol=1e-12)


@pytest.fixture
def encoder(fits):
    return fits(Autoencoder(3, **SMALLEST))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_dask_transforms_block_by_block(dtype, encoder, digits, parts):
    X = da.from_array(digits.astype(dtype), chunks=(SIZE, -1))
    codes = X.map_blocks(encoder.transform, chunks=(X.chunks[0], (3,)), meta=np.empty((0, 0), dtype))
    assert codes.shape == (len(digits), 3)
    found = codes.compute()
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.concatenate([encoder.transform(part.astype(dtype)) for part in parts]))


def test_cluster_transforms_block_by_block(client, encoder, digits, parts):  # noqa: ARG001
    X = da.from_array(digits, chunks=(SIZE, -1))
    codes = X.map_blocks(encoder.transform, chunks=(X.chunks[0], (3,)), meta=np.empty((0, 0))).compute()
    np.testing.assert_array_equal(codes, np.concatenate([encoder.transform(part) for part in parts]))


def test_polars_transforms_a_lazy_frame(digits):
    X = pl.DataFrame(digits, schema=COLUMNS)
    encoder = Autoencoder(3, **SMALLEST).fit(X).set_output(transform="polars")
    schema = dict.fromkeys(encoder.get_feature_names_out(), pl.Float64)
    codes = X.lazy().map_batches(encoder.transform, schema=schema).collect()
    assert codes.equals(encoder.transform(X))


def test_function_for_spark_transforms_an_iterator_of_frames(encoder, digits, parts):
    # as in the guide; Spark calls it in each of its processes, with frames of any size
    def encode(frames):
        for frame in frames:
            codes = encoder.transform(frame[COLUMNS].to_numpy())
            yield pd.DataFrame({"row": frame["row"].to_numpy(), **{f"c{j}": codes[:, j] for j in range(3)}})

    frames = (
        pd.DataFrame(part, columns=COLUMNS).assign(row=np.arange(start, start + len(part)))
        for start, part in zip(range(0, len(digits), SIZE), parts, strict=True)
    )
    remote = cloudpickle.loads(cloudpickle.dumps(encode))  # as Spark does
    codes = pd.concat(remote(frames))
    np.testing.assert_array_equal(codes["row"], np.arange(len(digits)))
    expected = np.concatenate([encoder.transform(part) for part in parts])
    np.testing.assert_array_equal(codes[["c0", "c1", "c2"]], expected)
