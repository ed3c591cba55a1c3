"""Incremental training with `partial_fit`.

The scaling of a network is fixed when it is initialized, so that later samples don't change what it computes. In
addition, scikit-learn's `IncrementalPCA` is updated with all samples seen. Some samples are held out as a validation
set, on which the network is compared with PCA. PCA is used while the network is not significantly better, and a network
that is significantly worse than PCA is initialized from it again.
"""

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from skae._chunk import Chunk, check_values, hold_out
from skae._data.bounds import still_bounds
from skae._data.readers import ArrayReader, ScaledReader
from skae._data.statistics import FEW, FeatureStatistics, FeatureStatisticsAbout, usual_range
from skae._defaults import CLIP_AT, auto_stream_batch_size
from skae._imputation import filled_chunk, weigh_network
from skae._layout import canonical
from skae._pca import LinearInit, align_axes, linear_init, rescale_weights, updated_start
from skae._seeds import isolated_rng
from skae._spec import ModuleSpec, load_weights, read_weights, without_bounds
from skae._threads import torch_threads
from skae._training.callbacks import StreamAverage, is_sound, warn_of_divergence
from skae._training.data import IndexedDataset
from skae._training.distributed import broadcast_from_main
from skae._training.make import make_net
from skae._training.net import DIVERGENCE_FACTOR
from skae._training.progress import FitProgress, with_callbacks
from skae._training.selection import clip_tails, lower_confidence_bound
from skae._training.state import load_stream, read_curves, read_stream
from skae._training.train import TrainingResult
from skae._training.users import copy_callbacks

SETTLED = 64  # samples: while fewer have been seen, the next chunk initializes a new network
NEW_FRACTION = 0.1  # fraction of the variance in features that were constant when the network was initialized
TRAINED = ("weights", "optimizer", "steps_done")  # training state, in addition to the averaged weights
UNTRAINED = {"weights": None, "optimizer": {}, "steps_done": 0}


@dataclass(frozen=True)
class Candidate:
    """A network that may be trained on a chunk.

    Attributes
    ----------
    spec : ModuleSpec

    average : dict of str to ndarray
        Weights averaged over the last steps.

    state : dict
        Current "weights", moments of the "optimizer", and "steps_done"; `UNTRAINED` for a new network.

    start, exact : dict of str to ndarray, or None
        Weights with which the network equals PCA: of the samples that are not outlying, and of all samples.

    followed : dict of str to ndarray, or None
        `start` as it was when the linear maps were last updated with PCA.

    unit, basis : ndarray or None
        Units and principal axes of the internal code, (k,) and (k, d).
    """

    spec: ModuleSpec
    average: dict[str, np.ndarray] | None
    state: dict[str, Any]
    start: dict[str, np.ndarray] | None = None
    exact: dict[str, np.ndarray] | None = None
    followed: dict[str, np.ndarray] | None = None
    unit: np.ndarray | None = None
    basis: np.ndarray | None = None


class StreamMixin:
    """Mixin of `AutoencoderCore` for incremental training."""

    n_components_: int

    def _start_of_pca(self, pca, rows, statistics, spec, seed):  # noqa: ARG002 - for subclasses
        """Return the initialization for PCA of all samples of a stream.

        `rows` are some of the samples, scaled as in the spec, and `statistics` are those of all samples.
        """
        return pca

    _follows_pca = True  # whether this initialization exists, with linear maps

    def _freedom(self, spec):
        """Return how the internal code of one initialization may be aligned with another's: see `align_axes`."""
        return "sign" if spec.ordered else "rotation"

    @with_callbacks
    def _partial_fit(self, X, y, device, seed, first):
        raw = ArrayReader(X, may_miss=self._takes_missing)
        before = FeatureStatistics(self._categories) if first else copy.deepcopy(self._statistics)
        statistics = before.update(raw)
        statistics.link(self.loss, statistics.scale(self.scale))  # raises if X is outside the range of a likelihood
        X, missing = filled_chunk(self, raw, statistics, seed)
        if not first and self._spec.is_pca:
            rows = ScaledReader(X, statistics.mean, statistics.scale(self.scale), missing=missing)
            self._partial_fit_pca(rows, y, statistics, self._rescaled(rows, statistics), device, seed)
            return
        past = {} if first else self._stream if "usual" in (self._stream or ()) else self._stream_of_fit()
        before = past.get("usual")
        known = before if before is not None and before.n_rows >= FEW else None
        within = usual_range(ArrayReader(X), known, one_unit=self.scale != "standard")
        usual = (copy.deepcopy(before) or FeatureStatistics(self._categories)).update(raw, within=within)
        rows = ScaledReader(X, usual.mean, usual.scale(self.scale), missing=missing)
        usual.check_float32(rows.scale)
        is_new = first or self._needs_new_network(past, usual, rows)
        seed_of_stream = seed if first else self._settings["seed"]
        farthest = CLIP_AT**2 * (usual.variance * np.square(rows.per_unit)).sum()
        held_out, trained_on, near = hold_out(rows, past.get("held_out"), farthest, seed_of_stream)
        chunk = Chunk(X, statistics, usual, rows, held_out, trained_on, near, seed, first)
        spec = self._spec_in(chunk, is_new)
        if spec.is_pca:
            rows = chunk.scaled(statistics.mean, statistics.scale(self.scale))
            spec = replace(spec, **self._constants(statistics, rows.mean, rows.scale))
            self._partial_fit_pca(rows, y, statistics, spec, device, seed)
            return
        check_values(rows)
        settings = self._new_settings(len(rows), device, seed_of_stream, spec.n_components)
        batch_size = auto_stream_batch_size(len(rows)) if self.batch_size == "auto" else self.batch_size
        work = self._work_of_step(spec, min(batch_size, len(rows)))
        settings["mixed_precision"] = self._in_bfloat16(device, work)
        with torch_threads(work):
            pcas = self._pcas(chunk, past, spec)
            candidate = self._candidate(chunk, past, spec, pcas, is_new)
            self._train_on(chunk, y, past, candidate, pcas, settings, batch_size)

    def _partial_fit_pca(self, rows, y, statistics, spec, device, seed):
        """Update the closed-form solution with a chunk."""
        if self.__sklearn_is_fitted__():
            seed, old = self._settings["seed"], self._spec
            start = LinearInit.of_weights(self._weights, self.explained_variance_ / self._unit(old.scale) ** 2)
            start = updated_start(start, self.n_samples_, old.mean, old.scale, rows)
        else:
            start = self._common_start(rows, spec, seed)
        settings = self._new_settings(len(rows), device, seed, spec.n_components)
        with FitProgress(self, rows.X, y, 0, None):
            vars(self).update(self._at_start(rows, statistics, spec, settings, start, {}, {}))
            weigh_network(self, rows, seed)

    # State before a chunk --------------------------------------------------------------------------------------------

    def _stream_of_fit(self):
        """Return the state from which `partial_fit` continues after `fit`, with PCA recovered from the linear map."""
        spec, weights = self._spec, self._weights
        past = {"usual": self._statistics, "average": weights, "is_network": True, "is_fitted": True, **UNTRAINED}
        decoder = weights.get("decoder.extrapolation", weights.get("decoder.linear.weight"))
        if not spec.linear or not self._follows_pca:
            return past
        pca = LinearInit.of_decoder(decoder.astype(np.float64))
        kept = {"mean": pca.mean, "components": pca.components, "variance": pca.variance}
        past["pca"] = kept | {"center": spec.mean, "scale": spec.scale, "n_rows": self.n_samples_}
        return past | {"basis": pca.components, "unit": pca.unit, "followed": None}

    def _needs_new_network(self, past, usual, rows):
        """Return whether a new network is initialized: few samples were seen before, or many features were constant.

        With initialization from PCA of all samples, constant features don't matter. Otherwise a larger chunk is needed.
        """
        n_before, is_pca = past["usual"].n_rows, "pca" in past
        if past["is_fitted"] or len(rows) < 2:
            return False
        if n_before < SETTLED:
            return is_pca or len(rows) > n_before
        variance = usual.variance * np.square(rows.per_unit)
        has_new = variance[self._spec.scale == 0].sum() > NEW_FRACTION * variance.sum()
        return bool(has_new) and not is_pca and len(rows) >= SETTLED

    def _spec_in(self, chunk, is_new):
        """Return the spec of a network scaled like the samples of this chunk."""
        rows, statistics = chunk.rows, chunk.usual
        if not is_new:
            return replace(self._spec, **self._constants(statistics, rows.mean, rows.scale))
        if self._get_param("init") != "pca" or not self._follows_pca:  # layers are pretrained here, without outliers
            rows = chunk.part(chunk.trained_on, rows.mean, rows.scale)
        spec = replace(self._new_spec(rows, statistics, chunk.seed), has_missing_values=statistics.is_incomplete)
        keeps_size = spec.architecture is None or spec.architecture.dense_code
        if chunk.first or not keeps_size:
            return spec
        self.n_components_ = self._spec.n_components
        return replace(spec, sizes=self._spec.sizes, formula=self.module_params(statistics, spec.scale))

    def _constants(self, statistics, mean, scale):
        """Return the fields of a spec that depend on the scaling and on the statistics of the samples."""
        per_unit = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
        before = getattr(self, "_spec", None)  # None in the first chunk, if it is solved in closed form
        return {
            "mean": mean,
            "scale": scale,
            "spread": (np.sqrt(statistics.variance) + np.abs(statistics.mean - mean) / CLIP_AT) * per_unit,
            "link": statistics.link(self.loss, scale),
            "formula": self.module_params(FeatureStatisticsAbout(statistics, mean), scale),
            "bounds": still_bounds(before and before.bounds, statistics.low, statistics.high),
            "has_missing_values": statistics.is_incomplete,
        }

    def _with_new_scales(self, statistics):
        """Return the network's spec with scale factors for features that were constant until now."""
        old, scale = self._spec, statistics.scale(self.scale)
        if self.scale == "global" and old.scale.any():
            scale = np.where(scale > 0, old.scale.max(), 0.0)
        is_new = (old.scale == 0) & (scale > 0)
        new = self._constants(statistics, old.mean, np.where(is_new, scale, old.scale))
        new["spread"] = np.where(is_new, new["spread"], old.spread)
        if old.link is not None:
            new["link"] = tuple(np.where(is_new, now, was) for now, was in zip(new["link"], old.link, strict=True))
        return replace(old, **new)

    def _pcas(self, chunk, past, spec):
        """Return PCA of all samples and of those without outliers, by name; empty if networks don't start from PCA."""
        if not (spec.linear and self._follows_pca) or not (chunk.first or "pca" in past):
            return {}
        rows, k = chunk.rows, spec.n_components
        pcas = {"pca": _updated(past.get("pca"), rows, k, chunk.seed)}
        if len(chunk.near) == len(rows) and "near" not in past:
            return pcas  # they are the same
        before = past.get("near", past.get("pca"))
        if before is None and len(chunk.near) < 2:
            return pcas
        return pcas | {"near": _updated(before, rows.take(chunk.near), k, chunk.seed)}

    def _starts(self, chunk, spec, pcas):
        """Return the initialization, from PCA without outliers, and PCA of all samples, used instead of the network."""
        rows = chunk.rows
        some = rows if chunk.validation is None else chunk.compared(rows.mean, rows.scale)

        def start_of(name, statistics):
            pca = _start_in(pcas[name], spec.n_components)
            return broadcast_from_main(self._start_of_pca(pca, some, statistics, spec, chunk.seed))

        of_all = start_of("pca", chunk.statistics)
        return (start_of("near", chunk.usual) if "near" in pcas else of_all), of_all

    def _candidate(self, chunk, past, spec, pcas, is_new):
        """Return the network to train on this chunk: the current one, possibly updated with PCA, or a new one."""
        starts = self._starts(chunk, spec, pcas) if pcas else None
        if is_new:
            return self._new_candidate(chunk, spec, starts)
        old, rows = self._with_new_scales(chunk.usual), chunk.rows
        new = np.flatnonzero(old.scale != self._spec.scale)
        average, weights = (_without_features(past[name], new, old) for name in ("average", "weights"))
        candidates = [Candidate(old, average, {name: past[name] for name in TRAINED} | {"weights": weights})]
        in_place, basis = None, None  # the network is initialized again if PCA, or the mean, is significantly better
        if starts is not None:
            units = rows.mean, rows.scale, old.mean, old.scale
            basis, unit = past["basis"], past["unit"]
            if unit is not None:
                unit = unit * self._unit(old.scale) / self._unit(rows.scale)
            starts = [of.rotated(align_axes(basis, of.components, self._freedom(old))) for of in starts]
            identity, basis = np.eye(len(basis)), starts[0].components
            in_place, exact = (rescale_weights(of.rotated(identity, unit).weights(), *units) for of in starts)
            common = {"start": in_place, "exact": exact, "unit": past["unit"], "basis": basis}
            candidates = [replace(candidates[0], followed=past["followed"] or in_place, **common)]
            if not past["is_fitted"]:  # `fit` has trained the linear maps on all samples seen by then
                candidates.append(_updated_with_pca(candidates[0]))
        restarted = self._losses(chunk, old, in_place)
        losses = [self._losses(chunk, old, candidate.average) for candidate in candidates]
        best = -1 if chunk.validation is None or _significantly_less(losses[-1], losses[0]) else 0
        starts_again = chunk.validation is not None and _significantly_less(restarted, losses[best])
        best, starts_again = broadcast_from_main((best, starts_again))
        if not starts_again or (starts is None and len(rows) < SETTLED):
            return candidates[best]
        if starts is None:
            spec = self._spec_in(chunk, is_new=True)
        return self._new_candidate(chunk, spec, starts, self._spec.axes)

    def _new_candidate(self, chunk, spec, starts, axes=None):
        """Return a newly initialized network. If `axes` are given, only their unit changes."""
        own = None
        if starts is not None:
            own, of_all = starts
        elif self._has_start(spec):
            clip_at = CLIP_AT * spec.spread
            near = chunk.scaled(spec.mean, spec.scale, chunk.trained_on, clip_at=clip_at)
            own = self._common_start(near, spec, chunk.seed)
        if own is None:
            return Candidate(replace(spec, axes=None), None, UNTRAINED)
        new_axes = own.axes(self._unit(spec.scale), self._get_param("whiten"))
        if axes is not None and new_axes is not None:
            new_axes = (new_axes[0], *axes[1:])
        weights, common = own.weights(), {}
        if starts is not None:
            exact = weights
            if of_all is not own:
                turn = align_axes(own.components, of_all.components, self._freedom(spec))
                exact = of_all.rotated(turn, own.unit).weights()
            common = {"start": weights, "exact": exact, "followed": weights}
            common |= {"unit": own.unit, "basis": own.components}
        return Candidate(replace(spec, axes=new_axes), weights, UNTRAINED, **common)

    # Training on a chunk ---------------------------------------------------------------------------------------------

    def _train_on(self, chunk, y, past, candidate, pcas, settings, batch_size):
        spec, state, seed = candidate.spec, candidate.state, chunk.seed
        device = settings["device"]
        module = spec.build(self.module_class, candidate.average, seed=seed)
        before = read_weights(module)
        of_stream = settings | {"max_iter": None, "batch_size": batch_size, "seed": seed}
        net = make_net([module], **of_stream | {"callbacks": copy_callbacks(self.callbacks)})
        average = StreamAverage() if state["weights"] is None else load_stream(net, state)
        rows = chunk.scaled(spec.mean, spec.scale)
        near = chunk.scaled(spec.mean, spec.scale, clip_at=CLIP_AT * spec.spread)
        dataset = IndexedDataset(near.on_device(device), [chunk.trained_on], near)
        curves = {} if chunk.first else self._curves

        def attributes_now(module, exact=None, kept_net=None):
            epoch, now = len(curves.get("train_loss", ())) + 1, read_curves(net)
            joined = {
                name: np.append(curves.get(name, ()), curve) for name, curve in now.items() if "_best" not in name
            }
            outcome = TrainingResult(epoch=epoch, module=module, curves=joined, weights=exact or {}, net=kept_net)
            return self._trained(rows, chunk.statistics, spec, settings, outcome, axes=spec.axes)

        with FitProgress(self, chunk.X, y, 1, attributes_now) as progress:
            net.train(dataset, [("average", average), ("progress", progress)], epochs=1)
            state = read_stream(net)
            average.load(net)
            after = read_weights(module)
            losses = [self._losses(chunk, spec, weights) for weights in (before, after, state["weights"])]
            lost = net.processes_.any(not is_sound(net)) or not _is_sound(losses, self._losses(chunk, spec, None))
            if broadcast_from_main(lost):
                kept = "network stays at its initialization" if chunk.first else "estimator is as before the chunk"
                warn_of_divergence(f"this chunk: the loss was not finite, or far above its initial value. The {kept}.")
                if not chunk.first:
                    return
            if broadcast_from_main(lost or (chunk.validation is not None and _significantly_less(*losses[:2]))):
                after, state, losses[1] = before, candidate.state, losses[0]
            network = {"average": after, **{name: state[name] for name in TRAINED}}
            is_network = self._uses_network(chunk, past, candidate, losses[1])
            exact = None if is_network else candidate.exact  # outliers may put the mean beyond the range of float32
            load_weights(module, after if is_network else self._pca_weights(candidate))
            stream = {
                **network,
                "usual": chunk.usual,
                "held_out": chunk.held_out,
                **pcas,
                "followed": candidate.followed,
                "unit": candidate.unit,
                "basis": candidate.basis,
                "is_fitted": past.get("is_fitted", False),
                "is_network": is_network,
            }
            vars(self).update(attributes_now(module, exact, net), _stream=canonical(stream))
            weigh_network(self, rows if chunk.validation is None else chunk.compared(rows.mean, rows.scale), seed)

    def _uses_network(self, chunk, past, candidate, losses):
        """Return whether to use the network instead of PCA: if significantly better, or from `fit` and not worse."""
        if candidate.start is None:
            return True
        stays = past.get("is_fitted", False) and past["is_network"]
        if chunk.validation is None:
            return stays
        of_pca = self._losses(chunk, candidate.spec, candidate.exact)
        is_worse, is_better = _significantly_less(of_pca, losses), _significantly_less(losses, of_pca)
        return broadcast_from_main(is_better or (stays and not is_worse))

    def _pca_weights(self, candidate):
        """Return the weights of the network when it is initialized from PCA of all samples."""
        return without_bounds(read_weights(candidate.spec.build(self.module_class, candidate.exact)))

    def _losses(self, chunk, spec, weights):
        """Return the loss of each validation sample, (n,); with weights=None, that of the mean of the samples."""
        rows = chunk.compared(spec.mean, spec.scale)
        x, wanted = (torch.tensor(some.read(slice(None))) for some in (rows, rows.there))
        module = spec.build(self.module_class, weights, torch.float64)
        module.generator = torch.Generator().manual_seed(chunk.seed)
        with isolated_rng(chunk.seed), torch.no_grad():
            if weights is None:
                return module.reconstruction(torch.zeros_like(x), wanted, x).numpy()
            terms = module.losses(x, target=None if rows.missing is None else wanted)
        return sum(term.expand(len(x)) for term in terms.values()).numpy()


def _start_in(pca, n_components):
    return LinearInit.of(pca["mean"], pca["components"], pca["variance"], n_components)


def _updated(pca, rows, n_components, seed):
    """Update the PCA of samples seen before, if any, with new samples, in the units of the latter."""
    if pca is None:
        start, n_before = linear_init(rows, n_components, seed), 0
    else:
        n_before = pca["n_rows"]
        start = updated_start(_start_in(pca, n_components), n_before, pca["center"], pca["scale"], rows)
    start = broadcast_from_main(start)
    kept = {"mean": start.mean, "components": start.components, "variance": start.variance}
    return kept | {"center": rows.mean, "scale": rows.scale, "n_rows": n_before + len(rows)}


def _is_sound(losses, of_mean):
    """Return whether no later loss is far above the first one and above that of the mean of the samples."""
    first, *later = [of_one.mean() for of_one in losses]
    with np.errstate(invalid="ignore"):
        return all(of_one <= first + DIVERGENCE_FACTOR * (abs(first) + abs(of_mean.mean())) for of_one in later)


def _significantly_less(losses, others):
    """Return whether losses are significantly below others of the same samples, except for outlying samples."""
    if not np.isfinite(others).all():
        return bool(np.isfinite(losses).all())
    if not np.isfinite(losses).all():
        return False
    return bool(lower_confidence_bound(clip_tails((others - losses)[:, None]))[0] > 0)


def _without_features(weights, features, spec):
    """Return the weights of a dense network that ignores features not seen yet and reconstructs them as zero."""
    if weights is None or not len(features) or spec.architecture is not None:
        return weights
    weights = {name: value.copy() for name, value in weights.items()}
    layers = [name.removesuffix(".weight") for name in weights if name.endswith(".weight") and ".linear." not in name]
    first = [name for name in layers if name.startswith("encoder.")][:1]
    last = [name for name in layers if name.startswith("decoder.")][-1:]
    for name in first:
        weights[f"{name}.weight"][:, features] = 0
    for name in last:
        weights[f"{name}.weight"][features] = 0
        weights[f"{name}.bias"][features] = 0
    return weights


def _updated_with_pca(candidate):
    """Return the same network with the change of PCA added to its linear maps."""
    linear = {name: now for name, now in candidate.start.items() if ".linear." in name or ".extrapolation" in name}
    moved = {name: now - candidate.followed[name] for name, now in linear.items()}

    def by(weights):
        return weights and {
            name: (value + moved[name]).astype(value.dtype) if name in moved else value
            for name, value in weights.items()
        }

    state = candidate.state | {"weights": by(candidate.state["weights"])}
    return replace(candidate, average=by(candidate.average), state=state, followed=candidate.start)
