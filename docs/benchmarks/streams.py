"""Streams and data larger than memory: `partial_fit`, a memory map of 4 GB, a wide sparse matrix.

    python docs/benchmarks/streams.py [chunks] [memmap] [sparse]

chunks: Fashion-MNIST, 20,000 rows, 32 components: 8 chunks by `partial_fit`, one to five passes, against `fit` and PCA.
memmap: 1,000,000 x 1,000 in float32, one epoch: peak anonymous memory (RssAnon; mapped pages don't count) of `fit` and
  of `transform`, above the process before. The file lies in a temporary folder.
sparse: CSR 20,000 x 10,000, 1 % dense: peak resident memory above the process before, and R² against PCA's.

Memory is read in /proc, so this runs on Linux. Each part runs in a process of its own.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from _measure import Peak, r2
from scipy import sparse
from sklearn.decomposition import PCA

from skae import Autoencoder


def chunks():
    """Compare `partial_fit` with `fit`."""
    from _fashion_mnist import load

    train, test = load("train")[:20_000], load("t10k")
    pca = PCA(32, random_state=0).fit(train)
    of_pca = r2(test, pca.inverse_transform(pca.transform(test)))
    of_fit = Autoencoder(32, random_state=0).fit(train).score(test)
    print(f"test R²: PCA {of_pca:.4f}, fit {of_fit:.4f}")
    for n_chunks in (8, 40):
        stream = Autoencoder(32, random_state=0)
        for n_passes in range(1, 6):
            for chunk in np.array_split(train, n_chunks):
                stream.partial_fit(chunk)
            score = stream.score(test)
            print(
                f"{n_chunks} chunks, passes: {n_passes}: {score:.4f}, above PCA {score - of_pca:+.4f}, above fit "
                f"{score - of_fit:+.4f}"
            )


def memmap():
    """Fit to 4 GB in a file."""
    n, d = 1_000_000, 1_000
    Autoencoder(8, max_iter=1).fit(np.random.RandomState(0).rand(100, 20))  # load what torch loads late
    with tempfile.TemporaryDirectory() as folder:
        X = np.memmap(Path(folder) / "X.dat", np.float32, "w+", shape=(n, d))
        rng = np.random.default_rng(0)
        factors = rng.standard_normal((20, d), dtype=np.float32)
        for start in range(0, n, 10_000):
            hidden = rng.standard_normal((10_000, 20), dtype=np.float32)
            X[start : start + 10_000] = np.tanh(hidden) @ factors + 0.1 * rng.standard_normal((10_000, d), np.float32)
        X.flush()
        X = np.memmap(Path(folder) / "X.dat", np.float32, "r", shape=(n, d))
        with Peak("RssAnon") as fit:
            autoencoder = Autoencoder(8, max_iter=1, random_state=0).fit(X)
        print(f"fit, 1 epoch: {fit}")
        with Peak("RssAnon") as transform:
            codes = autoencoder.transform(X)
        print(f"transform: {transform}, of which the output has {codes.nbytes / 1e6:.0f} MB")
        print(f"R² {autoencoder.score(X[::100]):.4f}")


def csr():
    """Fit to a sparse matrix that would have 1.6 GB in float64."""
    n, d, k = 20_000, 10_000, 16
    rng = np.random.default_rng(0)
    # rows of 16 themes that use 400 columns each, 100 cells a row
    theme, used = rng.integers(0, 16, n), rng.permutation(d)[: 16 * 400].reshape(16, 400)
    columns = np.concatenate([rng.choice(used[t], 100, replace=False) for t in theme])
    values = rng.gamma(2.0, 1.0, n * 100) * np.repeat(rng.gamma(3.0, 1.0, n), 100)
    X = sparse.csr_array((values, (np.repeat(np.arange(n), 100), columns)), shape=(n, d))
    Autoencoder(8, max_iter=1).fit(rng.random((100, 20)))  # load what torch loads late
    test = X[-2000:]
    train = X[:-2000]
    with Peak("VmRSS") as peak:
        autoencoder = Autoencoder(k, random_state=0).fit(train)
    with Peak("VmRSS") as peak_pca:
        pca = PCA(k, random_state=0).fit(train)
    dense = test.toarray()
    of_pca = r2(dense, pca.inverse_transform(pca.transform(test)))
    print(f"{X.nnz / n / d:.1%} dense; fit: {peak}; PCA: {peak_pca}")
    print(f"test R²: PCA {of_pca:.4f}, Autoencoder {autoencoder.score(test):.4f}, epoch kept {autoencoder.best_epoch_}")


if __name__ == "__main__":
    parts = {"chunks": chunks, "memmap": memmap, "sparse": csr}
    if len(sys.argv) == 2:
        parts[sys.argv[1]]()
    else:
        for part in sys.argv[1:] or parts:
            print(f"-- {part}", flush=True)
            subprocess.run([sys.executable, __file__, part], check=True)
