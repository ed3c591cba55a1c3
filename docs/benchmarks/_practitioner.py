"""Textbook networks as a PyTorch user would write them in an hour: the baselines of `variants.py`.

They were frozen before the defaults of the variants were chosen, and are not tuned to look worse or better. Each is
trained with Adam at three learning rates, with the same training and validation samples. At each rate training may take
as many seconds as the variant took, stops early, and returns the weights of the best epoch. The network with the lowest
validation loss is the baseline, and its training time is the one reported. Images are in [0, 1] and the network ends in
a sigmoid; tables and series are standardized beforehand and the network ends in a linear layer.
"""

import copy
import itertools
import math
import time
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

RATES = (3e-4, 1e-3, 3e-3)
MAX_EPOCHS = 1000


@dataclass
class Trained:
    """The network of the best learning rate, its validation loss, and the duration and epochs of its training."""

    module: nn.Module
    loss: float
    rate: float
    seconds: float
    n_epochs: int


def train(make, X, X_val, *, seconds, batch_size=128, patience=10, seed=0):
    """Train a network at each learning rate and return the one with the lowest validation loss.

    `make()` returns the untrained module; its `loss(x)` is the mean loss of a batch of shape (b, d), and its method
    `end_of_step()`, if it has one, is called after each step. X and X_val are float32 arrays of shape (n, d).
    """
    X, X_val = torch.as_tensor(X), torch.as_tensor(X_val)
    return min((_train_at(rate, make, X, X_val, seconds, batch_size, patience, seed) for rate in RATES), key=_loss)


def _loss(trained):
    return trained.loss


def _train_at(rate, make, X, X_val, seconds, batch_size, patience, seed):
    torch.manual_seed(seed)
    module = make()
    optimizer = torch.optim.Adam(module.parameters(), rate)
    start = time.perf_counter()
    best, state, waited, epoch = math.inf, copy.deepcopy(module.state_dict()), 0, 0
    while waited < patience and epoch < MAX_EPOCHS and time.perf_counter() - start < seconds:
        epoch += 1
        module.train()
        for rows in torch.randperm(len(X)).split(batch_size):
            optimizer.zero_grad()
            module.loss(X[rows]).backward()
            optimizer.step()
            if hasattr(module, "end_of_step"):
                module.end_of_step()
            if time.perf_counter() - start > seconds:
                break
        module.eval()
        with torch.random.fork_rng(), torch.no_grad():  # the same noise for each epoch
            torch.manual_seed(seed)
            batches = [(module.loss(x).item(), len(x)) for x in X_val.split(1000)]
        loss = sum(each * n for each, n in batches) / len(X_val)
        waited += 1
        if loss < best:
            best, state, waited = loss, copy.deepcopy(module.state_dict()), 0
    module.load_state_dict(state)
    module.eval()
    return Trained(module, best, rate, time.perf_counter() - start, epoch)


def layers(*widths):
    """Return linear layers with ReLU between them."""
    pairs = [(nn.Linear(a, b), nn.ReLU()) for a, b in itertools.pairwise(widths)]
    return nn.Sequential(*[layer for pair in pairs for layer in pair][:-1])


class Plain(nn.Module):
    """Undercomplete autoencoder with squared error.

    Parameters
    ----------
    d, k : int
        Numbers of features and of units of the code.

    widths : tuple of int

    images : bool
        Whether to end in a sigmoid.
    """

    def __init__(self, d, k, widths=(512, 256), *, images=False):
        super().__init__()
        self.encoder = layers(d, *widths, k)
        self.decoder = layers(k, *reversed(widths), d)
        self.output = nn.Sigmoid() if images else nn.Identity()

    def decode(self, code):
        return self.output(self.decoder(code))

    def forward(self, x):
        return self.decode(self.encoder(x))

    def loss(self, x):
        return functional.mse_loss(self(x), x)


class Denoising(Plain):
    """Denoising autoencoder of Vincent et al. (2010); `corrupt` is applied to the input of the encoder."""

    def __init__(self, *args, corrupt, **kwargs):
        super().__init__(*args, **kwargs)
        self.corrupt = corrupt

    def loss(self, x):
        return functional.mse_loss(self(self.corrupt(x)), x)


class Contractive(nn.Module):
    """Contractive autoencoder of Rifai et al. (2011): a sigmoid layer, tied weights, penalized Jacobian of the code."""

    def __init__(self, d, k, alpha, *, images=False):
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(k, d)))
        self.bias, self.bias_out = nn.Parameter(torch.zeros(k)), nn.Parameter(torch.zeros(d))
        self.alpha, self.output = alpha, nn.Sigmoid() if images else nn.Identity()

    def encoder(self, x):
        return torch.sigmoid(functional.linear(x, self.weight, self.bias))

    def decode(self, code):
        return self.output(functional.linear(code, self.weight.T, self.bias_out))

    def forward(self, x):
        return self.decode(self.encoder(x))

    def loss(self, x):
        code = self.encoder(x)
        norm = torch.square(code * (1 - code)) @ torch.square(self.weight).sum(dim=1)  # (b,)
        return torch.square(self.decode(code) - x).sum(dim=1).mean() + self.alpha * norm.mean()


class Sparse(nn.Module):
    """Sparse autoencoder: overcomplete dictionary with ReLU codes, atoms of unit norm, and an L1 penalty."""

    def __init__(self, d, k, alpha):
        super().__init__()
        atoms = functional.normalize(torch.randn(k, d), dim=1)
        self.atoms, self.weight = nn.Parameter(atoms), nn.Parameter(atoms.clone())
        self.bias, self.bias_out = nn.Parameter(torch.zeros(k)), nn.Parameter(torch.zeros(d))
        self.alpha = alpha

    def encoder(self, x):
        return torch.relu(functional.linear(x - self.bias_out, self.weight, self.bias))

    def decode(self, code):
        return code @ self.atoms + self.bias_out

    def forward(self, x):
        return self.decode(self.encoder(x))

    def loss(self, x):
        code = self.encoder(x)
        return torch.square(self.decode(code) - x).sum(dim=1).mean() + self.alpha * code.sum(dim=1).mean()

    def end_of_step(self):
        with torch.no_grad():
            self.atoms.copy_(functional.normalize(self.atoms, dim=1))


class Variational(nn.Module):
    """Variational autoencoder of Kingma and Welling (2014); the Gaussian likelihood has one learned variance.

    Parameters
    ----------
    likelihood : {"gaussian", "bernoulli"}

    variance : float
        Initial value of the learned variance. A fraction of the features' variance keeps the divergence from dominating
        at first.
    """

    def __init__(self, d, k, widths=(512, 256), *, likelihood="gaussian", images=False, variance=0.05):
        super().__init__()
        self.encoder = layers(d, *widths, 2 * k)
        self.decoder = layers(k, *reversed(widths), d)
        self.likelihood, self.log_variance = likelihood, nn.Parameter(torch.tensor(variance).log())
        self.output = nn.Sigmoid() if images else nn.Identity()

    def log_likelihood(self, x, code):
        """Return the log-likelihood of each sample, (b,)."""
        logits = self.decoder(code)
        if self.likelihood == "bernoulli":
            return -functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=1)
        squared = torch.square(self.output(logits) - x) / self.log_variance.exp()
        return -0.5 * (squared + self.log_variance + math.log(2 * math.pi)).sum(dim=1)

    def bound(self, x):
        """Return the evidence lower bound of each sample in nats, estimated with one draw, (b,)."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)
        return self.log_likelihood(x, code) - divergence

    def forward(self, x):
        return self.output(self.decoder(self.encoder(x).chunk(2, dim=1)[0]))

    def loss(self, x):
        return -self.bound(x).mean()


class Convolutional(nn.Module):
    """Strided 3 x 3 convolutions and transposed convolutions, for images of shape (side, side) with one channel."""

    def __init__(self, side, k, channels=(32, 64)):
        super().__init__()
        self.side, sizes, encoder, decoder = side, [side], [], []
        for before, after in zip((1, *channels), channels, strict=False):
            encoder += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]
            sizes.append((sizes[-1] + 1) // 2)
        flat = (channels[-1], sizes[-1], sizes[-1])
        for i in reversed(range(len(channels))):
            more = (sizes[i] + 1) % 2  # an even side
            after = channels[i - 1] if i else 1
            decoder += [nn.ConvTranspose2d(channels[i], after, 3, 2, 1, output_padding=more), nn.ReLU()]
        self.encoder = nn.Sequential(*encoder, nn.Flatten(), nn.Linear(math.prod(flat), k))
        self.decoder = nn.Sequential(nn.Linear(k, math.prod(flat)), nn.Unflatten(1, flat), nn.ReLU(), *decoder[:-1])

    def forward(self, x):
        code = self.encoder(x.unflatten(1, (1, self.side, self.side)))
        return torch.sigmoid(self.decoder(code)).flatten(1)

    def loss(self, x):
        return functional.mse_loss(self(x), x)


class Recurrent(nn.Module):
    """LSTM autoencoder of Srivastava et al. (2015): its code, from the last state, is the decoder's input."""

    def __init__(self, n_steps, n_sensors, k, hidden=64):
        super().__init__()
        self.shape = (n_steps, n_sensors)
        self.reader, self.encoder = nn.LSTM(n_sensors, hidden, batch_first=True), nn.Linear(hidden, k)
        self.writer, self.output = nn.LSTM(k, hidden, batch_first=True), nn.Linear(hidden, n_sensors)

    def forward(self, x):
        code = self.encoder(self.reader(x.unflatten(1, self.shape))[1][0][-1])
        steps = self.writer(code[:, None].expand(-1, self.shape[0], -1))[0]
        return self.output(steps).flatten(1)

    def loss(self, x):
        return functional.mse_loss(self(x), x)
