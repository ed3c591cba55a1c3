"""Where the documentation is."""

from importlib.metadata import version

SITE = "https://skae.readthedocs.io/en"


class DocLinkMixin:
    """Estimators whose HTML representation links to their page, by scikit-learn's rules."""

    _doc_link_module = "skae"
    _doc_link_template = (
        f"{SITE}/{'latest' if 'dev' in version('skae') else 'stable'}/api/{{estimator_module}}.{{estimator_name}}.html"
    )
