"""Labels of networks trained together, suffixes of their records: "_fold0", "_fold1", ..., and "" of the result."""

RIVAL = "_random_init"  # of a second network with another initialization; that of a fold has "_fold0_random_init"


def represented(label):
    """Return the label without its fold: the network of a fold represents the one trained on all samples."""
    if not label.startswith("_fold"):
        return label
    return RIVAL if label.endswith(RIVAL) else ""


def keep_records(history, label):
    """Keep the records of the selected network: its own, or those of its rival."""
    for row in history:
        for of_rival in [name for name in row if name.endswith(RIVAL)]:
            value, name = row.pop(of_rival), of_rival.removesuffix(RIVAL)
            if label == RIVAL:
                row[name] = value
