"""Parts of `gpu.py` that measure speed: waits, steps, epochs, images, many samples, compiled steps."""

import contextlib
import copy
import itertools
import math
import statistics
import time
import warnings
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import torch
from _measure import make_curved_data, r2
from _systems import Net
from torch import nn

import skae
from skae._training.callbacks import GRADIENT_NORM
from skae._training.make import make_net
from skae.nn._ensemble import clip_gradients

NARROW, MIDDLE, WIDE = (10, 32, 2), (30, 64, 16), (784, 512, 256, 32)
PRECISIONS = ("float32", "TF32", "bfloat16")


def precise(precision, device):
    """Return a context for float32, float32 with TF32 matrix products, or bfloat16 autocast."""
    if precision == "bfloat16":
        return torch.autocast(torch.device(device).type, torch.bfloat16)
    return _tf32() if precision == "TF32" else contextlib.nullcontext()


@contextlib.contextmanager
def _tf32():
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    yield
    torch.backends.cuda.matmul.allow_tf32 = before


def is_cuda(device):
    """Return whether the device supports CUDA graphs, synchronization and TF32."""
    return torch.device(device).type == "cuda"


def wait(device):
    """Wait until the device has completed all work."""
    if is_cuda(device):
        torch.cuda.synchronize()


def milliseconds(step, device, n=40, repeats=5):
    """Return the median duration of a step in milliseconds."""
    for _ in range(5):
        step()
    times = []
    for _ in range(repeats):
        wait(device)
        start = time.perf_counter()
        for _ in range(n):
            step()
        wait(device)
        times.append((time.perf_counter() - start) / n)
    return 1e3 * statistics.median(times)


def captured(step):
    """Capture a step as a CUDA graph and return the function that replays it."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(4):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


class StridedNet(nn.Module):
    """A usual convolutional autoencoder for 28 x 28 images, with strided and transposed convolutions."""

    def __init__(self, channels=(64, 32, 16), k=16):
        super().__init__()
        a, b, c = channels
        self.layers = nn.Sequential(
            *(nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, a, 3, 2, 1), nn.ReLU(), nn.Conv2d(a, b, 3, 2, 1), nn.ReLU()),
            *(nn.Conv2d(b, c, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * c, k), nn.Linear(k, 16 * c)),
            *(nn.Unflatten(1, (c, 4, 4)), nn.ConvTranspose2d(c, b, 3, 2, 1), nn.ReLU()),
            *(nn.ConvTranspose2d(b, a, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(a, 1, 4, 2, 1), nn.Flatten()),
        )

    def forward(self, x):
        return self.layers(x)


class PooledNet(nn.Module):
    """The same network with pooling and upsampling, as with `downsampling="max_pool"`."""

    def __init__(self, channels=(64, 32, 16), k=16):
        super().__init__()
        a, b, c = channels
        layers, sizes = [nn.Unflatten(1, (1, 28, 28))], (28, 14, 7, 4)
        for n_in, n_out in ((1, a), (a, b), (b, c)):
            layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
        layers += [nn.Flatten(), nn.Linear(16 * c, k), nn.Linear(k, 16 * c), nn.Unflatten(1, (c, 4, 4))]
        for n_in, n_out, size in ((c, b, sizes[2]), (b, a, sizes[1]), (a, 1, sizes[0])):
            layers += [nn.Upsample((size, size)), nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1], nn.Flatten())

    def forward(self, x):
        return self.layers(x)


class LSTMNet(nn.Module):
    """A usual LSTM autoencoder, for 28 steps of 28 features."""

    def __init__(self, hidden_size=64, k=16):
        super().__init__()
        self.reader, self.writer = nn.LSTM(28, hidden_size, batch_first=True), nn.LSTM(k, hidden_size, batch_first=True)
        self.code, self.output = nn.Linear(hidden_size, k), nn.Linear(hidden_size, 28)

    def forward(self, x):
        _, (hidden, _) = self.reader(x.unflatten(1, (28, 28)))
        seen = self.code(hidden[0])[:, None].expand(-1, 28, -1)
        return self.output(self.writer(seen)[0]).flatten(1)


class HandWritten:
    """A hand-written training loop, with all samples on the device."""

    def __init__(self, net, X, device, batch_size, precision="float32", compiled=False, graphed=False):
        torch.manual_seed(0)
        self.rows, self.device, self.batch_size = torch.tensor(X, device=device), device, batch_size
        self.net = net().to(device)
        self.model = torch.compile(self.net) if compiled else self.net
        options = {"fused": True, "capturable": True} if graphed else {}
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3, **options)
        self.precision = precision
        self.index = torch.randint(len(X), (batch_size,), device=device)
        if graphed:
            self.replay = captured(self.step)

    def step(self):
        """Take one training step on the samples of `index`."""
        batch = self.rows[self.index]
        self.optimizer.zero_grad()
        with precise(self.precision, self.device):
            loss = nn.functional.mse_loss(self.model(batch), batch)
        loss.backward()
        self.optimizer.step()

    def epoch(self):
        """Train for one epoch."""
        for index in torch.randperm(len(self.rows), device=self.device).split(self.batch_size):
            self.index = index
            self.step()


class Ours:
    """A training step of skae, as in `fit`, and the same step without its host code, for a CUDA graph."""

    def __init__(self, estimator, X, device, batch_size, precision="float32", members=1, graphed=False):
        fitted = estimator.set_params(device=device, max_iter=1, early_stopping=False, init="random").fit(X[:600])
        modules = [copy.deepcopy(fitted.net_.module_) for _ in range(members)]
        settings = fitted._settings | {"device": torch.device(device), "batch_size": batch_size, "max_iter": 9}
        settings["mixed_precision"] = precision == "bfloat16"
        self.net, self.rows = make_net(modules, **settings), torch.tensor(X, device=device)
        self.net.at_once_, self.net.n_steps_ = None, settings["max_iter"] * max(1, round(len(X) / batch_size))
        self.net.limit_ = math.inf  # `fit` sets it in the first epoch
        self.net.losses_ = [module.losses for module in self.net.ensemble_.trained]
        if graphed:
            for group in self.net.optimizer_.param_groups:
                group["capturable"], group["lr"] = True, torch.tensor(float(group["lr"]), device=device)
        self.net.notify("on_train_begin", X=None, y=None)
        self.index = torch.randint(len(X), (members, batch_size), device=device)
        self.device, self.precision = device, precision
        if graphed:
            self.replay = captured(self.bare_step)

    def step(self):
        """Take a step with the method of the net."""
        with _tf32() if self.precision == "TF32" else contextlib.nullcontext():
            self.net.train_step((self.rows[self.index], None))

    def bare_step(self):
        """Take the same step without decisions of the host, so that it can be captured."""
        ensemble, (weights,) = self.net.ensemble_, self.net.ensemble_.weights
        for weight in weights.values():
            weight.grad = None
        with precise(self.precision, self.device):
            terms = ensemble.losses(self.rows[self.index]).values()
            loss = sum(term.reshape(len(term), -1).mean(dim=1) for term in terms)  # (m,)
        loss.sum().backward(inputs=list(weights.values()))
        clip_gradients([weight.grad for weight in weights.values()], GRADIENT_NORM, len(ensemble.members))
        self.net.optimizer_.step()


def autoencoder(sizes, **params):
    """Return an Autoencoder with these layer sizes."""
    return skae.Autoencoder(sizes[-1], hidden_layer_sizes=sizes[1:-1], random_state=0, **params)


def operations(sizes, batch_size):
    """Return the minimum number of floating-point operations in a step of a dense net with linear branches."""
    weights = 2 * sum(a * b for a, b in itertools.pairwise(sizes)) + 2 * sizes[0] * sizes[-1]
    inputs = sizes[0] * sizes[1] + sizes[0] * sizes[-1]  # no gradient with respect to the samples
    return 2 * batch_size * (3 * weights - inputs)


def peaks(device, short):
    """Measure the rate of matrix products for each precision, in FLOP/s."""
    n, found = 512 if short or not is_cuda(device) else 8192, {}
    for name in PRECISIONS if is_cuda(device) else ["float32"]:
        a = torch.randn(n, n, device=device, dtype=torch.bfloat16 if name == "bfloat16" else torch.float32)
        with _tf32() if name == "TF32" else contextlib.nullcontext():
            found[name] = 2 * n**3 / (milliseconds(lambda a=a: a @ a, device, n=4, repeats=3) / 1e3)
    return found


def waits(device, short):  # noqa: ARG001 - parts share a signature
    """Print how often the host waits, and the number of kernel launches per step."""
    X = make_curved_data(1500, 64, 8)
    kinds = [skae.Autoencoder(8), skae.Autoencoder(8, ordered=True), skae.DenoisingAutoencoder(8)]
    kinds += [skae.VariationalAutoencoder(8), skae.SparseAutoencoder(32), skae.ContractiveAutoencoder(8)]
    for kind in kinds if is_cuda(device) else []:
        kind.set_params(random_state=0, device=device, early_stopping=False)
        two, two, six = (waits_within(lambda n=n, kind=kind: kind.set_params(max_iter=n).fit(X)) for n in (2, 2, 6))
        each = (six.total() - two.total()) / 4
        often = ", ".join(f"{place} {n}" for place, n in (six - two).most_common(5))
        print(
            f"{type(kind).__name__:24s} waits per epoch {each:.1f}, others {two.total() - 2 * each:.0f}; "
            f"in 4 epochs: {often}"
        )
    for members, sizes in ((1, WIDE), (1, MIDDLE), (10, MIDDLE)):
        ours = Ours(autoencoder(sizes), make_curved_data(1500, sizes[0], sizes[-1]), device, 128, members=members)
        hand = HandWritten(
            lambda sizes=sizes: Net(sizes, True, nn.GELU), make_curved_data(1500, sizes[0], sizes[-1]), device, 128
        )
        for name, step in (("skae", ours.step), ("hand-written", hand.step)):
            print(f"{'-'.join(map(str, sizes))} x {members}, {name}: {_launches(step, device)}", flush=True)
    return []


def waits_within(call):
    """Count how often the host waits for the GPU during a call, by line of code."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        call()
        torch.cuda.set_sync_debug_mode("default")
    return Counter(f"{Path(w.filename).name}:{w.lineno}" for w in caught if "synchroniz" in str(w.message))


def _launches(step, device, n=20):
    from torch.profiler import ProfilerActivity, profile

    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * is_cuda(device)
    for _ in range(5):
        step()
    wait(device)
    with profile(activities=kinds) as profiled:
        for _ in range(n):
            step()
        wait(device)
    events = profiled.key_averages()
    launched = sum(event.count for event in events if "Launch" in event.key or "cudaMemcpyAsync" in event.key) / n
    operators = sum(event.count for event in events if event.key.startswith("aten::")) / n
    busy = sum(getattr(event, "self_device_time_total", 0.0) for event in events) / n
    return f"{launched:.0f} launches, {operators:.0f} operators, {busy:.0f} us of device time per step"


def steps(device, short):
    """Print the duration of one step in milliseconds, for all networks."""
    peak = peaks(device, short)
    print(
        "matrix products: " + ", ".join(f"{name} {rate / 1e12:.1f} TFLOP/s" for name, rate in peak.items()), flush=True
    )
    n = 4 if short else 40
    cases = [(WIDE, b, 1) for b in (128, 512, 2048, 8192)]
    cases += [(MIDDLE, 128, 1), (MIDDLE, 128, 10), (NARROW, 64, 1), (NARROW, 64, 10), (MIDDLE, 8192, 1)]
    for case in cases[::4] if short else cases:
        steps_of(*case, device, peak, n)
    return []


def steps_of(sizes, batch_size, members, device, peak, n):
    """Print the duration of one step in milliseconds, the mean of n steps."""
    X = make_curved_data(max(2000, 2 * batch_size), sizes[0], sizes[-1])
    name = "-".join(map(str, sizes))
    print(f"\n{name}, batches of {batch_size}, {members} trained together: milliseconds per step", flush=True)
    first = None
    for precision in PRECISIONS if is_cuda(device) else ["float32"]:
        ways = {
            "hand-written": partial(HandWritten, lambda: Net(sizes, True, nn.GELU), X, device, batch_size, precision),
            "skae": partial(Ours, autoencoder(sizes), X, device, batch_size, precision, members),
        }
        found = {}
        with _tf32() if precision == "TF32" else contextlib.nullcontext():
            for way, make in ways.items():
                found[way] = milliseconds(make().step, device, n)
                if is_cuda(device):
                    found[f"{way}, graph"] = _try(lambda make=make: milliseconds(make(graphed=True).replay, device, n))
        first = first or found["hand-written"]
        share = operations(sizes, batch_size) * members / (min(found.values()) / 1e3) / peak[precision]
        times = ", ".join(f"{way} {value:.3f} (x{first / value:.2f})" for way, value in found.items())
        print(f"  {precision:9s} {times}; at most {share:.0%} of the matrix product's rate", flush=True)


def _try(measure):
    try:
        return measure()
    except Exception as error:
        print(f"  {type(error).__name__}: {str(error).splitlines()[0][:200]}")
        return math.inf


def seconds_of(fit, device):
    """Return the duration of a call in seconds."""
    wait(device)
    start = time.perf_counter()
    fit()
    wait(device)
    return time.perf_counter() - start


def epoch_of(estimator, X, device, m):
    """Return seconds per epoch, from the difference of two fits, and seconds of the rest of the fit."""
    fits = []
    for n_epochs in (1, 1, 1 + m):  # the first fit is a warm-up
        estimator.set_params(max_iter=n_epochs, device=device, early_stopping=False)
        fits.append(seconds_of(lambda: estimator.fit(X), device))
    each = (fits[2] - fits[1]) / m
    return each, fits[1] - each


def compare(name, estimator, net, X, device, batch_size, m, precisions=("float32", "bfloat16")):
    """Print milliseconds per epoch, hand-written and skae, on the device and on the CPU."""
    print(f"\n{name}, {len(X):,} samples, batches of {batch_size}: milliseconds per epoch", flush=True)
    for precision in precisions if is_cuda(device) else ["float32"]:
        hand = HandWritten(net, X, device, batch_size, precision)
        hand.epoch()
        hand_written = statistics.median(seconds_of(hand.epoch, device) for _ in range(3))
        del hand
        estimator.set_params(batch_size=batch_size, mixed_precision=precision == "bfloat16")
        if is_cuda(device):
            torch.cuda.reset_peak_memory_stats()
        each, rest = epoch_of(estimator, X, device, m)
        memory = f", {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB on the device" if is_cuda(device) else ""
        ratio = hand_written / each
        print(
            f"  {precision:9s} hand-written {1e3 * hand_written:8.1f}, skae {1e3 * each:8.1f} (x{ratio:.2f}), "
            f"rest of fit {rest:.2f} s{memory}", flush=True,
        )  # fmt: skip
    if is_cuda(device):
        estimator.set_params(mixed_precision=False)
        each, rest = epoch_of(estimator, X, "cpu", max(1, m // 4))
        print(f"  skae on the CPU, {torch.get_num_threads()} threads: {1e3 * each:8.1f}, rest {rest:.2f} s", flush=True)


def epochs(device, short):
    """Time epochs and default fits of dense networks."""
    n, m = (2000, 1) if short else (20_000, 8)
    for sizes, batch_size in ((WIDE, 128), (WIDE, 256), (WIDE, 2048), (MIDDLE, 128), (NARROW, 128)):
        X = make_curved_data(n, sizes[0], sizes[-1])
        name = "-".join(map(str, sizes))
        compare(name, autoencoder(sizes), lambda sizes=sizes: Net(sizes, True, nn.GELU), X, device, batch_size, m)
    for n_rows, d, k in ((n, 784, 32), (1797, 64, 8)):
        X = make_curved_data(n_rows + 1000, d, k)
        train, test = X[:n_rows], X[n_rows:]
        for place in dict.fromkeys((device, "cpu")):
            one = skae.Autoencoder(k, random_state=0, device=place)
            seconds = seconds_of(partial(one.fit, train), place)
            encoded = n_rows / seconds_of(partial(one.transform, train), place)
            print(f"default fit of {n_rows:,} x {d} on {place}: {seconds:.2f} s, {one.n_iter_} epochs,", end=" ")
            print(f"R² {r2(test, one.reconstruct(test)):.4f}, {encoded:,.0f} samples encoded per second", flush=True)
    return []


def images(device, short):
    """Time epochs of convolutional networks and LSTMs."""
    X = make_curved_data(400 if short else 6000, 784, 16)
    m = 1 if short else 2
    conv = skae.ConvolutionalAutoencoder(16, channels=(64, 32, 16), downsampling="max_pool", random_state=0)
    compare("convolutions 64-32-16, strided hand-written", conv, StridedNet, X, device, 128, m)
    compare("convolutions 64-32-16, pooled hand-written", conv, PooledNet, X, device, 128, m, ["float32"])
    lstm = skae.LSTMAutoencoder(16, hidden_size=64, sequence_shape=(28, 28), random_state=0)
    compare("LSTM of 64 units", lstm, LSTMNet, X, device, 128, m)
    return []


def many(device, short):
    """Time epochs with many samples."""
    n = 3000 if short else 1_000_000
    generator = torch.Generator(device).manual_seed(0)
    inner = torch.tanh(torch.randn(n, 32, device=device, generator=generator))
    X = inner @ torch.randn(32, 784, device=device, generator=generator)
    X = (X + 0.1 * torch.randn(n, 784, device=device, generator=generator)).cpu().numpy()
    del inner
    hand = HandWritten(lambda: Net(WIDE, True, nn.GELU), X, device, 8192)
    hand.epoch()
    print(f"hand-written, batches of 8192: {seconds_of(hand.epoch, device):.2f} s per epoch", flush=True)
    del hand
    one = autoencoder(WIDE, device=device, max_iter=1, batch_size=8192, early_stopping=False)
    seconds = [seconds_of(lambda n_epochs=e: one.set_params(max_iter=n_epochs).fit(X), device) for e in (1, 3)]
    each = (seconds[1] - seconds[0]) / 2
    print(f"skae: {each:.2f} s per epoch, rest of the fit {seconds[0] - each:.2f} s", flush=True)
    print(f"encoded {n / seconds_of(lambda: one.transform(X), device):,.0f} samples per second", flush=True)
    return []


def compiled(device, short):
    """Compare training with and without `net_params={"compile": True}`."""
    sizes = MIDDLE if short else WIDE
    X = make_curved_data(1200 if short else 20_000, sizes[0], sizes[-1])
    hand = HandWritten(lambda: Net(sizes, True, nn.GELU), X, device, 128, compiled=True)
    first = seconds_of(hand.epoch, device)
    print(f"hand-written: {seconds_of(hand.epoch, device):.3f} s per epoch, the first {first:.1f} s", flush=True)
    scores = {}
    for is_compiled in (False, True):
        one = autoencoder(sizes, device=device, batch_size=128, net_params={"compile": is_compiled})
        each, rest = epoch_of(one, X, device, 1 if short else 6)
        scores[is_compiled] = one.score(X)
        print(
            f"skae, compile={is_compiled}: {each:.3f} s per epoch, rest {rest:.1f} s, R² {one.score(X):.4f}", flush=True
        )
    return [] if abs(np.subtract(*scores.values())) < 0.005 else ["R² of compiled steps"]


PARTS = {
    "waits": waits,
    "steps": steps,
    "epochs": epochs,
    "images": images,
    "many": many,
    "compiled": compiled,
}
