"""What the records of networks that are trained side by side end with: "_fold0", "_fold1", ..., and "" of the kept."""

RIVAL = "_random_init"  # of a second network that starts elsewhere, and "_fold0_random_init" of that of a fold


def represented(label):
    """The label of the network that one stands for: of one of a fold, the one that is trained on all samples."""
    if not label.startswith("_fold"):
        return label
    return RIVAL if label.endswith(RIVAL) else ""


def keep_records(history, label):
    """Leave the records of the network that won: those of its rival, or not."""
    for row in history:
        for of_rival in [name for name in row if name.endswith(RIVAL)]:
            value, name = row.pop(of_rival), of_rival.removesuffix(RIVAL)
            if label == RIVAL:
                row[name] = value
