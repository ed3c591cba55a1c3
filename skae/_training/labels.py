"""What the records of networks that are trained side by side end with: "_fold0", "_fold1", ..., and "" of the kept."""

RIVAL = "_random_init"  # of a second network that starts elsewhere, and "_fold0_random_init" of that of a fold


def represented(label):
    """The label of the network that one stands for: of one of a fold, the one that is trained on all samples."""
    if not label.startswith("_fold"):
        return label
    return RIVAL if label.endswith(RIVAL) else ""
