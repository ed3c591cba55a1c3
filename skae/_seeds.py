"""Seeds of the estimators within another."""

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state


def cloned(estimator, random_state):
    """Clone an estimator, with seeds drawn where it, or one within it, has a `random_state` of None.

    Parameters
    ----------
    estimator : estimator

    random_state : int, RandomState instance or None
        None leaves them as they are.

    Returns
    -------
    estimator : estimator
    """
    estimator = clone(estimator)
    if random_state is None:
        return estimator
    rng = check_random_state(random_state)
    values = sorted(estimator.get_params().items())
    unset = [name for name, value in values if name.split("__")[-1] == "random_state" and value is None]
    estimator.set_params(**{name: rng.randint(np.iinfo(np.int32).max) for name in unset})  # frozen ones return None
    return estimator
