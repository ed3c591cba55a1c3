"""An interrupted fit resumes from its checkpoint, with bit-identical results."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from skae import Autoencoder, DenoisingAutoencoder, StackedAutoencoder
from skae import _files as files
from skae._files import read_file
from skae._training.checkpoint import FILE, Checkpoint
from skae.nn import AutoencoderModule

PLAIN = Autoencoder(4, hidden_layer_sizes=8, max_iter=4, random_state=0)


class InterruptedFitError(Exception):
    """Raised to interrupt a fit."""


@pytest.fixture
def interrupt_after(monkeypatch):
    """Return a function that interrupts the fit after a number of writes of the checkpoint."""

    def after(n_writes):
        real, n = Checkpoint._write, 0

        def write(self, state):
            nonlocal n
            real(self, state)
            n += 1
            if n == n_writes:
                monkeypatch.setattr(Checkpoint, "_write", real)
                raise InterruptedFitError

        monkeypatch.setattr(Checkpoint, "_write", write)

    return after


def assert_equal_fits(one, other, X):
    np.testing.assert_array_equal(one.transform(X), other.transform(X))
    np.testing.assert_array_equal(one.reconstruct(X), other.reconstruct(X))
    assert one.best_epoch_ == other.best_epoch_
    assert one.loss_curve_ == other.loss_curve_
    assert one.validation_loss_curve_ == other.validation_loss_curve_


def test_interrupted_fit_resumes_bit_identically(small, digits, tmp_path, interrupt_after):
    small.set_params(max_iter=3)
    whole = clone(small).fit(digits)
    for n_writes in (2, 3):  # after the first and after the second epoch
        broken = clone(small).set_params(callbacks=[Checkpoint(tmp_path / str(n_writes))])
        interrupt_after(n_writes)
        try:
            broken.fit(digits)
        except InterruptedFitError:
            assert not broken.__sklearn_is_fitted__()
        else:
            assert small.hidden_layer_sizes == ()  # without training there is no second write
        assert_equal_fits(broken.fit(digits), whole, digits)


def test_finished_run_is_not_repeated(small, digits, tmp_path, monkeypatch):
    if "below" in small.get_params():  # a named layer has a separate checkpoint
        small.set_params(below__callbacks=[Checkpoint(tmp_path / "below")])
    first = small.set_params(callbacks=[Checkpoint(tmp_path)]).fit(digits)
    again = clone(small)
    monkeypatch.setattr(AutoencoderModule, "losses", None)  # no training is possible
    assert_equal_fits(again.fit(digits), first, digits)


def test_interval_is_the_number_of_epochs_between_checkpoints(digits, tmp_path, monkeypatch):
    whole, written = clone(PLAIN).fit(digits), []
    real = Checkpoint._write

    def watched(self, state):
        written.append(state and len(state["training"]["curves"]["train_loss"]))
        real(self, state)

    monkeypatch.setattr(Checkpoint, "_write", watched)
    folder = str(tmp_path / "new" / "folder")
    fitted = clone(PLAIN).set_params(callbacks=[Checkpoint(folder, interval=3)]).fit(digits)
    assert written == [None, 3, 4]
    assert_equal_fits(fitted, whole, digits)
    for interval in (0, 1.5, True):
        with pytest.raises(ValueError, match=rf"interval={interval} of Checkpoint must be an int of 1 or more"):
            clone(PLAIN).set_params(callbacks=[Checkpoint(folder, interval)]).fit(digits)


def test_fit_resumes_before_an_early_stop_and_after_a_divergence(digits, tmp_path, interrupt_after):
    stops = clone(PLAIN).set_params(max_iter=60, learning_rate=0.1, n_iter_no_change=2, validation_fraction=0.5)
    whole = clone(stops).fit(digits)
    assert whole.n_iter_ < 60
    interrupt_after(whole.n_iter_)  # before the last epoch
    with pytest.raises(InterruptedFitError):
        stops.set_params(callbacks=[Checkpoint(tmp_path / "stops")]).fit(digits)
    assert_equal_fits(stops.fit(digits), whole, digits)
    assert_equal_fits(clone(stops).fit(digits), whole, digits)

    diverges = clone(PLAIN).set_params(max_iter=6, learning_rate=1.0)
    with pytest.warns(match="Training diverged in epoch") as first:
        whole = clone(diverges).fit(digits)
    interrupt_after(3)
    with pytest.raises(InterruptedFitError):
        diverges.set_params(callbacks=[Checkpoint(tmp_path / "diverges")]).fit(digits)
    with pytest.warns(match="Training diverged in epoch") as second:
        assert_equal_fits(diverges.fit(digits), whole, digits)
    assert str(second[0].message) == str(first[0].message)


def test_random_seed_is_restored_from_the_checkpoint(digits, tmp_path, interrupt_after):
    estimator = clone(PLAIN).set_params(random_state=None, callbacks=[Checkpoint(tmp_path)])
    interrupt_after(3)
    with pytest.raises(InterruptedFitError):
        estimator.fit(digits)
    first = estimator.fit(digits)
    assert_equal_fits(clone(estimator).fit(digits), first, digits)


def test_fit_resumes_with_user_code_that_uses_the_global_generator(digits, tmp_path, interrupt_after):
    denoiser = DenoisingAutoencoder(4, corruption=_global_noise, hidden_layer_sizes=8, max_iter=4, random_state=0)
    whole = clone(denoiser).fit(digits)
    interrupt_after(3)
    with pytest.raises(InterruptedFitError):
        denoiser.set_params(callbacks=[Checkpoint(tmp_path)]).fit(digits)
    np.random.rand(7)  # noqa: NPY002
    assert_equal_fits(denoiser.fit(digits), whole, digits)


def _global_noise(x):
    return x + float(np.random.rand())  # noqa: NPY002


def test_each_layer_of_a_stack_has_its_checkpoint(digits, tmp_path, interrupt_after):
    checkpoint = Checkpoint(tmp_path)
    stack = StackedAutoencoder((8, 4), activation="tanh", max_iter=3, random_state=None, callbacks=[checkpoint])
    # the stack writes once, the first layer at the start and after 3 epochs, and then the second layer
    interrupt_after(8)
    with pytest.raises(InterruptedFitError):
        stack.fit(digits)
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE, "layer_0", "layer_1"]
    seed = read_file(tmp_path / FILE)["seed"]
    fitted = stack.fit(digits)
    assert fitted._settings["seed"] == seed


# Other runs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "difference"),
    [
        ({"max_iter": 5}, r"max_iter was 4, and is 5\. Restore these to resume, or choose another folder\."),
        ({"hidden_layer_sizes": (8, 8)}, r"hidden_layer_sizes was 8, and is \(8, 8\)"),
        ({"random_state": 1}, "random_state was .*, and is"),
        (
            {"learning_rate": 0.5, "loss": "huber"},
            "learning_rate was 'auto', and is 0.5; loss was 'squared_error', and",
        ),
    ],
)
def test_checkpoint_of_other_parameters_raises(digits, tmp_path, parameters, difference):
    first = clone(PLAIN).set_params(callbacks=[Checkpoint(tmp_path)]).fit(digits)
    before = (tmp_path / FILE).read_bytes()
    other = clone(first).set_params(**parameters)
    message = rf"Checkpoint\('.*'\) holds another run: .*{difference}"
    order = sorted(parameters)
    assert order == list(parameters)
    with pytest.raises(ValueError, match=message):
        other.fit(digits)
    assert not other.__sklearn_is_fitted__()
    assert (tmp_path / FILE).read_bytes() == before


def test_checkpoint_of_other_data_raises(digits, tmp_path):
    first = clone(PLAIN).set_params(callbacks=[Checkpoint(tmp_path)]).fit(digits)
    with pytest.raises(ValueError, match=r"the shape of X was \(240, 64\), and is \(239, 64\)"):
        clone(first).fit(digits[1:])
    other = digits.copy()
    other[100, 7] += 1e-9
    with pytest.raises(ValueError, match="holds another run: the digest of X was"):
        clone(first).fit(other)
    with pytest.raises(ValueError, match="the kind of X was float64, and is float32"):
        clone(first).fit(digits.astype(np.float32))
    with pytest.raises(ValueError, match="the estimator was Autoencoder, and is DenoisingAutoencoder"):
        DenoisingAutoencoder(4, callbacks=[Checkpoint(tmp_path)]).fit(digits)
    warm = first.set_params(warm_start=True)
    with pytest.raises(ValueError, match="the digest of the weights at the start was none, and is"):
        warm.fit(digits)
    assert warm.__sklearn_is_fitted__()


def test_folder_interval_and_verbosity_may_differ(digits, tmp_path, capfd):
    first = clone(PLAIN).set_params(callbacks=[Checkpoint(tmp_path)]).fit(digits)
    shutil.move(tmp_path / FILE, tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "moved", tmp_path / "elsewhere" / FILE)
    again = clone(first).set_params(callbacks=[Checkpoint(tmp_path / "elsewhere", 2)], verbose=1)
    assert_equal_fits(again.fit(digits), first, digits)
    assert "4/4" in capfd.readouterr().err  # epochs of the previous run are counted


# Faults --------------------------------------------------------------------------------------------------------------


def test_damaged_checkpoint_raises(digits, tmp_path):
    clone(PLAIN).set_params(callbacks=[Checkpoint(tmp_path)]).fit(digits)
    blob = bytearray((tmp_path / FILE).read_bytes())
    blob[-10] ^= 1
    (tmp_path / FILE).write_bytes(blob)
    with pytest.raises(ValueError, match=r"Checkpoint\('.*'\): .* its digest is not .* Delete the file to start anew"):
        clone(PLAIN).set_params(callbacks=[Checkpoint(tmp_path)]).fit(digits)
    clone(PLAIN).fit(digits).save(tmp_path / FILE)
    with pytest.raises(ValueError, match=r"is damaged or can't be loaded: .*header"):
        clone(PLAIN).set_params(callbacks=[Checkpoint(tmp_path)]).fit(digits)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_failing_write_keeps_the_previous_checkpoint(digits, tmp_path, monkeypatch, code):
    whole, n = clone(PLAIN).fit(digits), 0
    real = os.fsync

    def fails(descriptor):
        nonlocal n
        n += 1
        if n > 5:  # two calls per write
            raise OSError(code, os.strerror(code))
        real(descriptor)

    estimator = clone(PLAIN).set_params(callbacks=[Checkpoint(tmp_path)])
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", fails)
        with pytest.raises(
            OSError, match=r"Checkpoint\('.*'\) can't be written: .* The previous file is unchanged"
        ) as raised:
            estimator.fit(digits)
    assert raised.value.errno == code
    assert not estimator.__sklearn_is_fitted__()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert_equal_fits(estimator.fit(digits), whole, digits)  # from the last valid file


def test_unwritable_folder_raises_before_training(digits, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(AutoencoderModule, "losses", None)  # the error is raised before training
    with pytest.raises(OSError, match=r"Checkpoint\('.*file/below'\) can't be written: Not a directory"):
        clone(PLAIN).set_params(callbacks=[Checkpoint(tmp_path / "file" / "below")]).fit(digits)
    with pytest.raises(OSError, match="can't be written: File exists"):
        clone(PLAIN).set_params(callbacks=[Checkpoint(tmp_path / "file")]).fit(digits)


def test_error_of_the_first_write_is_reported_once(digits, tmp_path, monkeypatch):
    def fails(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", fails)
    with pytest.raises(OSError, match="No space left on device") as raised:
        clone(PLAIN).set_params(callbacks=[Checkpoint(tmp_path)]).fit(digits)
    assert str(raised.value).count("can't be written") == 1
    assert not list(tmp_path.iterdir())


def test_partial_files_of_killed_processes_are_removed(digits, tmp_path):
    (tmp_path / f".{FILE}.1234abcd.part").write_bytes(b"half a file")
    (tmp_path / "file of a user").write_text("")
    clone(PLAIN).set_params(callbacks=[Checkpoint(tmp_path)]).fit(digits)
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE, "file of a user"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the benchmark forks")
def test_benchmark_of_random_kills_runs():
    script = Path(__file__).parents[1] / "docs" / "benchmarks" / "kills.py"
    arguments = [sys.executable, script, "--kills", "2", "--rows", "200", "--max-iter", "5"]
    shown = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    assert len(shown.splitlines()) == 4
