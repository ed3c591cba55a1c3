"""`partial_fit` and `transform` on streams ten times as large as the memory of the process, with pyarrow and dask.

    python docs/benchmarks/out_of_core.py [--limit 256] [--times 10] [--features 1000]

Synthetic float32 samples, ten times `limit` MB, are written to a temporary folder, as Parquet and as .npy. Each part
runs in a separate process, with one thread. After a first chunk, RLIMIT_DATA (all private writable memory, which Linux
counts when it is reserved, not when it is touched) is set to the current value plus `limit` MB, so that larger
allocations fail. The control allocates all samples at once, and must fail. The peak of RssAnon above its initial value
is printed for the first and the last tenth of the stream; mapped pages of files don't count, since the system reclaims
them. The network is narrow, 64 units, because memory is measured, not accuracy. MALLOC_TRIM_THRESHOLD_=65536, which
dask sets in its processes, makes glibc return freed memory. This requires Linux, for /proc and RLIMIT_DATA.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from _measure import Peak

from skae import Autoencoder

sys.path.pop(0)  # this folder: dask would import its sparse.py instead of the package
CHUNK = 2_000  # samples
GROUP = 5  # chunks per row group of Parquet, whose metadata for each column and group also takes memory


def write(folder, n, d):
    """Write the samples in chunks."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng, names = np.random.default_rng(0), [f"x{j}" for j in range(d)]
    factors = rng.standard_normal((8, d), dtype=np.float32)
    X = np.lib.format.open_memmap(folder / "rows.npy", "w+", np.float32, (n, d))
    schema = pa.schema([(name, pa.float32()) for name in names])
    with pq.ParquetWriter(folder / "rows.parquet", schema, compression="none", use_dictionary=False) as parquet:
        for start in range(0, n, CHUNK):
            rows = np.tanh(rng.standard_normal((min(CHUNK, n - start), 8), dtype=np.float32)) @ factors
            rows += 0.1 * rng.standard_normal(rows.shape, dtype=np.float32)
            X[start : start + len(rows)] = rows
            if (start // CHUNK) % GROUP == GROUP - 1 or start + CHUNK >= n:
                group = X[start // CHUNK // GROUP * CHUNK * GROUP : start + CHUNK]
                parquet.write_table(pa.table(list(group.T.copy()), schema=schema))
    X.flush()


def parquet_rows(folder):
    """Yield the record batches of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pa.set_memory_pool(pa.system_memory_pool())  # other pools reserve a gigabyte, which counts towards the limit
    with pq.ParquetFile(folder / "rows.parquet", pre_buffer=False) as parquet:
        yield from parquet.iter_batches(batch_size=CHUNK, use_threads=False)


def dask_rows(folder):
    """Yield the blocks of a dask array over a memory map."""
    import dask.array as da

    X = np.load(folder / "rows.npy", mmap_mode="r")
    blocks = da.map_blocks(  # `from_array` would copy the whole memory map
        lambda block_info: X[slice(*block_info[None]["array-location"][0])],
        chunks=da.core.normalize_chunks((CHUNK, -1), X.shape),
        dtype=X.dtype,
        meta=np.empty((0, 0), X.dtype),
    )
    for block in blocks.blocks:
        yield block.compute(scheduler="synchronous")


def run(part, folder, limit, d):
    """Run a part with limited memory."""
    torch.set_num_threads(1)
    source = dask_rows if part.startswith("dask") else parquet_rows
    few = next(iter(source(folder)))
    autoencoder = Autoencoder(8, hidden_layer_sizes=64, random_state=0)
    autoencoder.partial_fit(few)
    autoencoder.transform(few)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    now = int(status["VmData"].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (now + limit * 10**6,) * 2)
    n_bytes = (folder / "rows.npy").stat().st_size
    if part == "control":
        try:
            np.array(np.load(folder / "rows.npy", mmap_mode="r"))
        except MemoryError:
            print("control: all samples at once: MemoryError")
        else:
            raise SystemExit("control: all samples at once fit into memory, so the limit has no effect")
        return
    total, done, tenth, peaks = n_bytes // (4 * d), 0, 0, []
    start, chunks = time.perf_counter(), source(folder)
    before = Peak("RssAnon").read()
    while done < total:
        tenth += 1
        with Peak("RssAnon") as peak:
            while done < tenth * total / 10:
                chunk = next(chunks)
                if part.endswith("partial_fit"):
                    autoencoder.partial_fit(chunk)
                else:
                    autoencoder.transform(chunk)
                done += len(chunk)
        peaks.append(peak.peak - before)
    seconds = time.perf_counter() - start
    print(
        f"{part}: {done:,} samples, {n_bytes / 1e9:.1f} GB, {seconds:.0f} s ({1e6 * seconds / done:.0f} us each); peak "
        f"RssAnon above the {before:.0f} MB before, first tenth {peaks[0]:.0f} MB, last {peaks[-1]:.0f} MB, "
        f"most {max(peaks):.0f} MB",
        flush=True,
    )


def main():
    """Write the samples and run the parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=int, default=256, help="MB in addition to the memory of the process")
    parser.add_argument("--times", type=float, default=10, help="size of the samples as a multiple of the limit")
    parser.add_argument("--features", type=int, default=1_000)
    parser.add_argument("--parts", default="control,arrow partial_fit,dask partial_fit,arrow transform,dask transform")
    parser.add_argument("--run", help="run one part in this process")
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    if args.run:
        run(args.run, args.folder, args.limit, args.features)
        return
    n = int(args.times * args.limit * 1e6 / (4 * args.features))
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), n, args.features)
        for part in args.parts.split(","):
            command = [sys.executable, __file__, *sys.argv[1:], "--run", part, "--folder", folder]
            subprocess.run(command, check=True, env={**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"})


if __name__ == "__main__":
    main()
