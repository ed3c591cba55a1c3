"""Forked processes can use skae after torch has used several threads, although forks don't inherit these threads."""

import os
import subprocess
import sys

import pytest
import torch

from skae._threads import SMALL_PRODUCT, torch_threads
from skae._torch_state import usual_torch

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")

# Runs each function of `uses` in its own child, all in parallel. An alarm kills a child that hangs in a product.
IN_CHILDREN = """
import os, pickle, signal, sys, tempfile, numpy, torch
def in_children(uses, seconds=60):
    children = {}
    for name, use in uses.items():
        children[name] = os.fork()
        if not children[name]:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(seconds)
            try:
                use()
                os._exit(0)
            except BaseException as error:
                print(name, repr(error), file=sys.stderr, flush=True)
                os._exit(1)
    failed = {name: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for name, child in children.items()}
    return {name: status for name, status in failed.items() if status}
torch.set_num_threads(2)
"""

SHORT = """
import skae
X = numpy.random.RandomState(0).rand(4096, 64)
small = skae.Autoencoder(2, hidden_layer_sizes=(256, 128), max_iter=1, random_state=0)
one = small.fit(X[:64])
codes = one.transform(X)  # a product by two threads
def transform(): numpy.testing.assert_allclose(one.transform(X), codes, atol=1e-9)
def fit(): small.set_params(batch_size=4096).fit(X)
def unpickle(): pickle.loads(pickle.dumps(one)).reconstruct(X)
assert in_children({"product": lambda: X.dot(X.T)}) == {}
assert in_children({"transform": transform, "fit": fit, "unpickle": unpickle}) == {}
"""

HANGS = """
x = torch.ones(1000, 1000); x @ x
assert in_children({"product": lambda: x @ x}, seconds=3) == {"product": -signal.SIGALRM}
"""

OTHERS = """
import skae
from sklearn.pipeline import make_pipeline
X = numpy.random.RandomState(0).rand(5000, 64)
common = {"max_iter": 1, "batch_size": 2048, "random_state": 0}
wide = {**common, "hidden_layer_sizes": (256, 128)}
kinds = [
    skae.Autoencoder(8, **wide), skae.Autoencoder(8, ordered=True, **wide), skae.DenoisingAutoencoder(8, **wide),
    skae.ContractiveAutoencoder(8, **wide), skae.SparseAutoencoder(400, **common),
    skae.VariationalAutoencoder(8, **wide), skae.ConvolutionalAutoencoder(8, channels=(16, 32), **common),
    skae.LSTMAutoencoder(8, hidden_size=64, **common), skae.StackedAutoencoder((256, 8), **common),
    skae.Autoencoder(8, hidden_layer_sizes=()),
][int(sys.argv[1])::2]
torch.ones(1000, 1000) @ torch.ones(1000, 1000)
for kind in kinds:
    one = kind.fit(X)
    folder = tempfile.mkdtemp()
    one.save(folder + "/one")
    kept, codes = pickle.dumps(one), one.transform(X)
    scores = one.score(X)
    uses = {
        "fit": lambda: kind.fit(X), "partial_fit": lambda: one.partial_fit(X),
        "transform": lambda: numpy.testing.assert_allclose(one.transform(X), codes, atol=1e-9),
        "transform of float32": lambda: one.transform(X.astype("float32")),
        "inverse_transform": lambda: one.inverse_transform(codes), "reconstruct": lambda: one.reconstruct(X),
        "score": lambda: numpy.testing.assert_allclose(one.score(X), scores), "jacobian": lambda: one.jacobian(X[:500]),
        "unpickle": lambda: pickle.loads(kept).transform(X), "load": lambda: type(one).load(folder + "/one").score(X),
    }
    if hasattr(one, "sample"):
        uses |= {"sample": lambda: one.sample(5000), "log_likelihood": lambda: one.log_likelihood(X)}
    if hasattr(one, "contraction"):
        uses |= {"contraction": lambda: one.contraction(X)}
    assert in_children(uses) == {}, kind
detector = skae.AutoencoderOutlierDetector(kinds[0]).fit(X)
sampler = skae.LatentSampler(kinds[0]).fit(X)
uses = {"detector": lambda: detector.predict(X), "sampler": lambda: sampler.sample(5000, random_state=0)}
assert in_children(uses) == {}
"""

LATE = """
import skae  # nothing else is imported from skae before the fork
X = numpy.random.RandomState(0).rand(4096, 64)
x = torch.ones(1000, 1000); x @ x
def use():
    small = skae.Autoencoder(2, hidden_layer_sizes=(256, 128), max_iter=1, batch_size=4096, random_state=0)
    small.fit(X).transform(X)
def in_grandchild():
    assert in_children({"use": use}) == {}
assert in_children({"first use": use, "in a grandchild": in_grandchild}) == {}
"""

THREADS = """
import skae, threading
X = numpy.random.RandomState(0).rand(4096, 64)
one = skae.Autoencoder(2, hidden_layer_sizes=(256, 128), max_iter=1, random_state=0).fit(X[:64])
one.transform(X)
def use():
    number = torch.get_num_threads()
    other = threading.Thread(target=one.transform, args=(X,))
    other.start()
    other.join()
    one.transform(X)
    assert torch.get_num_threads() == number == 2  # other threads don't change it
assert in_children({"threads": use}) == {}
one.transform(X)
assert torch.get_num_threads() == 2
"""


def _run(script, *arguments, timeout=120):
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-c", IN_CHILDREN + script, *arguments]
    subprocess.run(command, check=True, env=environment, timeout=timeout)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child_uses_one_thread():
    number = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with usual_torch(), torch_threads(SMALL_PRODUCT):
            assert torch.get_num_threads() == 2
        child = os.fork()
        if not child:
            with usual_torch(), torch_threads(SMALL_PRODUCT):
                within = torch.get_num_threads()
            os._exit(10 * within + torch.get_num_threads())
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 12
    finally:
        torch.set_num_threads(number)


@pytest.mark.slow
def test_forked_child_fits_transforms_and_unpickles():
    _run(SHORT)


@pytest.mark.slow
@pytest.mark.parametrize("half", ["0", "1"])
def test_all_methods_finish_in_a_forked_child(half):
    _run(OTHERS, half, timeout=500)


@pytest.mark.slow
def test_forked_child_may_be_the_first_to_use_skae():
    _run(LATE)


@pytest.mark.slow
def test_number_of_threads_of_a_forked_child_is_restored():
    _run(THREADS)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="OpenMP may restart its threads on other platforms")
def test_torch_hangs_in_a_forked_child():
    # otherwise, the tests above would pass without the changes of skae
    _run(HANGS)
