"""Labels of networks trained together, suffixes of their records: "_fold0", "_fold1", ..., and "" of the result."""

RANDOM_INIT = "_random_init"  # of the random restart; that of a fold has the label "_fold0_random_init"


def represented(label):
    """Return the label without its fold: the network of a fold represents the one trained on all samples."""
    if not label.startswith("_fold"):
        return label
    return RANDOM_INIT if label.endswith(RANDOM_INIT) else ""


def keep_records(history, label):
    """Keep the records of the selected network: the first one or its random restart."""
    for row in history:
        for of_restart in [name for name in row if name.endswith(RANDOM_INIT)]:
            value, name = row.pop(of_restart), of_restart.removesuffix(RANDOM_INIT)
            if label == RANDOM_INIT:
                row[name] = value
