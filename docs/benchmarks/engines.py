"""Compare codes computed by dask-ml and by Spark with those of `transform`.

    python docs/benchmarks/engines.py

dask-ml: `Incremental` is compared with a loop of `partial_fit`, and `ParallelPostFit` with `transform`. Spark, on two
local processes, which requires Java: `mapInPandas` and `mapInArrow` are compared with `transform`. Packages that are
not installed are skipped.
"""

import os
import sys
import warnings

sys.path.pop(0)  # this folder: dask-ml would import its sparse.py instead of the package

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from skae import Autoencoder

X = load_digits().data
NAMES = [f"x{j}" for j in range(64)]
CODES = ["c0", "c1", "c2", "c3"]


def dask_ml():
    """Compare dask-ml's wrappers with `partial_fit` and `transform`."""
    import dask
    import dask.array as da
    import dask_ml
    from dask_ml.wrappers import Incremental, ParallelPostFit

    rows = da.from_array(X, chunks=(600, -1))
    stream = Autoencoder(4, random_state=0)
    for block in rows.blocks:
        stream.partial_fit(block.compute())
    theirs = Incremental(Autoencoder(4, random_state=0), shuffle_blocks=False).fit(rows)
    print(f"dask-ml {dask_ml.__version__}, dask {dask.__version__}")
    print(f"  Incremental: bit-identical {np.array_equal(theirs.estimator_.transform(X), stream.transform(X))}")
    codes = ParallelPostFit(stream).transform(rows)
    blocks = np.concatenate([stream.transform(X[start : start + 600]) for start in range(0, len(X), 600)])
    print(f"  ParallelPostFit: bit-identical {np.array_equal(codes.compute(), blocks)}; declared shape {codes.shape}")


def spark():
    """Compare Spark's `mapInPandas` and `mapInArrow` with `transform`."""
    import pyarrow as pa
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    warnings.simplefilter("ignore")  # pyspark warns about pandas 3
    autoencoder = Autoencoder(4, max_iter=2, random_state=0).fit(X)

    def of_frames(frames):
        for frame in frames:
            codes = autoencoder.transform(frame[NAMES].to_numpy())
            yield pd.DataFrame({"row": frame["row"].to_numpy(), **dict(zip(CODES, codes.T, strict=True))})

    def of_batches(batches):
        for batch in batches:
            codes = autoencoder.transform(batch.select(NAMES))
            yield pa.record_batch([batch.column("row"), *codes.T.copy()], names=["row", *CODES])

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    session = session.getOrCreate()
    rows = session.createDataFrame(pd.DataFrame(X, columns=NAMES).assign(row=np.arange(len(X))))
    schema, local = "row long, " + ", ".join(f"{name} double" for name in CODES), autoencoder.transform(X)
    print(f"Spark {session.version}")
    for name, codes in (
        ("mapInPandas", rows.mapInPandas(of_frames, schema)),
        ("mapInArrow", rows.mapInArrow(of_batches, schema)),
    ):
        found = codes.toPandas().sort_values("row")[CODES].to_numpy()
        print(f"  {name}: bit-identical {np.array_equal(found, local)}, off by {np.abs(found - local).max():.1g}")
    session.stop()


if __name__ == "__main__":
    for part in (dask_ml, spark):
        try:
            part()
        except ImportError as error:
            print(f"skipped: {error}")
