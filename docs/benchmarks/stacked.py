"""StackedAutoencoder: a deep net of logistic units with random initialization and pretrained, and a deep ReLU net.

    python docs/benchmarks/stacked.py [--rows 20000] [--budgets 1 2 3 4 5 6 7 8 9 10]

Prints R² of test images of Fashion-MNIST. A budget is the number of epochs of training the whole network; with
pretraining, also that of each layer before.
"""

import argparse
import time

from _fashion_mnist import load
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.neural_network import BernoulliRBM

from skae import Autoencoder, DenoisingAutoencoder, StackedAutoencoder

LOGISTIC = {"activation": "logistic", "random_state": 0}
CLASSIC = {
    "activation": "relu",
    "code_activation": "logistic",
    "learning_rate": 0.003,
    "max_iter": 5,
    "random_state": 0,
}


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--budgets", type=int, nargs="+", default=range(1, 11))
    arguments = parser.parse_args()
    train, test = load("train")[: arguments.rows], load("t10k")

    def fit(estimator):
        """Return R² of test images and seconds, as text."""
        start = time.perf_counter()
        estimator.fit(train)
        return f"R² {estimator.score(test):.4f} in {time.perf_counter() - start:3.0f} s"

    for k in (10, 30):
        pca = PCA(k, random_state=0).fit(train)
        x_hat = pca.inverse_transform(pca.transform(test))
        print(f"PCA({k}): R² {r2_score(test, x_hat, multioutput='variance_weighted'):.4f}")

    print("784-500-250-100-30 of logistic units, linear code")
    for budget in arguments.budgets:
        layers = (500, 250, 100, 30)
        random = fit(StackedAutoencoder(layers, pretrain=False, max_iter=budget, **LOGISTIC))
        trained = fit(StackedAutoencoder(layers, max_iter=budget, **LOGISTIC))
        print(f"  {budget:2d} epochs: random init {random}, pretrained {trained}", flush=True)

    print("784-2000-500-500-10 with ReLU, logistic code, 5 epochs")
    for pretrain in (False, True):
        shown = fit(StackedAutoencoder((2000, 500, 500, 10), pretrain=pretrain, **CLASSIC))
        print(f"  {'pretrained ' if pretrain else 'random init'} {shown}", flush=True)

    print("784-256-10, 5 epochs: types of the first layer")
    kinds = {
        "integer": 256,
        "BernoulliRBM": ("first", BernoulliRBM(256, learning_rate=0.05, batch_size=100, n_iter=5)),
        "denoising": ("first", DenoisingAutoencoder(256, hidden_layer_sizes=(), code_activation="relu", max_iter=5)),
    }
    for name, first in kinds.items():
        layers = [first, ("code", Autoencoder(10, max_iter=5))]
        print(f"  {name:12s} {fit(StackedAutoencoder(layers, max_iter=5, random_state=0))}", flush=True)


if __name__ == "__main__":
    main()
