"""What someone has who installs the wheel and nothing else. Run by `.ci/dist`, outside the checkout."""

import sys
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris

import skae
from skae.inspection import LossCurveDisplay


def refusal(call):
    """Say how a call without an extra's packages was refused."""
    try:
        call()
    except ImportError as error:
        return str(error)
    raise AssertionError("this was to be refused")


package = Path(skae.__file__).parent
assert package.is_relative_to(sys.prefix), package
assert skae.__version__ == sys.argv[1], skae.__version__
assert (package / "py.typed").is_file()
tops = {Path(path).parts[0] for path in distribution("skae").files}
assert tops == {"skae", f"skae-{sys.argv[1]}.dist-info"}, tops
for extra in ("matplotlib", "onnx", "pandas", "pytest"):
    assert find_spec(extra) is None, f"{extra} is not among the dependencies, yet was installed"

X = load_iris().data
estimator = skae.Autoencoder(2, max_iter=2, random_state=0).fit(X)
codes = estimator.transform(X)
assert codes.shape == (150, 2)
X_hat = estimator.inverse_transform(codes)
assert X_hat.shape == X.shape
assert estimator.score(X) > 0.9
estimator.save("iris.skops")
again = skae.Autoencoder.load("iris.skops")
np.testing.assert_array_equal(again.transform(X), codes)
assert "skae[plot]" in refusal(lambda: LossCurveDisplay.from_estimator(estimator))
assert "skae[onnx]" in refusal(estimator.to_onnx)
print("The package works as installed, version", skae.__version__)
