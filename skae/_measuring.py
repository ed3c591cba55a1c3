"""Scoring of samples by an outlier detector, from residuals and codes."""

from functools import partial

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from skae._data.readers import ArrayReader, validated
from skae._feature_errors import blocks_of, gains, octiles
from skae._outlier_measures import MAX_MEASURED, Measures, residuals_of
from skae._outlier_scores import HeldOut, anomaly_fence, digests
from skae._wrapped import (
    Table,
    framed,
    is_discrete,
    is_frame,
    is_tabular,
    of_numbers,
    raise_if_few_reconstructed,
    raise_if_no_components,
    reconstruct,
    take,
    takes_missing,
)

MIN_MEASURED, MAX_BYTES = 200, 2**28  # samples, and their size


class MeasuringMixin:
    """Mixin of `AutoencoderOutlierDetector` for scoring numeric samples; tables are encoded as numbers."""

    offset_: float

    def _checked(self, X, autoencoder, *, reset, ensure_min_samples=1):
        """Return X as a numeric array, or unchanged if a `TabularAutoencoder` encodes it."""
        if is_tabular(autoencoder):
            validate_data(self, X, skip_check_array=True, reset=reset)
            return X
        may_miss = autoencoder is None or takes_missing(autoencoder)
        return validated(self, X, may_miss=may_miss, reset=reset, ensure_min_samples=ensure_min_samples)

    def _table_of(self, X):
        check_is_fitted(self)
        return self._as_numbers(X, self._checked(X, self.autoencoder_, reset=False))[1]

    def _as_numbers(self, X, checked):
        """Return X, encoded if it is a table with categories, and its `Table`."""
        if is_tabular(self.autoencoder_):
            X = checked = self.autoencoder_._as_numbers(X)
        return X, Table(X, checked)

    def _errors_of(self, table):
        """Return the largest decrease of the anomaly by another value of each feature, (n, d)."""
        errors = np.empty(table.rows.shape)
        for index, fold, x, given in self._by_network(table):
            errors[index] = gains(partial(self._anomaly, fold, given), x, self._candidates, self._blocks)
        return errors[:, self.autoencoder_._columns.places] if is_tabular(self.autoencoder_) else errors

    def _measured(self, X, table, folds):
        """Fit the measures to the samples of a table, set `offset_`, and return the detector."""
        rows = table.rows

        def read_digests():
            return np.concatenate([digests(x) for x in rows.batches()])

        self._held_out = HeldOut(read_digests() if folds else None, [held_out for _, held_out, _ in folds])
        self._autoencoders = [of_numbers(self.autoencoder_), *(of_fold for *_, of_fold in folds)]
        self._known_row = None
        self._calibrate(table, [np.arange(len(rows)), *(trained_on for trained_on, *_ in folds)])
        scores = self._scores_of(table)
        self._known_row = rows.read(np.array([scores.argmax()])).astype(np.float64)
        discrete = [is_discrete(dtype) for dtype in X.dtypes] if is_frame(X) else [False] * rows.shape[1]
        finite = np.isfinite(scores)
        self._candidates = octiles(ArrayReader(rows.X, np.flatnonzero(finite), may_miss=True), np.array(discrete))
        self._blocks = ()
        if is_tabular(self.autoencoder_):
            self._blocks = blocks_of(self.autoencoder_._columns.spans, self._autoencoders[0].mean_)
        if self.contamination == "auto":
            self.offset_ = -anomaly_fence(-scores[finite], lambda: read_digests()[finite])
        else:
            least = scores[finite].min()
            below = least - max(1.0, abs(least))  # a finite value, since quantiles with infinity may be NaN
            self.offset_ = float(np.quantile(np.where(finite, scores, below), self.contamination))
        return self

    def _calibrate(self, table, trained_on):
        """Fit the measures to training samples, each encoded by a network that was not trained on it if there is one.

        Parameters
        ----------
        table : Table

        trained_on : list of ndarray of int
            Indices of the samples that each network was trained on.
        """
        rows = table.rows
        n_measured = min(len(rows), MAX_MEASURED, max(MIN_MEASURED, MAX_BYTES // (8 * rows.shape[1])))
        measured = np.linspace(0, len(rows) - 1, n_measured).astype(int)
        of_network, residuals, folds = [[] for _ in trained_on], [], []
        for x, given in table.some(measured):
            folds.append(self._held_out.folds_of(x))
            residuals.append(np.empty_like(x, dtype=np.float64))
            for fold, codes in enumerate(of_network):
                code, residual = self._codes_and_residuals(fold, x, given)
                codes.append(code)
                mine = folds[-1] == fold
                residuals[-1][mine] = residual[mine]
        residuals, folds = np.concatenate(residuals), np.concatenate(folds)
        of_network = [np.concatenate(codes) for codes in of_network]
        raise_if_no_components(of_network[0], self.autoencoder_)
        x = rows.read(measured).astype(np.float64)
        trained = [np.isin(measured, index) for index in trained_on]
        raise_if_too_few = partial(raise_if_few_reconstructed, self.autoencoder_)
        self._measures = Measures(x, residuals, of_network, folds, trained, raise_if_too_few)

    def _scores_of(self, table):
        scores = np.empty(len(table.rows))
        for index, fold, x, given in self._by_network(table):
            scores[index] = self._score(fold, x, given)
        return scores

    def _by_network(self, table):
        """Yield (index, fold, samples, unconverted samples), for the samples of a batch that share a network."""
        start = 0
        for x, given in table.batches():
            folds = self._held_out.folds_of(x)
            for fold in np.unique(folds):
                mine = np.flatnonzero(folds == fold)
                yield start + mine, fold, x[mine], take(given, mine)
            start += len(x)

    def _codes_and_residuals(self, fold, x, given):
        """Return codes and residuals by the network of a fold; fold 0 is the network trained on all samples."""
        known = None if self._known_row is None else framed(given, self._known_row)
        codes, x_hat = reconstruct(self._autoencoders[fold], given, x.shape[1], known)
        return codes, residuals_of(x, x_hat)

    def _score(self, fold, x, given):
        """Return scores by one network, (n,); minus infinity for samples that can't be reconstructed or scored."""
        codes, residuals = self._codes_and_residuals(fold, x, given)
        scores = self._measures.log_share(fold, codes if self.code_distance else None, residuals, np.isnan(x))
        return np.where(np.isnan(scores), -np.inf, scores)

    def _anomaly(self, fold, given, x):
        return -self._score(fold, x, framed(given, x))
