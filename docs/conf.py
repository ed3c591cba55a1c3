"""How Sphinx makes the site: `make docs`."""

import os

from docutils.nodes import SkipNode, math_block
from docutils.utils.math.latex2mathml import tex2mathml

import skae

project = "skae"
author = "the skae developers"
copyright = author  # noqa: A001 - Sphinx's name
version = release = skae.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "benchmarks"]
templates_path = ["_templates"]
default_role = "literal"  # docstrings name things in `backticks`
smartquotes = False  # "auto" is to be copied as it stands
show_warning_types = True

# Links to other projects need a network; without one the build would warn, and warnings are errors
if os.environ.get("READTHEDOCS"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3/", None),
        "numpy": ("https://numpy.org/doc/stable/", None),
        "sklearn": ("https://scikit-learn.org/stable/", None),
        "torch": ("https://docs.pytorch.org/docs/stable/", None),
    }

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # types stand with each parameter's description
toc_object_entries_show_parents = "hide"  # fit(), not Autoencoder.fit()
numpydoc_show_class_members = False  # the template lists them
numpydoc_attributes_as_param_list = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"demo\.py",
    "doc_module": ("skae",),
    "backreferences_dir": "api/examples",
    "reference_url": {"skae": None},
    "abort_on_example_error": True,
    "parallel": 2,
    "min_reported_time": 10_000,  # a line of its own for no example
    "show_signature": False,
    "remove_config_comments": True,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "skae"
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["skae.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "skae", "alt_text": "skae"},
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "show_prev_next": True,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "icon_links": [{"name": "Source", "url": "https://github.com/skae-dev/skae", "icon": "fa-brands fa-github"}],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "install": [], "tutorial": [], "changelog": []}


html_math_renderer = "mathml"


def write_formula(self, node):
    """Write a formula as MathML, which browsers draw by themselves: no script, and no network."""
    block = isinstance(node, math_block)
    formula = tex2mathml(node.astext(), as_block=block)
    self.body.append(f'<div class="math">{formula}</div>' if block else formula)
    raise SkipNode


def setup(app):
    """Sphinx calls this."""
    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))
