"""Sparsity of codes, atoms of the dictionary, and independence of samples."""

import copy

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.preprocessing import StandardScaler, normalize

from skae import SparseAutoencoder
from skae._sparse_module import SELECTIONS, _kl_of_bernoullis
from skae._wrapped import fit_with_folds
from skae.architectures import Convolutional

QUICK = {"max_iter": 10, "validation_fraction": 0.3, "random_state": 0}
KINDS = list(SELECTIONS)


@pytest.fixture(scope="module", params=KINDS)
def fitted(request, digits):
    """Return an overcomplete autoencoder with each kind of sparsity."""
    return SparseAutoencoder(100, sparsity=request.param, n_nonzero_coefs=8, **QUICK).fit(digits)


def test_codes_are_overcomplete_and_not_negative(fitted, digits):
    codes = fitted.transform(digits)
    assert codes.shape == (240, 100)
    assert (codes >= 0).all()
    if fitted.sparsity == "kl":
        assert (codes <= 1).all()


def test_reconstruction_is_sum_of_atoms(fitted, digits):
    codes = fitted.transform(digits)
    nothing = fitted.inverse_transform(np.zeros((1, 100)))
    np.testing.assert_allclose(codes @ fitted.components_ + nothing, fitted.reconstruct(digits), atol=1e-5)


def test_atoms_have_equal_norm(fitted):
    norms = np.linalg.norm(fitted.components_, axis=1)
    np.testing.assert_allclose(norms, norms[0] if fitted.sparsity == "kl" else 1.0, rtol=1e-5)
    module = copy.deepcopy(fitted.net_.module_)
    with torch.no_grad():
        module.decoder.linear.weight.mul_(3.0)
    module.after_step(1.0)
    torch.testing.assert_close(
        module.decoder.linear.weight.norm(dim=0), torch.full((100,), module.length), rtol=1e-5, atol=0
    )


def test_activation_frequencies_are_those_of_training_samples(fitted, digits):
    codes = fitted.transform(digits)
    if fitted.sparsity == "kl":
        assert fitted.active_ratio_ == pytest.approx(codes.mean(), rel=1e-4)
        assert fitted.dead_ratio_ == np.mean(np.ptp(codes, axis=0) < 0.05)
    else:
        assert fitted.active_ratio_ == pytest.approx((codes > 0).mean(), abs=1e-3)
        assert fitted.dead_ratio_ == pytest.approx(np.mean(~(codes > 0).any(axis=0)), abs=0.011)


def test_initialization_is_no_worse_than_the_mean(digits):
    for kind in KINDS:
        start = SparseAutoencoder(100, sparsity=kind, n_nonzero_coefs=8, learning_rate=1e-30, **QUICK).fit(digits)
        assert start.score(digits) > 0.3


def test_training_improves_reconstruction(fitted, digits):
    start = SparseAutoencoder(**fitted.get_params() | {"learning_rate": 1e-30}).fit(digits)
    assert fitted.best_epoch_ > 0
    kept = fitted.validation_loss_curve_[fitted.best_epoch_ - 1]
    assert kept < 0.97 * start.validation_loss_curve_[-1]


def test_top_k_has_k_active_units_per_sample(digits):
    fitted = SparseAutoencoder(50, sparsity="top_k", n_nonzero_coefs=5, **QUICK).fit(digits)
    active = (fitted.transform(digits) > 0).sum(axis=1)
    assert active.max() == 5
    assert active.mean() > 4.9
    select = SELECTIONS["top_k"](2)
    torch.testing.assert_close(
        select(torch.tensor([[3.0, -1.0, 5.0, 4.0], [-1.0, -2.0, 0.5, -3.0]])),
        torch.tensor([[0.0, 0.0, 5.0, 4.0], [0.0, 0.0, 0.5, 0.0]]),
    )


def test_batch_top_k_has_k_active_units_on_average_and_samples_are_independent(digits):
    fitted = SparseAutoencoder(50, sparsity="batch_top_k", n_nonzero_coefs=5, **QUICK | {"max_iter": 40}).fit(digits)
    codes = fitted.transform(digits)
    active = (codes > 0).sum(axis=1)
    assert 4 < active.mean() < 6
    assert active.min() < 5 < active.max()
    np.testing.assert_allclose(fitted.transform(digits[:1]), codes[:1], atol=1e-9)
    select = SELECTIONS["batch_top_k"](1).train()
    code = select(torch.tensor([[3.0, 5.0], [4.0, 1.0]]))
    torch.testing.assert_close(code, torch.tensor([[0.0, 5.0], [4.0, 0.0]]))
    assert select.threshold == pytest.approx(4 / 30)  # the average moves by a thirtieth from zero


def test_default_number_of_active_units(digits):
    fitted = SparseAutoencoder(40, sparsity="top_k", **QUICK | {"max_iter": 2}).fit(digits)
    assert (fitted.transform(digits) > 0).sum(axis=1).max() == 4


def test_kl_equals_kl_of_bernoulli_distributions():
    p, q = torch.tensor(0.1), torch.tensor([0.05, 0.1, 0.5])
    bernoulli = torch.distributions.Bernoulli
    expected = torch.distributions.kl_divergence(bernoulli(p), bernoulli(q))
    torch.testing.assert_close(_kl_of_bernoullis(0.1, q), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_kl_reaches_its_target(digits):
    for target in (0.1, 0.3):
        fitted = SparseAutoencoder(100, sparsity="kl", sparsity_target=target, **QUICK | {"max_iter": 40}).fit(digits)
        assert fitted.active_ratio_ == pytest.approx(target, rel=0.25)


def test_penalties(digits):
    x, code = torch.randn(5, 64), torch.rand(5, 100)
    l1 = SparseAutoencoder(100, sparsity="l1", alpha=0.5, **QUICK | {"max_iter": 1}).fit(digits).net_.module_.eval()
    torch.testing.assert_close(l1.penalty(x, code, code)["l1"], 0.5 * 8 * code.sum(dim=1))
    kl = SparseAutoencoder(100, sparsity="kl", alpha=0.5, **QUICK | {"max_iter": 1}).fit(digits).net_.module_.eval()
    expected = 0.5 * 64 * _kl_of_bernoullis(0.1, code.mean(dim=0)).mean()
    torch.testing.assert_close(kl.penalty(x, code, code)["kl"], expected)


@pytest.mark.parametrize("kind", ["l1", "kl"])
def test_sparsity_grows_with_the_weight(kind, digits):
    alphas = (1e-3, 1e-2, 1e-1, 1.0) if kind == "l1" else (1e-2, 1.0, 100.0)
    fits = [SparseAutoencoder(100, sparsity=kind, alpha=alpha, **QUICK).fit(digits) for alpha in alphas]
    assert (np.diff([fit.active_ratio_ for fit in fits]) < 0).all()
    assert (np.diff([fit.score(digits) for fit in fits]) < 0).all()


def test_dead_units_become_active_again(digits):
    module = SparseAutoencoder(20, sparsity="l1", **QUICK | {"max_iter": 1}).fit(digits).net_.module_.train()
    x = module.scaler(torch.tensor(digits, dtype=torch.float32))
    with torch.no_grad():
        module.encoder.network.linear.bias[3] = -1e3
    module.steps_since_active = torch.zeros(20, dtype=torch.int)
    for step in range(60):
        terms = module.losses(x)
        assert (terms["auxiliary"] > 0).all() == (step >= 50)
    terms["auxiliary"].mean().backward()
    gradient = module.encoder.network.linear.bias.grad
    assert gradient[3] != 0  # the gradient of other units is zero
    assert (gradient[[i for i in range(20) if i != 3]] == 0).all()
    assert "auxiliary" not in module.eval().losses(x)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_small_tables(kind):
    X = StandardScaler().fit_transform(load_breast_cancer().data)
    fitted = SparseAutoencoder(64, sparsity=kind, random_state=0, max_iter=20, validation_fraction=0.3).fit(X)
    assert fitted.score(X) > 0.8
    assert fitted.active_ratio_ < 0.5
    constant = SparseAutoencoder(10, sparsity=kind, max_iter=2, random_state=0).fit(np.ones((30, 3)))
    np.testing.assert_allclose(constant.reconstruct(np.ones((2, 3))), 1.0)


def test_streams_and_architectures(digits):
    architecture = Convolutional(channels=(2,))
    fitted = SparseAutoencoder(50, sparsity="batch_top_k", architecture=architecture, **QUICK)
    fitted.partial_fit(digits[:120]).partial_fit(digits[120:])
    first = fitted.score(digits)
    for _ in range(10):
        fitted.partial_fit(digits)
    assert fitted.score(digits) > first
    assert fitted.components_.shape == (50, 64)
    with pytest.raises(ValueError, match="sparsity was 'batch_top_k'"):
        fitted.set_params(sparsity="l1").partial_fit(digits)


def planted(n, d, n_atoms, n_nonzero, *, noise=0.05, signed=False, seed=0):
    """Return samples that are sums of a few atoms of unit norm, and the atoms."""
    rng = np.random.default_rng(seed)
    atoms = normalize(rng.normal(size=(n_atoms, d)))
    codes = np.zeros((n, n_atoms))
    places = rng.random((n, n_atoms)).argsort(axis=1)[:, :n_nonzero]
    signs = rng.choice((-1, 1), places.shape) if signed else 1
    np.put_along_axis(codes, places, signs * rng.uniform(0.5, 1.5, places.shape), axis=1)
    X = codes @ atoms
    return X + noise * X.std() * rng.normal(size=X.shape), atoms


def fraction_found(atoms, fitted):
    """Return the fraction of the atoms near some unit; a signed coefficient needs two units, of which one counts."""
    return (np.abs(atoms @ normalize(fitted.components_).T).max(axis=1) > 0.9).mean()


def test_default_finds_a_planted_dictionary():
    X, atoms = planted(2000, 16, 16, 2)
    fitted = SparseAutoencoder(random_state=0).fit(X)
    assert fraction_found(atoms, fitted) >= 0.9
    assert fitted.active_ratio_ < 0.25
    assert fitted.dead_ratio_ < 0.01


@pytest.mark.parametrize(
    "kind",
    [
        {"n": 5000, "d": 64, "n_atoms": 100, "n_nonzero": 5},
        {"n": 3000, "d": 20, "n_atoms": 24, "n_nonzero": 3, "noise": 0.1},
        {"n": 2500, "d": 200, "n_atoms": 40, "n_nonzero": 4, "noise": 0.1},
        {"n": 4000, "d": 60, "n_atoms": 60, "n_nonzero": 10, "noise": 0.0},
        {"n": 4000, "d": 40, "n_atoms": 50, "n_nonzero": 4, "signed": True},
    ],
    ids=str,
)
@pytest.mark.slow
def test_default_finds_dictionaries_of_all_kinds(kind):
    X, atoms = planted(**kind, seed=1)
    fitted = SparseAutoencoder(random_state=1).fit(X)
    assert fraction_found(atoms, fitted) >= 0.9
    assert fitted.active_ratio_ < 0.25
    assert fitted.dead_ratio_ < 0.01


@pytest.mark.parametrize(
    "kind",
    [
        {"n": 300, "d": 80, "n_atoms": 10, "n_nonzero": 2, "noise": 0.2},
        {"n": 2000, "d": 150, "n_atoms": 12, "n_nonzero": 3},
        {"n": 2000, "d": 6, "n_atoms": 8, "n_nonzero": 2},
        pytest.param({"n": 1000, "d": 300, "n_atoms": 40, "n_nonzero": 4, "noise": 0.2}, marks=pytest.mark.slow),
        pytest.param({"n": 1000, "d": 100, "n_atoms": 20, "n_nonzero": 3, "noise": 0.1}, marks=pytest.mark.slow),
        pytest.param({"n": 2000, "d": 784, "n_atoms": 100, "n_nonzero": 5, "noise": 0.1}, marks=pytest.mark.slow),
        pytest.param({"n": 2000, "d": 500, "n_atoms": 30, "n_nonzero": 3, "noise": 0.0}, marks=pytest.mark.slow),
    ],
    ids=str,
)
@pytest.mark.parametrize("sparsity", KINDS)
def test_default_leaves_no_unit_dead(sparsity, kind):
    X, _ = planted(**kind | {"n": kind["n"] + 1000}, seed=2)
    is_quick = kind["d"] <= 150 and kind["n"] != 1000
    fitted = SparseAutoencoder(sparsity=sparsity, random_state=2, **{"max_iter": 10} if is_quick else {})
    fitted.fit(X[:-1000])
    assert fitted.dead_ratio_ < 0.01
    of_others = fitted.transform(X[-1000:])
    moves = np.ptp(of_others, axis=0) >= 0.05 if sparsity == "kl" else (of_others > 0).any(axis=0)
    assert (~moves).sum() <= max(1, 0.01 * fitted.n_components_)


@pytest.mark.slow
def test_real_data_leave_few_units_dead():
    for X in (load_digits().data, StandardScaler().fit_transform(load_breast_cancer().data)):
        fitted = SparseAutoencoder(random_state=0).fit(X)
        assert fitted.active_ratio_ < 0.3
        assert fitted.dead_ratio_ < 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_default_number_of_units_follows_the_data(kind):
    few = {"sparsity": kind, "max_iter": 1, "random_state": 0}
    X, _ = planted(600, 100, 20, 3, noise=0.01)  # of rank 20
    fitted = SparseAutoencoder(**few).fit(X)
    assert 60 <= fitted.n_components_ <= 80
    assert fitted.components_.shape == (fitted.n_components_, 100)
    assert fitted.transform(X).shape == (600, fitted.n_components_)
    for same in (1000 * X, X + 5, np.hstack([X, np.ones((600, 3))])):
        assert SparseAutoencoder(**few).fit(same).n_components_ == fitted.n_components_
    assert SparseAutoencoder(**few).fit(X[:100]).n_components_ == 25  # a quarter of the samples
    assert SparseAutoencoder(**few).fit(X[:3]).n_components_ == 1
    assert SparseAutoencoder(**few, n_nonzero_coefs=30).fit(X[:100]).n_components_ == 30
    stream = SparseAutoencoder(**few).partial_fit(X[:400])
    assert stream.partial_fit(X[400:]).n_components_ == stream.components_.shape[0]


def cut_by(sparsity, **more):
    """Return an estimator that removes unused units, and samples whose mean is not zero."""
    X, _ = planted(400, 60, 9, 2, seed=2)
    parameters = {"alpha": 0.8, "max_iter": 6} if sparsity == "l1" else {"max_iter": 3}
    return SparseAutoencoder(sparsity=sparsity, **QUICK | parameters | more), X + 10


@pytest.fixture(params=["l1", "top_k", "batch_top_k"])
def cut(request):
    """Return a fitted autoencoder of each kind with units removed, one with all units, and the samples."""
    sparse, X = cut_by(request.param)
    fixed = clone(sparse).set_params(n_components=36).fit(X)
    sparse.fit(X)
    assert sparse.n_components_ < (36 if sparse.sparsity == "l1" else 35)
    return sparse, fixed, X


def test_removed_units_were_inactive(cut):
    fitted, fixed, X = cut
    atoms, of_fixed = normalize(fitted.components_), normalize(fixed.components_)
    kept = (atoms @ of_fixed.T).argmax(axis=1)
    assert (np.diff(kept) > 0).all()
    np.testing.assert_allclose(atoms, of_fixed[kept], atol=1e-6)
    codes, of_all = fitted.transform(X), fixed.transform(X)
    rows_left_out = np.delete((of_all > 0).sum(axis=0), kept)
    assert rows_left_out.max() < 2
    assert ((of_all > 0).sum(axis=0)[kept] >= 2).all()
    untouched = (np.delete(of_all, kept, axis=1) == 0).all(axis=1)
    assert untouched.mean() > 0.9
    if fitted.sparsity == "l1":  # with top-k, the removed units affect the selection
        np.testing.assert_allclose(codes[untouched], of_all[untouched][:, kept], atol=1e-5)
    assert fitted.score(X) > fixed.score(X) - 0.02
    assert len(fitted.explained_variance_) == fitted.n_components_
    np.testing.assert_allclose(fitted.explained_variance_, codes.var(axis=0, ddof=1), rtol=1e-3, atol=1e-6)
    assert fitted.get_feature_names_out().shape == (fitted.n_components_,)


def test_number_of_units_is_kept_when_training_continues(cut, tmp_path):
    fitted, _, X = cut
    n_units, module = fitted.n_components_, fitted.net_.module_
    fitted.save(tmp_path / "cut.skops")
    loaded = SparseAutoencoder.load(tmp_path / "cut.skops")
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))
    for continue_training in (loaded.partial_fit, loaded.partial_fit, loaded.set_params(warm_start=True).fit):
        continue_training(X)
        assert loaded.components_.shape == (n_units, X.shape[1])
        assert loaded.net_.module_.alpha == module.alpha  # which depends on the number of units in training
        assert getattr(loaded.net_.module_.select, "k", None) == getattr(module.select, "k", None)
    again = loaded.set_params(warm_start=False).fit(X)  # which selects the units again
    np.testing.assert_array_equal(again.components_, fitted.components_)
    of_30 = loaded.set_params(n_components=30).fit(X)
    assert of_30.net_.module_.alpha == clone(of_30).fit(X).net_.module_.alpha


def test_partial_fit_and_explicit_n_components_remove_no_units():
    sparse, X = cut_by("top_k")
    assert clone(sparse).partial_fit(X).n_components_ == 36
    assert clone(sparse).set_params(n_nonzero_coefs=34).fit(X).n_components_ >= 34
    maps = Convolutional(image_shape=(10, 6), channels=(2,), dense_code=False)
    assert clone(sparse).set_params(architecture=maps, max_iter=1).fit(X).n_components_ == 30


@pytest.mark.parametrize(
    "more",
    [{"hidden_layer_sizes": (16,)}, {"architecture": Convolutional(image_shape=(10, 6), channels=(2,))}],
    ids=["layers", "convolutions"],
)
def test_units_after_hidden_layers_are_removed(more):
    sparse, X = cut_by("top_k", **more)
    of_all = clone(sparse).set_params(n_components=36).fit(X).score(X)
    assert sparse.fit(X).n_components_ < 36
    assert sparse.score(X) == pytest.approx(of_all, abs=0.01)


def test_networks_of_folds_have_all_units():
    sparse, X = cut_by("top_k")
    folds = fit_with_folds(sparse, X, None)
    assert sparse.n_components_ < 36
    for _, held_out, network in folds:
        assert network.transform(X).shape == (400, 36)
        assert network.score(X[held_out]) == pytest.approx(sparse.score(X[held_out]), abs=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_results_do_not_depend_on_scale_of_data(kind, digits):
    one, other = (SparseAutoencoder(sparsity=kind, **QUICK).fit(unit * digits) for unit in (1.0, 1024.0))
    unit = 1.0 if kind == "kl" else 1024.0
    np.testing.assert_allclose(other.transform(1024 * digits), unit * one.transform(digits), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(other.components_, one.components_ * 1024 / unit, rtol=1e-5, atol=1e-6)


def test_n_components_must_match_architecture(digits):
    common = {"architecture": Convolutional(channels=(2,), dense_code=False), **QUICK, "max_iter": 1}
    assert SparseAutoencoder(**common).fit(digits).n_components_ == 32
    with pytest.raises(ValueError, match=r"n_components=7 .* Set n_components='auto'"):
        SparseAutoencoder(7, **common).fit(digits)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 4, "n_nonzero_coefs": 5}, r"n_nonzero_coefs=5 must not be above n_components=4"),
        ({"n_components": 0.9}, "'n_components' parameter"),
        ({"n_components": None}, "'n_components' parameter"),
        ({"n_components": "many"}, "'n_components' parameter"),
        ({"alpha": None}, "'alpha' parameter"),
        ({"sparsity_target": 0}, "'sparsity_target' parameter"),
        ({"sparsity_target": 1.0}, "'sparsity_target' parameter"),
        ({"sparsity": "l2"}, "'sparsity' parameter"),
        ({"alpha": -1.0}, "'alpha' parameter"),
        ({"n_nonzero_coefs": 0}, "'n_nonzero_coefs' parameter"),
        ({"loss": "binary_cross_entropy"}, r"requires X in \[0, 1\], but column \d+ contains"),
    ],
    ids=str,
)
def test_invalid_parameters_raise(parameters, message, digits):
    with pytest.raises(ValueError, match=message):
        SparseAutoencoder(**parameters).fit(digits)
