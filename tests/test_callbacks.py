"""Callbacks of scikit-learn are called in each epoch, also in a Pipeline and in a search; older versions have none."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder
from skae.metrics import reconstruction_scorer

callback = pytest.importorskip("sklearn.callback")  # scikit-learn 1.9

SMALL = Autoencoder(3, hidden_layer_sizes=16, max_iter=4, random_state=0)


class Recorder:
    """Callback that records its calls, and stops training after a number of epochs."""

    max_propagation_depth = None

    def __init__(self, stop_after=None):
        self.stop_after, self.events, self.scores = stop_after, [], []

    def setup(self, estimator, context):  # noqa: ARG002
        self.events.append("setup")

    def teardown(self, estimator, context):  # noqa: ARG002
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):  # noqa: ARG002
        self.events.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):  # noqa: ARG002
        self.events.append(f"end {context.task_name}")
        self.scores.append(fitted_estimator.score(X))
        return self.events.count("end epoch") == self.stop_after


def test_callbacks_are_called_for_each_epoch(digits):
    recorder = Recorder()
    fitted = clone(SMALL).set_callbacks(recorder).fit(digits)
    n = recorder.events.count("end epoch")
    assert n == SMALL.max_iter
    assert recorder.events == ["setup", "begin fit", *(["begin epoch", "end epoch"] * n), "end fit", "teardown"]
    assert recorder.scores[-1] == fitted.score(digits)
    assert recorder.scores[3] > recorder.scores[0]
    np.testing.assert_array_equal(fitted.transform(digits), clone(SMALL).fit(digits).transform(digits))


def test_closed_form_fit_has_no_epochs(digits):
    recorder = Recorder()
    Autoencoder(3, hidden_layer_sizes=()).set_callbacks(recorder).fit(digits)
    assert recorder.events == ["setup", "begin fit", "end fit", "teardown"]


@pytest.mark.parametrize("stop_after", [1, 3])
def test_callback_stops_the_fit(digits, stop_after):
    recorder = Recorder(stop_after)
    fitted = clone(SMALL).set_callbacks(recorder).fit(digits)
    assert recorder.events.count("end epoch") == stop_after == fitted.n_iter_
    assert recorder.events[-1] == "teardown"
    assert fitted.score(digits) > 0


def test_failing_callback_leaves_the_estimator_unchanged(digits):
    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):  # noqa: ARG002
            raise RuntimeError("failed")

    failing = Failing()
    estimator = clone(SMALL).set_callbacks(failing)
    before = set(vars(estimator))
    with pytest.raises(RuntimeError, match="failed"):
        estimator.fit(digits)
    assert set(vars(estimator)) == before
    assert failing.events[-1] == "teardown"


def test_callbacks_are_called_for_each_chunk(digits):
    recorder = Recorder()
    clone(SMALL).set_callbacks(recorder).partial_fit(digits).partial_fit(digits)
    assert recorder.events == ["setup", "begin fit", "begin epoch", "end epoch", "end fit", "teardown"] * 2


@pytest.mark.parametrize("as_step", [False, True])
def test_scoring_monitor_records_scores(digits, as_step):
    monitor = callback.ScoringMonitor(scoring={"r2": reconstruction_scorer})
    estimator = clone(SMALL).set_callbacks(monitor)
    fitted = Pipeline([("scale", StandardScaler()), ("reduce", estimator)]) if as_step else estimator
    fitted.fit(digits)
    scores = [row["r2"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(scores) >= 4
    assert scores[3] > scores[0]


@pytest.mark.slow
def test_scoring_monitor_records_scores_in_a_search(digits):
    monitor = callback.ScoringMonitor(scoring={"r2": reconstruction_scorer})
    search = GridSearchCV(clone(SMALL).set_callbacks(monitor), {"n_components": [2, 3]}, cv=2, n_jobs=2).fit(digits)
    assert len([row for log in monitor.get_logs(select="all") for row in log.data]) > 2 * 2 * 4
    assert search.best_params_ == {"n_components": 3}


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar_is_shown_in_a_search_over_a_pipeline(digits, n_jobs, capfd):
    pytest.importorskip("rich")
    pipe = Pipeline([("scale", StandardScaler()), ("reduce", clone(SMALL))])
    search = GridSearchCV(pipe, {"reduce__n_components": [2, 3]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(digits)
    shown = capfd.readouterr().out
    assert "Autoencoder" in shown
    assert search.best_params_ == {"reduce__n_components": 3}


@pytest.mark.slow
def test_older_scikit_learn_has_no_callbacks(digits, tmp_path):
    np.save(tmp_path / "X.npy", digits)
    script = (
        "import sys, numpy, sklearn.decomposition, sklearn.pipeline;"
        "sys.modules['sklearn.callback'] = None;"
        "from skae import Autoencoder;"
        "a = Autoencoder(3, hidden_layer_sizes=16, max_iter=4, random_state=0).fit(numpy.load(sys.argv[1]));"
        "assert not hasattr(a, 'set_callbacks')"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "X.npy")], check=True)
