"""The README's code runs as it stands."""

import re
from functools import partial
from pathlib import Path

import sklearn.model_selection
from sklearn.model_selection import GridSearchCV, ShuffleSplit

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_readmes_code(monkeypatch):
    one_split = partial(GridSearchCV, cv=ShuffleSplit(1, random_state=0))  # five take two minutes
    monkeypatch.setattr(sklearn.model_selection, "GridSearchCV", one_split)
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names = {}
    exec(code, names)
    assert list(names["codes"].columns) == [f"autoencoder{i}" for i in range(8)]
    assert names["X_hat"].shape == names["X"].shape
    assert type(names["search"].best_params_["reduce"]).__name__ == "Autoencoder"
