"""Training with two processes agrees with training in one, and both processes have bit-identical results."""

import contextlib
import io
import pickle

import numpy as np
import pytest
import torch
from conftest import QUICK
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from torch import distributed, multiprocessing, nn

from skae import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
    _core,
)
from skae._data.readers import ScaledReader
from skae._training import distributed as ours
from skae._training import train as train_module
from skae._training.checkpoint import FILE, Checkpoint
from skae._training.distributed import DrawnForAll, Shard
from skae.architectures import Architecture, Convolutional
from skae.nn import ModuleEnsemble
from skae.nn._prefixes import random_sizes

pytestmark = pytest.mark.slow

FEW = {"hidden_layer_sizes": (16,), "max_iter": 3, "random_state": 0}
SPARSE = {"n_components": 16, "max_iter": 3, "random_state": 0}


def rows(n):
    """Return digits: their initial gradients exceed rounding errors, which AdamW would turn into full steps."""
    digits = load_digits().data
    return np.concatenate([digits, digits[::-1]])[:n]


def more_noise(x):
    """Add noise from the global generator, as a user-defined corruption."""
    return x + 0.1 * torch.randn(x.shape)


class Normalized(Architecture):
    """An architecture with a state that depends on the samples of a batch."""

    def build(self, n_features, activation):  # noqa: ARG002 - signature of the base class
        encoder = nn.Sequential(nn.Linear(n_features, 6), nn.BatchNorm1d(6))
        return encoder, nn.Linear(6, n_features), 6


# name: estimator, number of samples
SHARED = {
    "cross-validation": (Autoencoder(4, **FEW, batch_size=37), 301),
    "one network": (Autoencoder(4, **FEW, init="random"), 2101),
    "a dropped random restart": (Autoencoder(4, **FEW), 2101),
    "more processes than samples": (Autoencoder(2, **FEW, batch_size=1, init="random"), 23),
    "noise of batches": (DenoisingAutoencoder(4, **FEW, corruption="swap"), 301),
    "global noise": (DenoisingAutoencoder(4, **FEW, corruption=more_noise), 301),
    "noise of codes": (VariationalAutoencoder(4, **FEW), 301),
    "random signs": (ContractiveAutoencoder(4, **FEW, contraction_method="estimate"), 301),
    "means of batches": (SparseAutoencoder(**SPARSE, sparsity="kl"), 301),
    "stack": (StackedAutoencoder((8, 4), max_iter=3, random_state=0), 301),
}

# AdamW takes full steps even where a gradient is zero up to rounding, as some are initially: a step is the rate
# times g / (|g| + eps). In float64, with eps far above the rounding, two processes and one process agree.
EPS = 1e-4
IN_FLOAT64 = {
    "cross-validation": Autoencoder(4, **QUICK),
    "one network": Autoencoder(4, **QUICK | {"validation_fraction": 0.6}, init="random"),
    "noise of batches": DenoisingAutoencoder(4, **QUICK, corruption="swap"),
    "random signs": ContractiveAutoencoder(4, **QUICK, contraction_method="estimate"),
    "prefixes": Autoencoder(4, **QUICK, ordered=True, init="random"),
    "largest of each sample": SparseAutoencoder(**SPARSE, sparsity="top_k", n_nonzero_coefs=3),
    "largest of each batch": SparseAutoencoder(**SPARSE, sparsity="batch_top_k", n_nonzero_coefs=3),
    "mean of batches": SparseAutoencoder(**SPARSE, sparsity="kl"),
    "noise of codes": VariationalAutoencoder(4, **QUICK),
    "convolutions": ContractiveAutoencoder(4, max_iter=4, architecture=Convolutional(channels=(2,)), random_state=0),
}


def weights_of(autoencoder):
    return {name: value.copy() for name, value in autoencoder._weights.items()}


def summary(autoencoder, X):
    return {
        "weights": weights_of(autoencoder),
        "images": autoencoder.reconstruct(X),
        "codes": autoencoder.transform(X),
        "curves": np.array([*autoencoder.loss_curve_, *autoencoder.validation_loss_curve_]),
        "best": autoencoder.best_epoch_,
    }


def stream(X):
    chunks = np.array_split(X, 3)
    autoencoder = Autoencoder(3, hidden_layer_sizes=8, random_state=0)
    for chunk in chunks:
        autoencoder.partial_fit(chunk)
    return autoencoder


class StopFitError(Exception):
    """Raised to stop a fit after the part that is tested."""


def train_in_float64(autoencoder, X):
    """Return the networks' weights and buffers after training in float64."""
    trained, init, on_device = {}, ModuleEnsemble.__init__, ScaledReader.on_device
    train, make_net = _core.train, train_module.make_net

    def init_in_float64(ensemble, members, *args):
        init(ensemble, [member.double() for member in members], *args)

    def train_and_stop(*args, **kwargs):
        outcome = train(*args, **kwargs)
        trained["best"] = outcome.epoch
        trained.update({name: value.numpy().copy() for name, value in outcome.module.state_dict().items()})
        raise StopFitError

    def make_net_with_eps(*args, **kwargs):
        net = make_net(*args, **kwargs)
        for group in [group for optimizer in net.optimizers_ for group in optimizer.param_groups]:
            group["eps"] = EPS
        return net

    ModuleEnsemble.__init__, ScaledReader.on_device = init_in_float64, _as_double(on_device)
    _core.train, train_module.make_net = train_and_stop, make_net_with_eps
    try:
        with pytest.raises(StopFitError):
            clone(autoencoder).fit(X)
    finally:
        ModuleEnsemble.__init__, ScaledReader.on_device = init, on_device
        _core.train, train_module.make_net = train, make_net
    return trained


def _as_double(on_device):
    return lambda rows, device: on_device(rows, device).double()


def error_message(fit):
    """Return the message of the ValueError that a fit must raise."""
    with pytest.raises(ValueError) as caught:
        fit()
    return str(caught.value)


@contextlib.contextmanager
def group_of_two(rank, folder):
    """Join the group, and write the results to a file."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=(folder / "rendezvous").as_uri(), rank=rank, world_size=2)
    found = {}
    yield found
    (folder / f"{rank}.pickle").write_bytes(pickle.dumps(found))
    distributed.destroy_process_group()


def run_two_processes(part, folder):
    """Return the results of the two processes."""
    multiprocessing.spawn(part, (folder,), nprocs=2)
    return [pickle.loads((folder / f"{rank}.pickle").read_bytes()) for rank in (0, 1)]


def fit_in_float64(rank, folder):
    """Train in float64."""
    with group_of_two(rank, folder) as found:
        found |= {name: train_in_float64(autoencoder, rows(301)) for name, autoencoder in IN_FLOAT64.items()}


def fit_in_float32(rank, folder):
    """Run all fits in float32."""
    with group_of_two(rank, folder) as found:
        fit_all(rank, folder, found)


def fit_all(rank, folder, found):
    plain, X = clone(SHARED["cross-validation"][0]), rows(301)
    for name, (autoencoder, n) in SHARED.items():
        found[name] = summary(clone(autoencoder).fit(rows(n)), rows(n))
    found["stream"] = summary(stream(X), X)
    found["unseeded"] = summary(clone(plain).set_params(random_state=None).fit(X), X)
    found["normalized"] = summary(Autoencoder(4, **FEW, architecture=Normalized(), init="random").fit(X), X)
    found["search"] = GridSearchCV(plain, {"n_components": [1, 4]}, cv=2).fit(X).best_params_

    found["other samples"] = error_message(lambda: clone(plain).fit(X + 1e-9 * rank))
    found["fewer samples"] = error_message(lambda: clone(plain).fit(X[rank:]))
    found["invalid samples"] = error_message(lambda: clone(plain).fit(np.where(rank, np.inf, X)))
    X_missing = np.where(np.arange(X.size).reshape(X.shape) % 7, X, np.nan)
    found["imputed"] = clone(plain).fit(X_missing).impute(X_missing)
    found["stream with missing values"] = stream(X_missing).impute(X_missing)
    found["other parameters"] = error_message(lambda: clone(plain).set_params(learning_rate=0.01 * (1 + rank)).fit(X))
    found["other seeds"] = error_message(lambda: clone(plain).set_params(random_state=rank).fit(X))
    found["other chunks"] = error_message(lambda: clone(plain).partial_fit(X[rank:]))

    writes, write = [], Checkpoint._write

    def write_once(self, state):
        writes.append(state)
        write(self, state)
        if len(writes) == 2:
            raise OSError("The disk is full")

    Checkpoint._write = write_once
    with_checkpoint = clone(plain).set_params(callbacks=[Checkpoint(folder / "checkpoint")])
    with pytest.raises((OSError, ValueError), match="The disk is full"):  # in one process, which ends both
        clone(with_checkpoint).fit(X)
    found["writes"], Checkpoint._write = len(writes), write
    found["resumed"] = summary(clone(with_checkpoint).fit(X), X)

    screen = io.StringIO()
    with contextlib.redirect_stderr(screen):
        clone(plain).set_params(verbose=1).fit(X)
    found["screen"] = screen.getvalue()
    found["any"] = [ours.processes(torch.device("cpu")).any(of) for of in (rank == 1, rank == 5)]


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    """Return the results of two processes in float64."""
    return run_two_processes(fit_in_float64, tmp_path_factory.mktemp("exact"))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Return the results of two processes."""
    folder = tmp_path_factory.mktemp("group")
    found = run_two_processes(fit_in_float32, folder)
    for result in found:
        result["files"] = sorted(path.name for path in folder.glob("checkpoint*/*"))
    return found


def assert_bit_identical(one, other):
    for name, value in one["weights"].items():
        np.testing.assert_array_equal(value, other["weights"][name], err_msg=name)
    for name in ("images", "codes", "curves", "best"):
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def assert_equal_up_to_rounding(one, other, X):
    """Check that two float32 trainings agree up to rounding; see `EPS`."""
    np.testing.assert_allclose(one["images"], other["images"], rtol=0, atol=3e-3 * X.std())
    np.testing.assert_allclose(one["curves"], other["curves"], rtol=1e-3)
    assert one["best"] == other["best"]


@pytest.mark.parametrize("name", SHARED)
def test_two_processes_agree_with_one(both, name):
    autoencoder, n = SHARED[name]
    alone = summary(clone(autoencoder).fit(rows(n)), rows(n))
    assert alone["best"] > 0  # training improved on the initialization
    assert_equal_up_to_rounding(both[0][name], alone, rows(n))


@pytest.mark.kernels
@pytest.mark.parametrize("name", IN_FLOAT64)
def test_two_processes_agree_with_one_in_float64(exact, name):
    alone = train_in_float64(IN_FLOAT64[name], rows(301))
    assert alone["best"] > 0
    for weight, value in alone.items():
        assert np.asarray(value).dtype != np.float32
        found, other = (result[name][weight] for result in exact)
        np.testing.assert_array_equal(found, other, err_msg=weight)
        np.testing.assert_allclose(found, value, rtol=0, atol=1e-9, err_msg=weight)


def test_streams_agree_with_one_process(both):
    assert_equal_up_to_rounding(both[0]["stream"], summary(stream(rows(301)), rows(301)), rows(301))


@pytest.mark.parametrize("name", [*SHARED, "stream", "unseeded", "normalized", "resumed"])
def test_results_of_processes_are_bit_identical(both, name):
    assert_bit_identical(both[0][name], both[1][name])


def test_searches_of_processes_agree(both):
    assert both[0]["search"] == both[1]["search"] == {"n_components": 4}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("other samples", "the digest of X is .* in process 0, and .* in process 1"),
        ("fewer samples", r"the shape of X is \(301, 64\) in process 0, and \(300, 64\) in process 1"),
        ("other parameters", "learning_rate is 0.01 in process 0, and 0.02 in process 1"),
        ("other seeds", "the seed of random_state is"),
        ("other chunks", "the shape of X is"),
    ],
)
def test_differences_between_processes_raise(both, name, what):
    for result in both:
        with pytest.raises(AssertionError, match=what):
            raise AssertionError(result[name])


def test_error_in_one_process_raises_in_all(both):
    assert (
        "Process 1 of the group failed, so all fail: ValueError: Input X contains infinity"
        in both[0]["invalid samples"]
    )
    assert both[1]["invalid samples"].startswith("Input X contains infinity")


def test_missing_values_are_imputed_identically(both):
    for name in ("imputed", "stream with missing values"):
        np.testing.assert_array_equal(both[0][name], both[1][name])
        assert np.isfinite(both[0][name]).all()


def test_only_the_main_process_writes_the_checkpoint(both):
    assert [result["writes"] for result in both] == [2, 0]  # at the start, and after the first epoch
    assert both[0]["files"] == [FILE]
    assert_bit_identical(both[0]["resumed"], both[0]["cross-validation"])


def test_only_the_main_process_shows_progress(both):
    assert "3/3" in both[0]["screen"]
    assert both[1]["screen"] == ""


def test_any_over_processes_is_true_in_all(both):
    assert [result["any"] for result in both] == [[True, False]] * 2


@pytest.mark.kernels
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 12])
def test_shards_make_up_the_batch(n, size):
    shards = [Shard.of(n, rank, size) for rank in range(size)]
    batch, values = torch.arange(10.0, 10.0 + n), torch.arange(10.0, 10.0 + n)[None]
    mean = sum(shard.fraction * batch[shard.rows].mean() for shard in shards)
    torch.testing.assert_close(mean, batch.mean())
    torch.testing.assert_close(sum(shard.spread(values[:, shard.rows]) for shard in shards), values)
    torch.testing.assert_close(sum(shard.spread(torch.ones(4)) for shard in shards), torch.ones(4))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.kernels
@pytest.mark.parametrize(
    "draw",
    [
        lambda n, generator: torch.rand((n, 3), generator=generator),
        lambda n, generator: torch.randn(2, n, 3, generator=generator),
        lambda n, generator: torch.randn(size=(n, 3), generator=generator),
        lambda n, generator: torch.rand(n, generator=generator),
        lambda n, generator: torch.randn(n, 1, 5, 5, generator=generator),
        lambda n, generator: torch.randint(9, torch.Size([n, 3]), generator=generator),
        lambda n, generator: torch.randint(5, 9, (n, 3), generator=generator),
        lambda n, generator: random_sizes((n, 4), generator),
    ],
    ids=["samples", "members", "keyword", "flat", "images", "integers", "a range", "sizes"],
)
def test_noise_of_a_sample_does_not_depend_on_the_shard(draw):
    whole, parts = draw(11, torch.Generator().manual_seed(0)), []
    for rank in (0, 1, 2):
        shard = Shard.of(11, rank, 3)
        with DrawnForAll(shard):
            parts.append(draw(len(shard), torch.Generator().manual_seed(0)))
    dim = whole.shape.index(11)
    assert torch.equal(torch.cat(parts, dim=dim), whole)


def test_random_draws_of_other_shapes_are_unchanged():
    with DrawnForAll(Shard.of(11, 0, 3)):
        assert torch.rand(5, 7).shape == (5, 7)
        assert torch.rand(()).shape == ()


def test_no_communication_without_a_group(monkeypatch):
    def fail(*_, **__):
        raise AssertionError("a group was used")

    for name in ("all_reduce", "broadcast", "broadcast_object_list", "all_gather", "all_gather_object"):
        monkeypatch.setattr(distributed, name, fail)
    monkeypatch.setattr(ours, "Shard", fail)
    monkeypatch.setattr(ours, "DrawnForAll", fail)
    X = load_digits().data[:60]
    fitted = Autoencoder(3, **QUICK).fit(X)
    assert type(fitted.net_.processes_) is ours.SingleProcess
    SparseAutoencoder(8, sparsity="kl", max_iter=1).fit(X).partial_fit(X)


def test_group_of_one_process_is_ignored(tmp_path, monkeypatch):
    monkeypatch.setattr(ours, "DrawnForAll", None)
    distributed.init_process_group("gloo", init_method=(tmp_path / "rendezvous").as_uri(), rank=0, world_size=1)
    try:
        assert not ours.in_group()
        Autoencoder(2, **FEW).fit(rows(30))
    finally:
        distributed.destroy_process_group()


def test_each_process_uses_its_own_gpu(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert ours.own_cuda() == "cuda"
    monkeypatch.setattr(ours, "in_group", lambda: True)
    assert ours.own_cuda() == "cuda:3"
