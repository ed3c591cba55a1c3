"""Streams: how `partial_fit` goes on from chunk to chunk.

A network is scaled once, when it starts, so that what it computes never changes with the scale of later rows. Beside it
stands scikit-learn's `IncrementalPCA` of all rows seen. Some rows are held out from the network: on them it is compared
with PCA, which is what users get while the network is not surely better, and where a network starts again that was left
behind.
"""

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from skae._batches import RowDataset
from skae._blueprint import Blueprint, load_weights, read_weights
from skae._callbacks import Epochs, with_callbacks
from skae._chunk import LEAST_JUDGES, Chunk, hold_out_of
from skae._defaults import LIMIT, auto_stream_batch_size
from skae._distributed import of_first
from skae._layout import canonical
from skae._pca import LinearStart, in_other_units, linear_start, turn_towards, updated_start
from skae._rows import Rows, ScaledRows
from skae._scaling import FEW, Moments, MomentsAbout, usual_range
from skae._seeds import isolated_rng
from skae._selection import Outcome, lower_bound
from skae._threads import torch_threads
from skae._training import load_average, make_net, read_curves, read_stream, train, warn_of_lost_chunk, write_stream
from skae.nn import Siblings

SETTLED = 64  # rows: while fewer have been seen, the next chunk starts the network anew
NEW_SHARE = 0.1  # of the variance, in features that a network has not seen
TRAINED = ("weights", "optimizer", "steps_done")  # what a network goes on from, beside the average of its weights
UNTRAINED = {"weights": None, "optimizer": {}, "steps_done": 0}


@dataclass(frozen=True)
class Candidate:
    """A network that a chunk may be trained on.

    Attributes
    ----------
    blueprint : Blueprint

    average : dict of str to ndarray
        Its weights, averaged over the last steps.

    state : dict
        "weights" as they are, the "optimizer"'s moments and "steps_done"; `UNTRAINED` for a new one.

    start : dict of str to ndarray, or None
        The weights of PCA of all rows in its place.

    followed : dict of str to ndarray, or None
        The same as it was when its linear maps last moved with PCA.

    unit, basis : ndarray or None
        Units and principal axes of the inner code, (k,) and (k, d).
    """

    blueprint: Blueprint
    average: dict[str, np.ndarray] | None
    state: dict[str, Any]
    start: dict[str, np.ndarray] | None = None
    followed: dict[str, np.ndarray] | None = None
    unit: np.ndarray | None = None
    basis: np.ndarray | None = None


class StreamMixin:
    """The part of `BaseAutoencoder` that trains chunk after chunk."""

    def _start_of_pca(self, pca, rows, moments, blueprint, seed):  # noqa: ARG002 - a variant's
        """Where training starts, for PCA of all rows of a stream.

        `rows` are some of them, scaled as the blueprint says, and `moments` those of all.
        """
        return pca

    _follows_pca = True  # whether there is such a start, with linear maps

    def _freedom(self, blueprint):
        """By what the inner code of one start may be turned towards that of another: see `turn_towards`."""
        return "sign" if blueprint.ordered else "rotation"

    @with_callbacks
    def _partial_fit(self, X, y, device, seed, first):
        moments = (Moments() if first else copy.deepcopy(self._moments)).update(Rows(X))
        moments.link(self.loss, moments.scale(self.scale))  # refuses what is not in the range of a likelihood
        if not first and self._blueprint.is_pca:
            rows = ScaledRows(X, moments.mean, moments.scale(self.scale))
            self._partial_fit_pca(rows, y, moments, self._rescaled(rows, moments), device, seed)
            return
        past = {} if first else self._stream if "usual" in (self._stream or ()) else self._stream_of_fit()
        before = past.get("usual")
        known = before if before is not None and before.n_rows >= FEW else None
        within = usual_range(Rows(X), known, one_unit=self.scale != "standard")
        usual = (copy.deepcopy(before) or Moments()).update(Rows(X), within)
        rows = ScaledRows(X, usual.mean, usual.scale(self.scale))
        usual.check_float32(rows.scale)
        anew = first or self._starts_anew(past, usual, rows)
        seed_of_stream = seed if first else self._settings["seed"]
        farthest = LIMIT**2 * (usual.variance * np.square(rows.per_unit)).sum()
        held_out, trained_on = hold_out_of(rows, past.get("held_out"), farthest, seed_of_stream)
        chunk = Chunk(X, moments, usual, rows, held_out, trained_on, seed, first)
        blueprint = self._blueprint_in(chunk, anew)
        if blueprint.is_pca:
            rows = ScaledRows(X, moments.mean, moments.scale(self.scale))
            blueprint = replace(blueprint, **self._constants(moments, rows.mean, rows.scale))
            self._partial_fit_pca(rows, y, moments, blueprint, device, seed)
            return
        settings = self._new_settings(len(rows), device, seed_of_stream, blueprint.n_components)
        pca = self._pca_of_stream(chunk, past, blueprint)
        candidate = self._candidate(chunk, past, blueprint, pca, anew)
        self._train_on(chunk, y, past, candidate, pca, settings)

    def _partial_fit_pca(self, rows, y, moments, blueprint, device, seed):
        """Go on from chunk to chunk in closed form."""
        if self.__sklearn_is_fitted__():
            seed, old = self._settings["seed"], self._blueprint
            start = LinearStart.of_weights(self._weights, self.explained_variance_ / self._unit(old.scale) ** 2)
            start = updated_start(start, self.n_samples_, old.mean, old.scale, rows)
        else:
            start = self._common_start(rows, blueprint, seed)
        settings = self._new_settings(len(rows), device, seed, blueprint.n_components)
        with Epochs(self, rows.X, y, 0, None):
            vars(self).update(self._at_start(rows, moments, blueprint, settings, start, {}, {}))

    # What a chunk meets ----------------------------------------------------------------------------------------------

    def _stream_of_fit(self):
        """What `partial_fit` goes on from after `fit`: PCA is read back from the linear map that was its start."""
        blueprint, weights = self._blueprint, self._weights
        past = {"usual": self._moments, "average": weights, "is_network": True, "is_fitted": True, **UNTRAINED}
        decoder = weights.get("decoder.far", weights.get("decoder.linear.weight"))
        if not blueprint.linear or not self._follows_pca:
            return past
        pca = LinearStart.of_decoder(decoder.astype(np.float64))
        kept = {"mean": pca.mean, "components": pca.components, "variance": pca.variance}
        past["pca"] = kept | {"center": blueprint.mean, "scale": blueprint.scale}
        return past | {"basis": pca.components, "unit": pca.unit, "followed": None}

    def _starts_anew(self, past, usual, rows):
        """Whether too little was seen before to have started a network: few rows, or many features that were constant.

        Where PCA of all rows is the start, the latter don't matter. Elsewhere a larger chunk is waited for.
        """
        n_before, is_pca = past["usual"].n_rows, past.get("pca") is not None
        if past["is_fitted"] or len(rows) < 2:
            return False
        if n_before < SETTLED:
            return is_pca or len(rows) > n_before
        share = usual.variance * np.square(rows.per_unit)
        woken = share[self._blueprint.scale == 0].sum() > NEW_SHARE * share.sum()
        return bool(woken) and not is_pca and len(rows) >= SETTLED

    def _blueprint_in(self, chunk, anew):
        """The blueprint of a network that is scaled as the rows of this chunk."""
        rows, moments = chunk.rows, chunk.usual
        if not anew:
            return replace(self._blueprint, **self._constants(moments, rows.mean, rows.scale))
        if not (self.init == "pca" and self._follows_pca):  # layers that are trained now are trained on what is not far
            rows = ScaledRows(chunk.X[chunk.trained_on], rows.mean, rows.scale)
        blueprint = self._new_blueprint(rows, moments, chunk.seed)
        keeps_size = blueprint.architecture is None or blueprint.architecture.dense_code
        return blueprint if chunk.first or not keeps_size else replace(blueprint, sizes=self._blueprint.sizes)

    def _constants(self, moments, mean, scale):
        """What the blueprint of a network holds that is scaled so, of rows with these moments."""
        per_unit = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
        return {
            "mean": mean,
            "scale": scale,
            "spread": (np.sqrt(moments.variance) + np.abs(moments.mean - mean) / LIMIT) * per_unit,
            "link": moments.link(self.loss, scale),
            "formula": self._formula(MomentsAbout(moments, mean), scale),
        }

    def _widened(self, moments):
        """The network's own blueprint, with a scale for features that had none, and wider limits if rows ask for it."""
        old, scale = self._blueprint, moments.scale(self.scale)
        if self.scale == "global" and old.scale.any():
            scale = np.where(scale > 0, old.scale.max(), 0.0)
        woken = (old.scale == 0) & (scale > 0)
        new = self._constants(moments, old.mean, np.where(woken, scale, old.scale))
        new["spread"] = np.maximum(old.spread, new["spread"])
        if old.link is not None:
            new["link"] = tuple(np.where(woken, now, was) for now, was in zip(new["link"], old.link, strict=True))
        return replace(old, **new)

    def _pca_of_stream(self, chunk, past, blueprint):
        """PCA of all rows by `IncrementalPCA`, scaled as those of this chunk; None if no start is made of it."""
        rows, old = chunk.rows, past.get("pca")
        if old is not None:
            start = LinearStart.of(old["mean"], old["components"], old["variance"], blueprint.n_components)
            return of_first(updated_start(start, past["usual"].n_rows, old["center"], old["scale"], rows))
        if not (chunk.first and blueprint.linear and self._follows_pca):
            return None
        return of_first(linear_start(rows, blueprint.n_components, chunk.seed))

    def _candidate(self, chunk, past, blueprint, pca, anew):
        """The network that this chunk is trained on: the one there is, maybe moved with PCA, or a new one."""
        start, rows = None, chunk.rows
        if pca is not None:
            some = rows if chunk.judges is None else ScaledRows(chunk.judges, rows.mean, rows.scale)
            start = of_first(self._start_of_pca(pca, some, chunk.moments, blueprint, chunk.seed))
        if anew:
            return self._new_candidate(chunk, blueprint, start)
        if start is not None:
            turn = turn_towards(past["basis"], start.components, self._freedom(blueprint))
            start = start.turned(turn)
        old = self._widened(chunk.usual)
        candidates = [Candidate(old, past["average"], {name: past[name] for name in TRAINED})]
        rival = None  # what is surely better makes the network start again
        if start is not None:
            unit = (
                past["unit"] if past["unit"] is None else past["unit"] * self._unit(old.scale) / self._unit(rows.scale)
            )
            now = start.turned(np.eye(len(turn)), unit)
            in_place = in_other_units(now.weights(), rows.mean, rows.scale, old.mean, old.scale)
            common = {"start": in_place, "unit": past["unit"], "basis": start.components}
            candidates = [replace(candidates[0], followed=past["followed"] or in_place, **common)]
            if not past["is_fitted"]:  # the linear maps of a fit have been trained on all rows by then
                candidates.append(_moved(candidates[0]))
            rival = self._losses(chunk, old, in_place)
        else:
            rival = self._losses(chunk, old, None)
        losses = [self._losses(chunk, old, candidate.average) for candidate in candidates]
        best = -1 if chunk.judges is None or _surely_less(losses[-1], losses[0]) else 0
        starts_again = chunk.judges is not None and _surely_less(rival, losses[best])
        best, starts_again = of_first((best, starts_again))
        if not starts_again or (start is None and len(rows) < SETTLED):
            return candidates[best]
        if start is None:
            blueprint = self._blueprint_in(chunk, anew=True)
        return self._new_candidate(chunk, blueprint, start, self._blueprint.axes)

    def _new_candidate(self, chunk, blueprint, start, axes=None):
        """A network at its start. Of axes that are given, only the unit changes."""
        own = start
        if start is None and self._has_start(blueprint):
            limit = LIMIT * blueprint.spread
            near = ScaledRows(chunk.X, blueprint.mean, blueprint.scale, chunk.trained_on, limit)
            own = self._common_start(near, blueprint, chunk.seed)
        if own is None:
            return Candidate(replace(blueprint, axes=None), None, UNTRAINED)
        new_axes = own.axes(self._unit(blueprint.scale), self.whiten)
        if axes is not None and new_axes is not None:
            new_axes = (new_axes[0], *axes[1:])
        weights = own.weights()
        common = (
            {} if start is None else {"start": weights, "followed": weights, "unit": own.unit, "basis": own.components}
        )
        return Candidate(replace(blueprint, axes=new_axes), weights, UNTRAINED, **common)

    # Training on it --------------------------------------------------------------------------------------------------

    def _train_on(self, chunk, y, past, candidate, pca, settings):
        blueprint, state, seed = candidate.blueprint, candidate.state, chunk.seed
        device, n_rows = settings["device"], len(chunk.rows)
        batch_size = auto_stream_batch_size(n_rows) if self.batch_size == "auto" else self.batch_size
        module = blueprint.build(self._module_class, candidate.average, seed=seed)
        before = read_weights(module)
        net = make_net(
            Siblings([module], device),
            n_rows,
            **settings | {"max_iter": None, "batch_size": batch_size, "seed": seed},
        )
        if state["weights"] is not None:
            write_stream(net, state)
        rows = ScaledRows(chunk.X, blueprint.mean, blueprint.scale)
        near = ScaledRows(chunk.X, blueprint.mean, blueprint.scale, limit=LIMIT * blueprint.spread)
        dataset = RowDataset(near.on_device(device), [chunk.trained_on])
        curves = {} if chunk.first else self._curves

        def attributes_now(module, exact=None):
            epoch, now = len(curves.get("train_loss", ())) + 1, read_curves(net)
            joined = {name: np.append(curves.get(name, ()), curve[:, 0]) for name, curve in now.items()}
            outcome = Outcome(epoch=epoch, module=module, curves=joined, weights=exact or {})
            return self._trained(rows, chunk.moments, blueprint, settings, outcome, axes=blueprint.axes)

        work = self._work_of_step(blueprint, min(batch_size, n_rows))
        with torch_threads(work), Epochs(self, chunk.X, y, 1, attributes_now) as epochs:
            for _ in train(net, dataset, None, epochs, max_iter=1):
                pass
            state = read_stream(net)
            load_average(net)
            after = read_weights(module)
            losses = [self._losses(chunk, blueprint, weights) for weights in (before, after, state["weights"])]
            with np.errstate(invalid="ignore"):
                lost = not net.is_sound or not all(of_one.mean() <= net.limit.item() for of_one in losses[1:])
            if of_first(lost):
                warn_of_lost_chunk(chunk.first)
                if not chunk.first:
                    return  # all is as it was before
            if of_first(lost or (chunk.judges is not None and _surely_less(losses[0], losses[1]))):
                after, state, losses[1] = before, candidate.state, losses[0]
            network = {"average": after, **{name: state[name] for name in TRAINED}}
            is_network = self._is_shown(chunk, past, candidate, losses[1])
            exact = None if is_network else candidate.start  # the mean of an outlier's rows is beyond a float32
            load_weights(module, after if is_network else self._blank(candidate))
            kept = None
            if pca is not None:
                kept = {"mean": pca.mean, "components": pca.components, "variance": pca.variance}
                kept |= {"center": chunk.rows.mean, "scale": chunk.rows.scale}
            stream = {
                **network,
                "usual": chunk.usual,
                "held_out": chunk.held_out,
                "pca": kept,
                "followed": candidate.followed,
                "unit": candidate.unit,
                "basis": candidate.basis,
                "is_fitted": past.get("is_fitted", False),
                "is_network": is_network,
            }
            vars(self).update(attributes_now(module, exact), _stream=canonical(stream))

    def _is_shown(self, chunk, past, candidate, losses):
        """Whether users get the network, and not PCA: only if it is surely better, or was fitted and is not worse."""
        if candidate.start is None:
            return True
        stays = past.get("is_fitted", False) and past["is_network"]
        if chunk.judges is None:
            return stays
        of_pca = self._losses(chunk, candidate.blueprint, candidate.start)
        return of_first(_surely_less(losses, of_pca) or (stays and not _surely_less(of_pca, losses)))

    def _blank(self, candidate):
        """Weights of the network as PCA of all rows would start it."""
        return read_weights(candidate.blueprint.build(self._module_class, candidate.start))

    def _losses(self, chunk, blueprint, weights):
        """Loss of each row that networks are compared by, (n,); weights of None stand for the mean of the rows."""
        X = chunk.judges if chunk.judges is not None else Rows(chunk.X).read(slice(0, LEAST_JUDGES))
        near = ScaledRows(np.asarray(X, np.float64), blueprint.mean, blueprint.scale, limit=LIMIT * blueprint.spread)
        x = torch.tensor(near.read(slice(None)))
        module = blueprint.build(self._module_class, weights, torch.float64)
        module.generator = torch.Generator().manual_seed(chunk.seed)
        with isolated_rng(chunk.seed), torch.no_grad():
            if weights is None:
                return module.reconstruction(torch.zeros_like(x), x, x).numpy()
            terms = module.losses(x)
        return sum(term.expand(len(x)) for term in terms.values()).numpy()


def _surely_less(losses, others):
    """Whether losses of rows are surely below others of the same rows."""
    if not np.isfinite(others).all():
        return bool(np.isfinite(losses).all())
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(lower_bound((others - losses)[:, None])[0] > 0)


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
