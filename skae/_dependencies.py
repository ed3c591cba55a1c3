"""Dependencies, imported first, with the state of Python's global random generator restored.

scikit-learn imports rich if it is installed, which draws from this generator on import.
"""

import random

_state = random.getstate()
try:
    import sklearn.decomposition  # noqa: F401 - only to be loaded
    import torch  # noqa: F401 - only to be loaded
finally:
    random.setstate(_state)
