"""The HTML representation links to the documentation of an estimator, and only for estimators of skae."""

import pytest
from conftest import public_estimators
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_html_repr

from skae import Autoencoder, AutoencoderOutlierDetector, LatentSampler
from skae._doc_link import SITE
from skae.architectures import Convolutional, Recurrent

OTHERS = [AutoencoderOutlierDetector, LatentSampler]


@pytest.mark.parametrize("estimator", [*public_estimators(), *OTHERS])
def test_estimator_links_to_its_page(estimator):
    link = estimator()._get_doc_link()
    assert link.startswith(SITE)
    assert link.endswith(f"/api/skae.{estimator.__name__}.html")
    assert link in estimator_html_repr(make_pipeline(estimator()))


@pytest.mark.parametrize("architecture", [Convolutional, Recurrent])
def test_architecture_links_to_its_page(architecture):
    assert architecture()._get_doc_link().endswith(f"/api/skae.architectures.{architecture.__name__}.html")


def test_user_defined_subclass_has_no_link():
    class Mine(Autoencoder):
        pass

    assert Mine()._get_doc_link() == ""
