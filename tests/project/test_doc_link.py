"""The HTML representation links to an estimator's page, and only of our own."""

import pytest
from conftest import public_estimators
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_html_repr

from skae import Autoencoder, AutoencoderOutlierDetector, LatentSampler
from skae._doc_link import SITE
from skae.architectures import Convolutional, Recurrent

OTHERS = [AutoencoderOutlierDetector, LatentSampler]


@pytest.mark.parametrize("estimator", [*public_estimators(), *OTHERS])
def test_an_estimator_links_to_its_page(estimator):
    link = estimator()._get_doc_link()
    assert link.startswith(SITE)
    assert link.endswith(f"/api/skae.{estimator.__name__}.html")
    assert link in estimator_html_repr(make_pipeline(estimator()))


@pytest.mark.parametrize("architecture", [Convolutional, Recurrent])
def test_an_architecture_too(architecture):
    assert architecture()._get_doc_link().endswith(f"/api/skae.architectures.{architecture.__name__}.html")


def test_a_users_own_class_does_not():
    class Mine(Autoencoder):
        pass

    assert Mine()._get_doc_link() == ""
