"""What "auto" means."""

import numpy as np

SMALL_STEPS = 400  # of the optimiser, in a fit of up to SMALL_ROWS rows
SMALL_ROWS = 2560
LEAST_EPOCHS = 5


def auto_hidden_layer_sizes(n_features):
    """Two layers: four times as wide as the data, from 64 to 512 units, and half of that."""
    width = int(np.clip(4 * n_features, 64, 512))
    return (width, width // 2)


def auto_batch_size(n_rows):
    """A tenth of the rows, from 32 to 256."""
    return int(np.clip(n_rows // 10, 32, 256))


def auto_max_iter(n_rows, batch_size):
    """As many epochs as make 400 steps, and more steps, but fewer epochs, where there are many rows.

    About 130 epochs at 100 rows, 40 at 1,000, 10 at 20,000 and 5 from 60,000 on.
    """
    steps = SMALL_STEPS * max(1.0, n_rows / SMALL_ROWS) ** (1 / 3)
    return max(LEAST_EPOCHS, round(steps * batch_size / max(n_rows, batch_size)))
