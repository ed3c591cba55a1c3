"""Links to the documentation."""

from importlib.metadata import version

SITE = "https://skae.readthedocs.io/en"


class DocLinkMixin:
    """Estimators whose HTML representation links to their documentation, as in scikit-learn."""

    _doc_link_module = "skae"
    _doc_link_template = (
        f"{SITE}/{'latest' if 'dev' in version('skae') else 'stable'}/api/{{estimator_module}}.{{estimator_name}}.html"
    )
