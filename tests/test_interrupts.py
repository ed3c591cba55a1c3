"""Ctrl-C at any moment leaves the estimator and global state unchanged.

Python may raise KeyboardInterrupt between any two calls, also while global state is being restored. So this is
guaranteed only for the first interrupt, after its exception is deleted: its traceback may keep a context manager open.
"""

import contextlib
import dis
import functools
import inspect
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
import torch._dynamo  # torch imports it for its first optimizer, and an interrupted import can't be repeated
from conftest import SMALL
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from threadpoolctl import ThreadpoolController, threadpool_limits

from skae import Autoencoder
from skae._seeds import isolated_rng, read_global_rng
from skae._threads import blas_threads, torch_threads


def assert_generators_are_released():
    """Check that another thread can acquire the generators; their lock is reentrant for the same thread."""

    def acquire():
        with isolated_rng(0):
            pass

    other = threading.Thread(target=acquire, daemon=True)
    other.start()
    other.join(timeout=60)
    assert not other.is_alive()


# At every possible moment --------------------------------------------------------------------------------------------


@functools.cache
def names_of(code):
    """Return the names of the instructions of a code object, by offset."""
    return {instruction.offset: instruction.opname for instruction in dis.get_instructions(code)}


class InterruptedAt:
    """Context manager that raises KeyboardInterrupt at the n-th place where Python checks for it.

    Python checks when a function starts or resumes, after a call, and where a loop jumps back. If n is greater than
    the number of such places, nothing is raised.
    """

    def __init__(self, n):
        self.left, self.after_call, self.raised = n, {}, False

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self.of_call)
        return self

    def of_call(self, frame, event, arg):  # noqa: ARG002 - signature required by sys.settrace
        frame.f_trace_opcodes = True
        # an exception that is thrown into a generator also resumes it, but Python does not check there
        self.after_call[id(frame)] = is_generator = bool(frame.f_code.co_flags & inspect.CO_GENERATOR)
        if not is_generator:
            self.count()
        return self.of_instruction

    def of_instruction(self, frame, event, arg):  # noqa: ARG002
        if event == "opcode":
            name = names_of(frame.f_code).get(frame.f_lasti, "")
            if (self.after_call[id(frame)] and name != "PUSH_EXC_INFO") or name.startswith("JUMP_BACKWARD"):
                self.count()
            self.after_call[id(frame)] = name.startswith("CALL")
        return self.of_instruction

    def count(self):
        if not self.left:
            self.raised = True
            sys.settrace(None)
            self.left = -1
            raise KeyboardInterrupt
        self.left -= 1

    def __exit__(self, *_):
        sys.settrace(self.before)


LIBRARIES = ThreadpoolController()


def read_thread_numbers():
    return [*(library["num_threads"] for library in LIBRARIES.info()), torch.get_num_threads()]


@pytest.mark.parametrize("fails", [False, True], ids=["ends", "fails"])
@pytest.mark.parametrize("enter", [isolated_rng, torch_threads, blas_threads])
def test_interrupt_at_every_moment_restores_global_state(enter, fails):
    n_moments = 0
    with threadpool_limits(2):
        torch.set_num_threads(2)
        with enter(0):
            pass  # caches are filled
        for n in range(10_000):
            before = repr(read_global_rng()), read_thread_numbers()
            interrupted = InterruptedAt(n)
            with contextlib.suppress(KeyboardInterrupt, ZeroDivisionError), interrupted, enter(0):
                if enter is isolated_rng:
                    random.random()
                if fails:
                    _ = 1 / 0
            assert (repr(read_global_rng()), read_thread_numbers()) == before, n
            assert_generators_are_released()
            if not interrupted.raised:
                break
            n_moments += 1
    assert n_moments > 20


@pytest.mark.parametrize("fails", [False, True], ids=["ends", "fails"])
def test_interrupted_estimator_is_unchanged_or_finished(fails):
    for n in range(10_000):
        estimator, interrupted = Autoencoder(3), InterruptedAt(n)
        estimator.fitted_ = "before"
        with contextlib.suppress(KeyboardInterrupt, ZeroDivisionError), interrupted, estimator._restored_on_error():
            estimator.fitted_ = "after"
            estimator.more_ = "after"
            if fails:
                _ = 1 / 0
        found = estimator.fitted_, vars(estimator).get("more_")
        as_before, done = ("before", None), ("after", "after")
        assert found in ([as_before] if fails else [as_before, done] if interrupted.raised else [done])
        if not interrupted.raised:
            break
    assert n > 5


# At random moments of a fit ------------------------------------------------------------------------------------------


class Interrupted:
    """Context manager that is interrupted by a signal after some seconds, as by Ctrl-C."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __enter__(self):
        self.before = signal.signal(signal.SIGALRM, signal.default_int_handler), sys.unraisablehook
        sys.unraisablehook = self.repeat
        signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def repeat(self, dropped):
        """Repeat an interrupt that Python dropped, as it does in `__del__` and in garbage collector callbacks."""
        if not isinstance(dropped.exc_value, KeyboardInterrupt):
            return self.before[1](dropped)
        return signal.setitimer(signal.ITIMER_REAL, 0.001)

    def __exit__(self, *_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = self.before[1]
        signal.signal(signal.SIGALRM, self.before[0])


needs_timer = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the platform has no timer")
LONG = {"hidden_layer_sizes": 32, "max_iter": 10_000, "early_stopping": False, "random_state": 0}


@pytest.mark.slow
@needs_timer
def test_dropped_interrupts_are_repeated():
    class SlowToDelete:
        def __del__(self):
            time.sleep(0.5)

    def interrupted_in_a_finalizer():
        SlowToDelete()
        time.sleep(60)

    with pytest.raises(KeyboardInterrupt), Interrupted(0.01):
        interrupted_in_a_finalizer()


@pytest.mark.slow
@needs_timer
@pytest.mark.parametrize("seed", range(8))
def test_interrupt_at_a_random_moment_leaves_everything_unchanged(digits, seed):
    moment = random.Random(seed).uniform(0.001, 0.4)
    unfitted, fitted = Autoencoder(4, **LONG), clone(SMALL[0]).fit(digits[:100, :32])
    codes, generators, threads = fitted.transform(digits[:, :32]), repr(read_global_rng()), torch.get_num_threads()
    fitted.set_params(max_iter=10_000, early_stopping=False)
    for estimator in (unfitted, fitted):
        before = dict(vars(estimator))
        with pytest.raises(KeyboardInterrupt), Interrupted(moment):
            estimator.fit(digits)
        assert vars(estimator) == before
    assert not unfitted.__sklearn_is_fitted__()
    np.testing.assert_array_equal(fitted.transform(digits[:, :32]), codes)
    assert repr(read_global_rng()) == generators
    assert torch.get_num_threads() == threads
    assert_generators_are_released()


@pytest.mark.slow
@needs_timer
def test_interrupted_warm_starts_and_streams_are_unchanged(digits):
    fitted = Autoencoder(4, hidden_layer_sizes=32, max_iter=2, warm_start=True, random_state=0).fit(digits)
    codes = fitted.transform(digits)
    fitted.set_params(max_iter=10_000)
    with pytest.raises(KeyboardInterrupt), Interrupted(0.2):
        fitted.fit(digits)
    np.testing.assert_array_equal(fitted.transform(digits), codes)
    many = np.tile(digits, (300, 1))
    with pytest.raises(KeyboardInterrupt), Interrupted(0.2):
        fitted.set_params(batch_size=2).partial_fit(many)
    np.testing.assert_array_equal(fitted.transform(digits), codes)
    assert fitted.n_samples_ == len(digits)


@pytest.mark.slow
@needs_timer
def test_interrupt_ends_a_search(digits):
    search = GridSearchCV(Autoencoder(**LONG), {"n_components": [2, 4]}, cv=2, error_score=0.0)
    with pytest.raises(KeyboardInterrupt), Interrupted(0.5):
        search.fit(digits)
    assert not hasattr(search, "best_estimator_")


@pytest.mark.slow
def test_interrupted_process_exits_with_keyboard_interrupt():
    script = (
        "import numpy; from skae import Autoencoder; X = numpy.random.RandomState(0).rand(500, 9)\n"
        "print('fits', flush=True)\n"
        "Autoencoder(3, max_iter=10**6, early_stopping=False).fit(X)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "fits\n"
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert process.returncode != 0
