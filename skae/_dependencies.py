"""What the package stands on, loaded first, with Python's global generator left as it was.

rich, which scikit-learn loads where it is installed, draws from that generator as it is imported.
"""

import random

_state = random.getstate()
try:
    import sklearn.decomposition  # noqa: F401 - only to be loaded
    import torch  # noqa: F401 - only to be loaded
finally:
    random.setstate(_state)
