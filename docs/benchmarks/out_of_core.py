"""Streams ten times as large as the memory a process may have: `partial_fit` and `transform`, by pyarrow and dask.

    python docs/benchmarks/out_of_core.py [--limit 256] [--times 10] [--features 1000]

Made-up float32 samples, ten times `limit` MB, lie in a temporary folder, as Parquet and as .npy. Each part runs in a
process of its own, with one thread. After a first chunk, RLIMIT_DATA (all private memory that can be written to, which
Linux counts by what is reserved, not by what is touched) is set to what the process has plus `limit` MB: what asks for
more fails. The control asks for all samples at once, and must fail. The peak of RssAnon above the value before is
printed for the first tenth of the stream and for the last: mapped pages of files don't count, for the system takes them
back. The network is narrow, 64 units, for memory is what is asked. MALLOC_TRIM_THRESHOLD_=65536, which dask sets in the
processes that it starts, makes glibc return what is freed. Linux alone has /proc and counts so.
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

sys.path.pop(0)  # this folder, which has a sparse.py that dask would take for the package
CHUNK = 2_000  # samples
GROUP = 5  # chunks in a group of samples of Parquet: what it keeps of each column in each group takes memory as well


def write(folder, n, d):
    """Write the samples, chunk after chunk."""
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
    """Arrays of the record batches of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pa.set_memory_pool(pa.system_memory_pool())  # others reserve a gigabyte, which the limit would count
    with pq.ParquetFile(folder / "rows.parquet", pre_buffer=False) as parquet:
        yield from parquet.iter_batches(batch_size=CHUNK, use_threads=False)


def dask_rows(folder):
    """Arrays of the blocks of a dask array over a memory map."""
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
    """Run a part below its limit."""
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
            raise SystemExit("control: all samples at once fit, so the limit is none")
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
    """Write, run the parts, remove."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=int, default=256, help="MB above what the process has")
    parser.add_argument("--times", type=float, default=10, help="of the limit, that the samples take")
    parser.add_argument("--features", type=int, default=1_000)
    parser.add_argument("--parts", default="control,arrow partial_fit,dask partial_fit,arrow transform,dask transform")
    parser.add_argument("--run", help="a part, in this process")
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
