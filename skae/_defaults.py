"""What "auto" means."""

import numpy as np

LEARNING_RATE = 1e-2
FULL_RATE, MANY_ROWS, MIN_RATE = 64, 10_000, 0.3  # features and samples that learn at it; the least share of it
MAX_WIDTH_LAYER = 512
LARGEST_BATCH = 256
CLIP_AT = 10.0  # standard deviations, beyond which the networks don't follow a sample
EPOCHS_OF_PATIENCE = 100  # of more, the patience is in proportion
MIN_EPOCHS, EPOCHS, MAX_EPOCHS = 9, 40, 200
ROWS_SHOWN = 12_800  # over all epochs, where there are few
MAX_STEPS = 400  # of the optimizer, unless the least epochs take more
NARROW, EPOCHS_OF_NARROW, STEPS_OF_NARROW = 50, 60, 1600  # up to so many features, steps are cheap
LONGER = 3  # times as long as the epochs of a narrow table is the cycle that follows where they gained to their end
MAX_PREFIXES = 16
MAX_WORK_OF_FOLDS = 2**35  # multiply-adds x samples x epochs, over the networks of all folds of a wide table
MAX_WEIGHTS_OF_FOLDS = 2**25  # of the networks of all folds of a wide table: some 24 bytes each in training
MAX_WORK = 2**36  # of one network, unless so few epochs take more:
MIN_AFFORDABLE_EPOCHS = 5
MAX_WEIGHTS_OF_RIVALS = 5 * 2**14  # in all folds: up to there, a step of them takes the time of its calls
MAX_WEIGHTS_OF_RIVAL, MAX_WORK_OF_RIVAL = 2**16, 2**30  # beside a network by itself: weights, samples x weights


def auto_hidden_layer_sizes(n_rows, n_features, architecture=None, is_plain=False):
    """Two layers: four times as wide as the data or half as wide as they are long, from 64 to 512 units; half of it.

    Where the reconstruction alone is asked for, the least is 96 from 1,536 samples on, and 128 from 2,048 on. The most
    may be another number, which the architecture says.
    """
    most = MAX_WIDTH_LAYER if architecture is None else architecture.widest_layer
    least = int(np.clip(n_rows // 512 * 32, 64, 128)) if is_plain else 64
    width = int(np.clip(min(4 * n_features, n_rows // 2), min(least, most), most))
    return (width, width // 2)


def auto_batch_size(n_rows, architecture=None):
    """An eighth of the samples, from 64 to 256, or to what the architecture asks for."""
    most = LARGEST_BATCH if architecture is None else architecture.largest_batch
    return int(np.clip(n_rows // 8, min(64, most), most))


def auto_stream_batch_size(n_rows):
    """About 40 batches of a chunk, of 32 to 256 samples: a stream passes over each chunk once."""
    return int(np.clip(n_rows // 40, 32, 256))


def auto_learning_rate(architecture, n_rows=MANY_ROWS, n_features=1):
    """What the architecture asks for; 0.01 for dense layers, and less for wide samples of which there are few.

    There it falls with the root of the number of features above 64, to 0.003, but not below what the share of 10,000
    samples says. Tables wider than long take so few steps that it stays 0.01.
    """
    if architecture is not None:
        return architecture.learning_rate
    if n_features > n_rows:
        return LEARNING_RATE
    return LEARNING_RATE * float(np.clip(max((FULL_RATE / n_features) ** 0.5, n_rows / MANY_ROWS), MIN_RATE, 1))


def auto_max_iter(n_rows, batch_size, architecture=None, is_narrow=False):
    """40 epochs; of few samples as many as show 12,800 samples, of many as few as make 400 steps, but 9 at least.

    128 at 100 samples, 40 from 320 to 2,560 samples, and 9 from 11,000 samples on. An architecture may ask for more
    steps. Of narrow tables it is 60 epochs, or as many as make 1600 steps.
    """
    epochs, most_steps = EPOCHS, MAX_STEPS if architecture is None else architecture.most_steps
    if is_narrow:
        epochs, most_steps = EPOCHS_OF_NARROW, STEPS_OF_NARROW
    n_epochs = int(np.clip(round(ROWS_SHOWN / n_rows), epochs, MAX_EPOCHS))
    return max(MIN_EPOCHS, min(n_epochs, round(most_steps * batch_size / n_rows)))


def prefix_sizes(n_components):
    """Sizes of code by which an ordered autoencoder is judged: all up to a dozen, then ever fewer."""
    return tuple(np.unique(np.geomspace(1, max(n_components, 1), MAX_PREFIXES).round().astype(int)).tolist())


def affordable(n_rows, n_epochs, work, n_weights=0):
    """Folds and epochs of a training on a table with more features than samples, where a sample takes so many multiply-adds.

    A network on few samples is soon trained, unless they are so wide that each takes millions of products. Nor may all
    networks together have too many weights, of `n_weights` each.
    """
    n_epochs = min(n_epochs, max(MIN_AFFORDABLE_EPOCHS, MAX_WORK // (n_rows * work)))
    most = min(MAX_WORK_OF_FOLDS // (n_rows * work * n_epochs), MAX_WEIGHTS_OF_FOLDS // max(n_weights, 1))
    return max(1, most - 1), n_epochs
