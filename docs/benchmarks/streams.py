"""Streams and data larger than memory: `partial_fit`, a memory map of 4 GB, a wide sparse matrix.

    python docs/benchmarks/streams.py [chunks] [memmap] [sparse] [chunkings] [outliers]

chunks: Fashion-MNIST, 20,000 samples, 32 components: 8 and 40 chunks by `partial_fit`, one to five passes, compared
  with `fit` and PCA.
memmap: 1,000,000 x 1,000 in float32, one epoch: peak private memory (RssAnon; mapped pages don't count) of `fit` and of
  `transform`, above the initial value. The file is in a temporary folder.
sparse: CSR 20,000 x 10,000, density 1 %: peak resident memory above the initial value, and R² compared with PCA's.
chunkings: five tables divided into chunks in eight ways, one pass, every variant: R² on test samples minus that of
  scikit-learn's `IncrementalPCA` with the same chunks, and the number of fits that are more than .005 below it.
outliers: the same variants and tables in ten chunks, then a chunk in which one sample is multiplied to a given size,
  then one more pass: the decrease of R² on test samples due to that sample, and the number of fits in which it is
  more than .02 above that of `IncrementalPCA`.

Memory is read from /proc, so this runs on Linux only. Each part runs in a separate process.
"""

import copy
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from _measure import Peak, r2
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_low_rank_matrix
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.preprocessing import scale

from skae import (
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    LSTMAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
)

VARIANTS = {
    "Autoencoder": Autoencoder(random_state=0),
    "Convolutional": ConvolutionalAutoencoder(channels=(8,), random_state=0),
    "LSTM": LSTMAutoencoder(hidden_size=8, random_state=0),
    "Sparse": SparseAutoencoder(random_state=0),
    "Denoising": DenoisingAutoencoder(random_state=0),
    "Contractive": ContractiveAutoencoder(random_state=0),
    "Variational": VariationalAutoencoder(random_state=0),
    "Stacked": StackedAutoencoder(random_state=0),
}


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
    """Fit to a memory map of 4 GB."""
    n, d = 1_000_000, 1_000
    Autoencoder(8, max_iter=1).fit(np.random.RandomState(0).rand(100, 20))  # warm up lazy imports
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
        print(f"transform: {transform}, of which the output takes {codes.nbytes / 1e6:.0f} MB")
        print(f"R² {autoencoder.score(X[::100]):.4f}")


def csr():
    """Fit to a sparse matrix that would have 1.6 GB in float64."""
    n, d, k = 20_000, 10_000, 16
    rng = np.random.default_rng(0)
    # samples of 16 topics that use 400 columns each, 100 non-zeros per sample
    topic, used = rng.integers(0, 16, n), rng.permutation(d)[: 16 * 400].reshape(16, 400)
    columns = np.concatenate([rng.choice(used[t], 100, replace=False) for t in topic])
    values = rng.gamma(2.0, 1.0, n * 100) * np.repeat(rng.gamma(3.0, 1.0, n), 100)
    X = sparse.csr_array((values, (np.repeat(np.arange(n), 100), columns)), shape=(n, d))
    Autoencoder(8, max_iter=1).fit(rng.random((100, 20)))  # warm up lazy imports
    test = X[-2000:]
    train = X[:-2000]
    with Peak("VmRSS") as peak:
        autoencoder = Autoencoder(k, random_state=0).fit(train)
    with Peak("VmRSS") as peak_pca:
        pca = PCA(k, random_state=0).fit(train)
    dense = test.toarray()
    of_pca = r2(dense, pca.inverse_transform(pca.transform(test)))
    print(f"{X.nnz / n / d:.1%} dense; fit: {peak}; PCA: {peak_pca}")
    print(f"test R²: PCA {of_pca:.4f}, Autoencoder {autoencoder.score(test):.4f}, best epoch {autoencoder.best_epoch_}")


def tables():
    """Yield (name, training samples, test samples, number of components)."""
    rng = np.random.RandomState(0)
    t = 6 * rng.rand(1000)
    found = {
        "digits": (load_digits().data, 16),
        "breast_cancer": (scale(load_breast_cancer().data), 4),
        "wine": (scale(load_wine().data), 4),
        "curve": (np.c_[np.cos(t), np.sin(t), 0.3 * t], 2),
        "low rank": (
            make_low_rank_matrix(800, 20, effective_rank=4, random_state=0) * 10 + 0.1 * rng.randn(800, 20),
            4,
        ),
    }
    for name, (X, k) in found.items():
        X = X[rng.permutation(len(X))[:1000]]
        n_test = len(X) // 4
        yield name, X[n_test:], X[:n_test], k


def _divided(X):
    """Return the chunks for each way of dividing the samples."""
    n, by_first = len(X), X[np.argsort(X[:, 0], kind="stable")]
    sizes = np.cumsum([size for _ in range(n // 210 + 1) for size in (10, 200)])
    first = X[: n // 5].copy()
    first[:, : X.shape[1] // 3] = first[0, : X.shape[1] // 3]
    by_side = X[np.argsort(X @ np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[2][0] > 0, kind="stable")]
    return {
        "one": [X],
        "8 equal": np.array_split(X, 8),
        "40 equal": np.array_split(X, 40),
        "5 first": [X[:5], *np.array_split(X[5:], 8)],
        "sorted": np.array_split(by_first, 8),
        "10 and 200": np.split(X, sizes[sizes < n]),
        "two classes": np.array_split(by_side, 6),
        "constants": [first, *np.array_split(X[n // 5 :], 6)],
    }


def _streamed(estimator, k, chunks, scale="global"):
    """Return a variant with k components, or `IncrementalPCA`, after one pass."""
    if isinstance(estimator, IncrementalPCA):
        chunks = _first_of_size(chunks, k)
    elif isinstance(estimator, StackedAutoencoder):
        estimator = clone(estimator).set_params(layers=(4 * k, k), scale=scale)
    else:
        n_units = 64 if isinstance(estimator, SparseAutoencoder) else k
        estimator = clone(estimator).set_params(n_components=n_units, scale=scale)
    for chunk in chunks:
        estimator.partial_fit(chunk)
    return estimator


def _first_of_size(chunks, k):
    """Join the first chunks until they have k samples, as `IncrementalPCA` requires."""
    n = next(i for i in range(1, len(chunks) + 1) if sum(map(len, chunks[:i])) >= k)
    return [np.concatenate(chunks[:n]), *chunks[n:]]


def _r2_of(estimator, test):
    return r2(test, estimator.inverse_transform(estimator.transform(test)))


def chunkings():
    """Compare all variants with IncrementalPCA for each way of dividing the samples."""
    for name, estimator in VARIANTS.items():
        n_below, n_fits = 0, 0
        for table, train, test, k in tables():
            print(f"{name:13s} {table:13s}", end="")
            for chunks in _divided(train).values():
                of_pca = _r2_of(_streamed(IncrementalPCA(k), k, chunks), test)
                above = _r2_of(_streamed(estimator, k, chunks), test) - of_pca
                n_below, n_fits = n_below + (above < -0.005), n_fits + 1
                print(f"{above:+8.3f}", end="", flush=True)
            print()
        print(f"{name:13s} fits below -0.005: {n_below} of {n_fits}\n", flush=True)


def outliers():
    """Compare the effect of an outlier."""
    for name, estimator in VARIANTS.items():
        n_fits, immediate, later = 0, 0, 0
        for table, train, test, k in tables():
            chunks = np.array_split(train, 10)
            for scale_of in ("global", "standard", None):
                clean = [_streamed(IncrementalPCA(k), k, chunks), _streamed(estimator, k, chunks, scale_of)]
                for size, place in ((1e2, 0), (1e4, 10), (1e8, -1)):
                    bad = chunks[3].copy()
                    bad[place] = size * (1 + np.abs(train).max())
                    decreases = []
                    for fitted in clean:
                        with_one, without = copy.deepcopy(fitted), copy.deepcopy(fitted)
                        with_one.partial_fit(bad)
                        without.partial_fit(chunks[3])
                        decreases.append([_r2_of(without, test) - _r2_of(with_one, test)])
                        for chunk in chunks:
                            with_one.partial_fit(chunk)
                            without.partial_fit(chunk)
                        decreases[-1].append(_r2_of(without, test) - _r2_of(with_one, test))
                    (pca_now, pca_later), (now, after) = decreases
                    n_fits, immediate, later = (
                        n_fits + 1,
                        immediate + (now > pca_now + 0.02),
                        later + (after > pca_later + 0.02),
                    )
                    if now > pca_now + 0.02 or after > pca_later + 0.02:
                        print(
                            f"{name:13s} {table:13s} {scale_of!s:9s} {size:6.0e}: decrease {now:.3f} "
                            f"(PCA {pca_now:.3f}), after another pass {after:.3f} (PCA {pca_later:.3f})"
                        )
        print(
            f"{name:13s} of {n_fits} fits, those that lose .02 more than PCA: {immediate} immediately, "
            f"{later} after another pass\n",
            flush=True,
        )


if __name__ == "__main__":
    parts = {"chunks": chunks, "memmap": memmap, "sparse": csr, "chunkings": chunkings, "outliers": outliers}
    if len(sys.argv) == 2:
        parts[sys.argv[1]]()
    else:
        for part in sys.argv[1:] or parts:
            print(f"-- {part}", flush=True)
            subprocess.run([sys.executable, __file__, part], check=True)
