"""Default values for "auto"."""

import numpy as np

LEARNING_RATE = 1e-2
FULL_RATE, MANY_ROWS, MIN_RATE = 64, 10_000, 0.3  # features and samples with the full rate; minimum fraction of it
MAX_WIDTH_LAYER = 512
N_HIDDEN_LAYERS = 2
LARGEST_BATCH, SMALLEST_BATCH, SMALLEST_OF_NARROW = 256, 64, 32
CLIP_AT = 10.0  # standard deviations, at which the input of networks is clipped
EPOCHS_OF_PATIENCE = 100  # with more epochs, the patience is proportional
MIN_EPOCHS, EPOCHS, MAX_EPOCHS = 9, 40, 200
ROWS_SHOWN = 12_800  # over all epochs, if there are few samples
MAX_STEPS = 400  # steps of the optimizer, unless the minimum number of epochs takes more
NARROW, EPOCHS_OF_NARROW, STEPS_OF_NARROW = 50, 60, 1600  # up to this number of features, steps are cheap
LONGER = 3  # length of the second cycle of a narrow table, relative to the first, if that still improved
MAX_PREFIXES = 16
MAX_WORK_OF_FOLDS = 2**35  # multiply-adds x samples x epochs, of the networks of all folds of a wide table
MAX_WEIGHTS_OF_FOLDS = 2**25  # weights in all folds of a wide table: about 24 bytes each in training
MAX_WORK = 2**36  # multiply-adds of one network, unless this number of epochs takes more:
MIN_AFFORDABLE_EPOCHS = 5
MAX_WEIGHTS_OF_RESTARTS = 5 * 2**14  # in all folds: below, the time of a step is dominated by calls
MAX_WEIGHTS_OF_RESTART, MAX_WORK_OF_RESTART = 2**16, 2**30  # of a single network: weights, samples x weights


def auto_hidden_layer_sizes(n_rows, n_features, architecture=None, is_plain=False):
    """Return two layer sizes: four times the features or half the samples, from 64 to 512 units; and half of that.

    If only the reconstruction matters, the minimum is 96 from 1,536 samples on, and 128 from 2,048 on. An architecture
    may set another maximum, and another number of layers.
    """
    most = MAX_WIDTH_LAYER if architecture is None else architecture.widest_layer
    n_layers = N_HIDDEN_LAYERS if architecture is None else architecture.n_hidden_layers
    least = int(np.clip(n_rows // 512 * 32, 64, 128)) if is_plain else 64
    width = int(np.clip(min(4 * n_features, n_rows // 2), min(least, most), most))
    return tuple(width // 2**i for i in range(n_layers))


def auto_batch_size(n_rows, architecture=None, is_narrow=False):
    """Return an eighth of the samples, from 64, or 32 for few features, to 256 or the maximum of the architecture."""
    most = LARGEST_BATCH if architecture is None else architecture.largest_batch
    return int(np.clip(n_rows // 8, min(SMALLEST_OF_NARROW if is_narrow else SMALLEST_BATCH, most), most))


def auto_stream_batch_size(n_rows):
    """Return the size of about 40 batches per chunk, from 32 to 256 samples: a stream reads each chunk once."""
    return int(np.clip(n_rows // 40, 32, 256))


def auto_learning_rate(architecture, n_rows=MANY_ROWS, n_features=1):
    """Return the learning rate of the architecture; 0.01 for dense layers, and less for few samples of many features.

    In that case it is 0.01 times the larger of two factors, but at least 0.003: the square root of 64 divided by the
    number of features, and the number of samples divided by 10,000. With more features than samples, it stays 0.01,
    since there are few steps.
    """
    if architecture is not None:
        return architecture.learning_rate
    if n_features > n_rows:
        return LEARNING_RATE
    return LEARNING_RATE * float(np.clip(max((FULL_RATE / n_features) ** 0.5, n_rows / MANY_ROWS), MIN_RATE, 1))


def auto_max_iter(n_rows, batch_size, architecture=None, is_narrow=False):
    """Return 40 epochs; more for few samples, to process 12,800, and fewer for many, to take 400 steps, but at least 9.

    The result is 128 for 100 samples, 40 from 320 to 2,560 samples, and 9 from 11,000 samples on. An architecture may
    allow more steps. For few features, it is 60 epochs, and at most 1,600 steps.
    """
    epochs, most_steps = EPOCHS, MAX_STEPS if architecture is None else architecture.most_steps
    if is_narrow:
        epochs, most_steps = EPOCHS_OF_NARROW, STEPS_OF_NARROW
    n_epochs = int(np.clip(round(ROWS_SHOWN / n_rows), epochs, MAX_EPOCHS))
    return max(MIN_EPOCHS, min(n_epochs, round(most_steps * batch_size / n_rows)))


def prefix_sizes(n_components):
    """Return the code sizes at which an ordered autoencoder is evaluated: at most 16, spaced geometrically."""
    return tuple(np.unique(np.geomspace(1, max(n_components, 1), MAX_PREFIXES).round().astype(int)).tolist())


def affordable(n_rows, n_epochs, work, n_weights=0):
    """Return the numbers of folds and epochs of a wide table, with `work` multiply-adds per sample.

    Training on few samples is fast, unless each takes millions of products. In addition, the total number of weights of
    all networks, with `n_weights` each, is bounded.
    """
    n_epochs = min(n_epochs, max(MIN_AFFORDABLE_EPOCHS, MAX_WORK // (n_rows * work)))
    most = min(MAX_WORK_OF_FOLDS // (n_rows * work * n_epochs), MAX_WEIGHTS_OF_FOLDS // max(n_weights, 1))
    return max(1, most - 1), n_epochs
