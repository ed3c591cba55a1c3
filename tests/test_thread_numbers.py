"""How many threads products take: one where they are small, and afterwards as many as before."""

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

MANY = 3  # more than one, on any machine
LIBRARIES = ThreadpoolController()
FEW = {"hidden_layer_sizes": 16, "max_iter": 3, "random_state": 0}


def blas_numbers():
    return {library["num_threads"] for library in LIBRARIES.info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def _many():
    before = torch.get_num_threads()
    with threadpool_limits(MANY):
        torch.set_num_threads(MANY)
        yield
    torch.set_num_threads(before)


@pytest.fixture
def seen(monkeypatch):
    """The numbers of threads that the modules of a fit or a transform were called with."""
    numbers = []
    encode = AutoencoderModule.code

    def watched(module, encoding):
        numbers.append(torch.get_num_threads())
        return encode(module, encoding)

    monkeypatch.setattr(AutoencoderModule, "code", watched)
    return numbers


def test_small_products_take_one_thread(digits, seen):
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
    assert torch.get_num_threads() == MANY
    assert blas_numbers() == {MANY}


def test_large_ones_take_all(digits, seen, monkeypatch):
    monkeypatch.setattr(_threads, "SMALL_PRODUCT", 1)
    Autoencoder(4, **FEW).fit(digits).transform(digits)
    assert set(seen) == {MANY}


@pytest.mark.parametrize("enter", [torch_threads, blas_threads])
def test_the_rule_reads_sizes_alone(enter):
    least = {torch_threads: SMALL_PRODUCT, blas_threads: SMALL_DECOMPOSITION}[enter]
    numbers = {torch_threads: lambda: {torch.get_num_threads()}, blas_threads: blas_numbers}[enter]
    with enter(least - 1):
        assert numbers() == {1}
        with enter(least):  # of an estimator within another
            assert numbers() == {1}
    with enter(least):
        assert numbers() == {MANY}
    assert numbers() == {MANY}


def test_the_work_of_a_row():
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


def test_an_explicit_number_is_never_exceeded(digits, seen, monkeypatch):
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
def test_where_one_thread_is_taken_the_bits_are_those_of_any_number(small, fits, digits):
    found = []
    for number in (1, 2, MANY):
        with threadpool_limits(number):
            torch.set_num_threads(number)
            found.append(clone(small).fit(digits).transform(digits))
    torch.set_num_threads(MANY)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[0], fits(small).transform(digits))


class Stopped(Exception):  # noqa: N818 - as KeyboardInterrupt ends a block
    pass


def test_threads_that_overlap_and_end_at_random_leave_the_numbers(digits):
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
            found.append((1, 1) if torch.get_num_threads() == MANY else "another number than before")
        Autoencoder(2, **FEW).fit(digits)
        return {*found}, torch.get_num_threads()

    with ThreadPoolExecutor(4) as pool:
        for found, after in pool.map(work, range(4)):
            assert found == {(1, 1)}
            assert after == MANY
        assert set(pool.map(lambda _: torch.get_num_threads(), range(4))) == {MANY}
    assert torch.get_num_threads() == MANY
    assert blas_numbers() == {MANY}
    with ThreadPoolExecutor(1) as pool:  # one that is new to torch
        assert pool.submit(torch.get_num_threads).result() == MANY


def test_a_bystander_keeps_its_number(digits):
    stop, numbers = threading.Event(), set()

    def watch():
        while not stop.is_set():
            numbers.add(torch.get_num_threads())

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        Autoencoder(4, **FEW).fit(digits).transform(digits)
        stop.set()
        watching.result(timeout=60)
    assert numbers == {MANY}
