"""Number of threads: small products use one, and the number is restored afterwards."""

import contextlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.base import clone
from threadpoolctl import ThreadpoolController, threadpool_limits

from skae import Autoencoder, ConvolutionalAutoencoder, VariationalAutoencoder, _threads
from skae._threads import SMALL_DECOMPOSITION, SMALL_PRODUCT, blas_threads, torch_threads, work_of_a_row
from skae.nn import AutoencoderModule

N_THREADS = 3  # more than one on any machine
LIBRARIES = ThreadpoolController()
FEW = {"hidden_layer_sizes": 16, "max_iter": 3, "random_state": 0}


def blas_numbers():
    return {library["num_threads"] for library in LIBRARIES.info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def _several_threads():
    before = torch.get_num_threads()
    with threadpool_limits(N_THREADS):
        torch.set_num_threads(N_THREADS)
        yield
    torch.set_num_threads(before)


@pytest.fixture
def seen(monkeypatch):
    """Return the numbers of threads in calls of the modules by a fit or a transform."""
    numbers = []
    encode = AutoencoderModule.code

    def watched(module, encoding):
        numbers.append(torch.get_num_threads())
        return encode(module, encoding)

    monkeypatch.setattr(AutoencoderModule, "code", watched)
    return numbers


def test_small_products_use_one_thread(digits, seen):
    fitted = Autoencoder(4, **FEW).fit(digits)
    assert set(seen) == {1}
    seen.clear()
    fitted.transform(digits)
    fitted.reconstruct(digits)
    fitted.score(digits)
    fitted.inverse_transform(fitted.transform(digits))
    fitted.jacobian(digits[:3])
    fitted.partial_fit(digits)
    assert set(seen) == {1}
    assert torch.get_num_threads() == N_THREADS
    assert blas_numbers() == {N_THREADS}


def test_large_products_use_all_threads(digits, seen, monkeypatch):
    monkeypatch.setattr(_threads, "SMALL_PRODUCT", 1)
    Autoencoder(4, **FEW).fit(digits).transform(digits)
    assert set(seen) == {N_THREADS}


@pytest.mark.parametrize("enter", [torch_threads, blas_threads])
def test_number_of_threads_depends_on_sizes_only(enter):
    least = {torch_threads: SMALL_PRODUCT, blas_threads: SMALL_DECOMPOSITION}[enter]
    numbers = {torch_threads: lambda: {torch.get_num_threads()}, blas_threads: blas_numbers}[enter]
    with enter(least - 1):
        assert numbers() == {1}
        with enter(least):  # of a nested estimator
            assert numbers() == {1}
    with enter(least):
        assert numbers() == {N_THREADS}
    assert numbers() == {N_THREADS}


def test_work_per_sample():
    X = np.random.RandomState(0).randn(30, 36)
    dense = Autoencoder(2, **FEW | {"hidden_layer_sizes": (50, 20)}).fit(X)
    assert dense._work == 50 * 36
    assert Autoencoder(3, hidden_layer_sizes=()).fit(X)._work == 3 * 36
    assert VariationalAutoencoder(3, **FEW).fit(X)._work == 16 * 36
    small = {"channels": (3, 5), "max_iter": 1, "hidden_layer_sizes": 4}
    maps = ConvolutionalAutoencoder(2, downsampling="max_pool", **small).fit(X)
    # of a 6 x 6 image: 3 maps of 6 x 6, 5 of 3 x 3; back from 5 maps, 3 of 3 x 3, and from 3 maps one of 6 x 6
    assert maps._work == max(36 * 3 * 9, 9 * 5 * 3 * 9, 36 * 3 * 9, 45 * 4)
    # 3 maps of 3 x 3, 5 of 2 x 2; back from 5 maps of 2 x 2, and from 3 of 3 x 3; weights of the layers next to them
    assert ConvolutionalAutoencoder(2, **small).fit(X)._work == max(9 * 3 * 9, 4 * 5 * 3 * 9, 4 * 5 * 3 * 9, 20 * 4)
    assert work_of_a_row(torch.nn.Identity(), 3) == 0


def test_explicit_number_of_threads_is_never_exceeded(digits, seen, monkeypatch):
    monkeypatch.setattr(_threads, "SMALL_PRODUCT", 1)
    with threadpool_limits(2):
        Autoencoder(4, **FEW).fit(digits)
    assert set(seen) == {2}
    torch.set_num_threads(1)
    seen.clear()
    Autoencoder(4, **FEW).fit(digits)
    assert set(seen) == {1}
    assert torch.get_num_threads() == 1


@pytest.mark.kernels
def test_results_with_one_thread_do_not_depend_on_number_of_threads(small, fits, digits):
    found = []
    for number in (1, 2, N_THREADS):
        with threadpool_limits(number):
            torch.set_num_threads(number)
            found.append(clone(small).fit(digits).transform(digits))
    torch.set_num_threads(N_THREADS)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[0], fits(small).transform(digits))


class Stopped(Exception):  # noqa: N818 - ends a block like KeyboardInterrupt
    pass


def test_number_of_threads_is_restored_after_overlapping_calls(digits):
    barrier = threading.Barrier(4)

    def work(seed):
        rng, found = random.Random(seed), []
        barrier.wait(timeout=60)
        for _ in range(25):
            with contextlib.suppress(Stopped), blas_threads(1), torch_threads(1):
                found.append((torch.get_num_threads(), *blas_numbers()))
                time.sleep(rng.uniform(0, 0.004))
                if rng.random() < 0.3:
                    raise Stopped
            found.append((1, 1) if torch.get_num_threads() == N_THREADS else "another number than before")
        Autoencoder(2, **FEW).fit(digits)
        return {*found}, torch.get_num_threads()

    with ThreadPoolExecutor(4) as pool:
        for found, after in pool.map(work, range(4)):
            assert found == {(1, 1)}
            assert after == N_THREADS
        assert set(pool.map(lambda _: torch.get_num_threads(), range(4))) == {N_THREADS}
    assert torch.get_num_threads() == N_THREADS
    assert blas_numbers() == {N_THREADS}
    with ThreadPoolExecutor(1) as pool:  # a thread that torch has not seen
        assert pool.submit(torch.get_num_threads).result() == N_THREADS


def test_number_of_threads_of_other_threads_is_unchanged(digits):
    stop, numbers = threading.Event(), set()

    def watch():
        while not stop.is_set():
            numbers.add(torch.get_num_threads())

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        Autoencoder(4, **FEW).fit(digits).transform(digits)
        stop.set()
        watching.result(timeout=60)
    assert numbers == {N_THREADS}
