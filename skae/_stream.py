"""Streams: how `partial_fit` goes on from chunk to chunk.

A network is scaled once, when it starts, so that what it computes never changes with the scale of later samples. Beside
it stands scikit-learn's `IncrementalPCA` of all samples seen. Some samples are held out from the network: on them it is
compared with PCA, which is what users get while the network is not surely better, and where a network starts again that
was left behind.
"""

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from skae._chunk import Chunk, check_cells, hold_out_of
from skae._data.bounds import still_bounds
from skae._data.readers import ArrayReader, ScaledReader
from skae._data.statistics import FEW, FeatureStatistics, FeatureStatisticsAbout, usual_range
from skae._defaults import CLIP_AT, auto_stream_batch_size
from skae._imputation import filled_chunk, weigh_network
from skae._layout import canonical
from skae._pca import LinearInit, in_other_units, linear_init, turn_towards, updated_start
from skae._seeds import isolated_rng
from skae._spec import ModuleSpec, load_weights, read_weights, without_bounds
from skae._threads import torch_threads
from skae._training.callbacks import StreamAverage, is_sound, warn_of_divergence
from skae._training.data import IndexedDataset
from skae._training.distributed import broadcast_from_main
from skae._training.make import make_net
from skae._training.net import FAR
from skae._training.progress import FitProgress, with_callbacks
from skae._training.selection import lower_confidence_bound
from skae._training.state import load_stream, read_curves, read_stream
from skae._training.train import TrainingResult
from skae._training.users import copy_callbacks

SETTLED = 64  # samples: while fewer have been seen, the next chunk starts the network anew
MAX_GAIN = 5.0  # medians
NEW_SHARE = 0.1  # of the variance, in features that a network has not seen
TRAINED = ("weights", "optimizer", "steps_done")  # what a network goes on from, beside the average of its weights
UNTRAINED = {"weights": None, "optimizer": {}, "steps_done": 0}


@dataclass(frozen=True)
class Candidate:
    """A network that a chunk may be trained on.

    Attributes
    ----------
    spec : ModuleSpec

    average : dict of str to ndarray
        Its weights, averaged over the last steps.

    state : dict
        "weights" as they are, the "optimizer"'s moments and "steps_done"; `UNTRAINED` for a new one.

    start, exact : dict of str to ndarray, or None
        The weights of PCA in its place: of the samples that are not far out, and of all.

    followed : dict of str to ndarray, or None
        The same as it was when its linear maps last moved with PCA.

    unit, basis : ndarray or None
        Units and principal axes of the inner code, (k,) and (k, d).
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
    """The part of `AutoencoderCore` that trains chunk after chunk."""

    n_components_: int

    def _start_of_pca(self, pca, rows, statistics, spec, seed):  # noqa: ARG002 - a variant's
        """Where training starts, for PCA of all samples of a stream.

        `rows` are some of them, scaled as the spec says, and `statistics` those of all.
        """
        return pca

    _follows_pca = True  # whether there is such a start, with linear maps

    def _freedom(self, spec):
        """By what the inner code of one start may be turned towards that of another: see `turn_towards`."""
        return "sign" if spec.ordered else "rotation"

    @with_callbacks
    def _partial_fit(self, X, y, device, seed, first):
        as_it_is = ArrayReader(X, may_miss=self._takes_missing)
        before = FeatureStatistics(self._categories) if first else copy.deepcopy(self._statistics)
        statistics = before.update(as_it_is)
        statistics.link(self.loss, statistics.scale(self.scale))  # refuses what is not in the range of a likelihood
        X, missing = filled_chunk(self, as_it_is, statistics, seed)
        if not first and self._spec.is_pca:
            rows = ScaledReader(X, statistics.mean, statistics.scale(self.scale), missing=missing)
            self._partial_fit_pca(rows, y, statistics, self._rescaled(rows, statistics), device, seed)
            return
        past = {} if first else self._stream if "usual" in (self._stream or ()) else self._stream_of_fit()
        before = past.get("usual")
        known = before if before is not None and before.n_rows >= FEW else None
        within = usual_range(ArrayReader(X), known, one_unit=self.scale != "standard")
        usual = (copy.deepcopy(before) or FeatureStatistics(self._categories)).update(as_it_is, within=within)
        rows = ScaledReader(X, usual.mean, usual.scale(self.scale), missing=missing)
        usual.check_float32(rows.scale)
        anew = first or self._starts_anew(past, usual, rows)
        seed_of_stream = seed if first else self._settings["seed"]
        farthest = CLIP_AT**2 * (usual.variance * np.square(rows.per_unit)).sum()
        held_out, trained_on, near = hold_out_of(rows, past.get("held_out"), farthest, seed_of_stream)
        chunk = Chunk(X, statistics, usual, rows, held_out, trained_on, near, seed, first)
        spec = self._spec_in(chunk, anew)
        if spec.is_pca:
            rows = chunk.scaled(statistics.mean, statistics.scale(self.scale))
            spec = replace(spec, **self._constants(statistics, rows.mean, rows.scale))
            self._partial_fit_pca(rows, y, statistics, spec, device, seed)
            return
        check_cells(rows)
        settings = self._new_settings(len(rows), device, seed_of_stream, spec.n_components)
        batch_size = auto_stream_batch_size(len(rows)) if self.batch_size == "auto" else self.batch_size
        work = self._work_of_step(spec, min(batch_size, len(rows)))
        settings["mixed_precision"] = self._in_bfloat16(device, work)
        with torch_threads(work):
            pcas = self._pcas(chunk, past, spec)
            candidate = self._candidate(chunk, past, spec, pcas, anew)
            self._train_on(chunk, y, past, candidate, pcas, settings, batch_size)

    def _partial_fit_pca(self, rows, y, statistics, spec, device, seed):
        """Go on from chunk to chunk in closed form."""
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

    # What a chunk meets ----------------------------------------------------------------------------------------------

    def _stream_of_fit(self):
        """What `partial_fit` goes on from after `fit`: PCA is read back from the linear map that was its start."""
        spec, weights = self._spec, self._weights
        past = {"usual": self._statistics, "average": weights, "is_network": True, "is_fitted": True, **UNTRAINED}
        decoder = weights.get("decoder.far", weights.get("decoder.linear.weight"))
        if not spec.linear or not self._follows_pca:
            return past
        pca = LinearInit.of_decoder(decoder.astype(np.float64))
        kept = {"mean": pca.mean, "components": pca.components, "variance": pca.variance}
        past["pca"] = kept | {"center": spec.mean, "scale": spec.scale, "n_rows": self.n_samples_}
        return past | {"basis": pca.components, "unit": pca.unit, "followed": None}

    def _starts_anew(self, past, usual, rows):
        """Whether too little was seen before to have started a network: few samples, or many features that were constant.

        Where PCA of all samples is the start, the latter don't matter. Elsewhere a larger chunk is waited for.
        """
        n_before, is_pca = past["usual"].n_rows, "pca" in past
        if past["is_fitted"] or len(rows) < 2:
            return False
        if n_before < SETTLED:
            return is_pca or len(rows) > n_before
        share = usual.variance * np.square(rows.per_unit)
        woken = share[self._spec.scale == 0].sum() > NEW_SHARE * share.sum()
        return bool(woken) and not is_pca and len(rows) >= SETTLED

    def _spec_in(self, chunk, anew):
        """The spec of a network that is scaled as the samples of this chunk."""
        rows, statistics = chunk.rows, chunk.usual
        if not anew:
            return replace(self._spec, **self._constants(statistics, rows.mean, rows.scale))
        if self._asked("init") != "pca" or not self._follows_pca:  # layers are trained now, on what is not far
            rows = chunk.part(chunk.trained_on, rows.mean, rows.scale)
        spec = replace(self._new_spec(rows, statistics, chunk.seed), has_holes=statistics.is_incomplete)
        keeps_size = spec.architecture is None or spec.architecture.dense_code
        if chunk.first or not keeps_size:
            return spec
        self.n_components_ = self._spec.n_components
        return replace(spec, sizes=self._spec.sizes, formula=self.module_params(statistics, spec.scale))

    def _constants(self, statistics, mean, scale):
        """What the spec of a network holds that is scaled so, of samples with these moments."""
        per_unit = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
        before = getattr(self, "_spec", None)  # none in the first chunk, if that is solved
        return {
            "mean": mean,
            "scale": scale,
            "spread": (np.sqrt(statistics.variance) + np.abs(statistics.mean - mean) / CLIP_AT) * per_unit,
            "link": statistics.link(self.loss, scale),
            "formula": self.module_params(FeatureStatisticsAbout(statistics, mean), scale),
            "bounds": still_bounds(before and before.bounds, statistics.low, statistics.high),
            "has_holes": statistics.is_incomplete,
        }

    def _woken(self, statistics):
        """The network's own spec, in which features that had no scale until now have one."""
        old, scale = self._spec, statistics.scale(self.scale)
        if self.scale == "global" and old.scale.any():
            scale = np.where(scale > 0, old.scale.max(), 0.0)
        woken = (old.scale == 0) & (scale > 0)
        new = self._constants(statistics, old.mean, np.where(woken, scale, old.scale))
        new["spread"] = np.where(woken, new["spread"], old.spread)
        if old.link is not None:
            new["link"] = tuple(np.where(woken, now, was) for now, was in zip(new["link"], old.link, strict=True))
        return replace(old, **new)

    def _pcas(self, chunk, past, spec):
        """PCA of all samples by `IncrementalPCA`, and of those not far out, by name; none where it is no start."""
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
        """Where training would start now, and what is shown in the network's place: of samples not far out, and of all."""
        rows = chunk.rows
        some = rows if chunk.judges is None else chunk.judged(rows.mean, rows.scale)

        def start_of(name, statistics):
            pca = _start_in(pcas[name], spec.n_components)
            return broadcast_from_main(self._start_of_pca(pca, some, statistics, spec, chunk.seed))

        of_all = start_of("pca", chunk.statistics)
        return (start_of("near", chunk.usual) if "near" in pcas else of_all), of_all

    def _candidate(self, chunk, past, spec, pcas, anew):
        """The network that this chunk is trained on: the one there is, maybe moved with PCA, or a new one."""
        starts = self._starts(chunk, spec, pcas) if pcas else None
        if anew:
            return self._new_candidate(chunk, spec, starts)
        old, rows = self._woken(chunk.usual), chunk.rows
        woken = np.flatnonzero(old.scale != self._spec.scale)
        average, weights = (_without(past[name], woken, old) for name in ("average", "weights"))
        candidates = [Candidate(old, average, {name: past[name] for name in TRAINED} | {"weights": weights})]
        in_place, basis = None, None  # what is surely better makes the network start again: PCA, or the mean
        if starts is not None:
            units = rows.mean, rows.scale, old.mean, old.scale
            basis, unit = past["basis"], past["unit"]
            if unit is not None:
                unit = unit * self._unit(old.scale) / self._unit(rows.scale)
            starts = [of.turned(turn_towards(basis, of.components, self._freedom(old))) for of in starts]
            identity, basis = np.eye(len(basis)), starts[0].components
            in_place, exact = (in_other_units(of.turned(identity, unit).weights(), *units) for of in starts)
            common = {"start": in_place, "exact": exact, "unit": past["unit"], "basis": basis}
            candidates = [replace(candidates[0], followed=past["followed"] or in_place, **common)]
            if not past["is_fitted"]:  # the linear maps of a fit have been trained on all samples by then
                candidates.append(_moved(candidates[0]))
        rival = self._losses(chunk, old, in_place)
        losses = [self._losses(chunk, old, candidate.average) for candidate in candidates]
        best = -1 if chunk.judges is None or _surely_less(losses[-1], losses[0]) else 0
        starts_again = chunk.judges is not None and _surely_less(rival, losses[best])
        best, starts_again = broadcast_from_main((best, starts_again))
        if not starts_again or (starts is None and len(rows) < SETTLED):
            return candidates[best]
        if starts is None:
            spec = self._spec_in(chunk, anew=True)
        return self._new_candidate(chunk, spec, starts, self._spec.axes)

    def _new_candidate(self, chunk, spec, starts, axes=None):
        """A network at its start. Of axes that are given, only the unit changes."""
        own = None
        if starts is not None:
            own, of_all = starts
        elif self._has_start(spec):
            clip_at = CLIP_AT * spec.spread
            near = chunk.scaled(spec.mean, spec.scale, chunk.trained_on, clip_at=clip_at)
            own = self._common_start(near, spec, chunk.seed)
        if own is None:
            return Candidate(replace(spec, axes=None), None, UNTRAINED)
        new_axes = own.axes(self._unit(spec.scale), self._asked("whiten"))
        if axes is not None and new_axes is not None:
            new_axes = (new_axes[0], *axes[1:])
        weights, common = own.weights(), {}
        if starts is not None:
            exact = weights
            if of_all is not own:
                turn = turn_towards(own.components, of_all.components, self._freedom(spec))
                exact = of_all.turned(turn, own.unit).weights()
            common = {"start": weights, "exact": exact, "followed": weights}
            common |= {"unit": own.unit, "basis": own.components}
        return Candidate(replace(spec, axes=new_axes), weights, UNTRAINED, **common)

    # Training on it --------------------------------------------------------------------------------------------------

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
                kept = (
                    "The network is left at its start."
                    if chunk.first
                    else "The estimator is as it was before the chunk."
                )
                warn_of_divergence(f"this chunk: the loss was not finite, or far above where it began. {kept}")
                if not chunk.first:
                    return  # all is as it was before
            if broadcast_from_main(lost or (chunk.judges is not None and _surely_less(losses[0], losses[1]))):
                after, state, losses[1] = before, candidate.state, losses[0]
            network = {"average": after, **{name: state[name] for name in TRAINED}}
            is_network = self._is_shown(chunk, past, candidate, losses[1])
            exact = None if is_network else candidate.exact  # the mean of an outlier's samples is beyond a float32
            load_weights(module, after if is_network else self._blank(candidate))
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
            weigh_network(self, rows if chunk.judges is None else chunk.judged(rows.mean, rows.scale), seed)

    def _is_shown(self, chunk, past, candidate, losses):
        """Whether users get the network, and not PCA: only if it is surely better, or was fitted and is not worse."""
        if candidate.start is None:
            return True
        stays = past.get("is_fitted", False) and past["is_network"]
        if chunk.judges is None:
            return stays
        of_pca = self._losses(chunk, candidate.spec, candidate.exact)
        return broadcast_from_main(_surely_less(losses, of_pca) or (stays and not _surely_less(of_pca, losses)))

    def _blank(self, candidate):
        """Weights of the network as PCA of all samples would start it."""
        return without_bounds(read_weights(candidate.spec.build(self.module_class, candidate.exact)))

    def _losses(self, chunk, spec, weights):
        """Loss of each sample that networks are compared by, (n,); weights of None stand for the mean of the samples."""
        rows = chunk.judged(spec.mean, spec.scale)
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
    """What is kept of the PCA of samples seen before, if any, and of more, in the units of these."""
    if pca is None:
        start, n_before = linear_init(rows, n_components, seed), 0
    else:
        n_before = pca["n_rows"]
        start = updated_start(_start_in(pca, n_components), n_before, pca["center"], pca["scale"], rows)
    start = broadcast_from_main(start)
    kept = {"mean": start.mean, "components": start.components, "variance": start.variance}
    return kept | {"center": rows.mean, "scale": rows.scale, "n_rows": n_before + len(rows)}


def _is_sound(losses, blank):
    """Whether no later losses of the same samples are far above the first, and above those of their mean."""
    first, *later = [of_one.mean() for of_one in losses]
    with np.errstate(invalid="ignore"):
        return all(of_one <= first + FAR * (abs(first) + abs(blank.mean())) for of_one in later)


def _surely_less(losses, others):
    """Whether losses of samples are surely below others of the same samples.

    A gain counts no more than some times the median one: a few samples that lie elsewhere don't decide for all.
    """
    if not np.isfinite(others).all():
        return bool(np.isfinite(losses).all())
    if not np.isfinite(losses).all():
        return False
    gain = others - losses
    most = MAX_GAIN * np.median(np.abs(gain))
    return bool(lower_confidence_bound(gain.clip(-most, most)[:, None])[0] > 0)


def _without(weights, features, spec):
    """Weights of a dense network that takes no notice of features that it has not seen yet, and gives none back."""
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


def _moved(candidate):
    """The same network with linear maps that have moved as PCA has."""
    linear = {name: now for name, now in candidate.start.items() if ".linear." in name or ".far" in name}
    moved = {name: now - candidate.followed[name] for name, now in linear.items()}

    def by(weights):
        return weights and {
            name: (value + moved[name]).astype(value.dtype) if name in moved else value
            for name, value in weights.items()
        }

    state = candidate.state | {"weights": by(candidate.state["weights"])}
    return replace(candidate, average=by(candidate.average), state=state, followed=candidate.start)
