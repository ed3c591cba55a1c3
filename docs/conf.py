"""Configuration of Sphinx: `make docs` builds the site."""

import os
import re

from docutils.nodes import SkipNode, Text, math_block, reference
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
default_role = "literal"  # docstrings have names in `backticks`
smartquotes = False  # "auto" can be copied
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
autodoc_typehints = "none"  # types are part of each parameter's description
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
    "min_reported_time": 10_000,  # never
    "show_signature": False,
    "remove_config_comments": True,
    "write_computation_times": False,
}

GALLERY = {  # in this order
    "First steps": ["drop_in_for_pca", "number_of_components", "latent_space"],
    "Anomalies, tables and generated data": ["anomalies", "time_series", "tables", "generating_images"],
    "Denoising and convolutions": ["image_denoising", "video_denoising", "moving_strokes"],
    "Other kinds of codes": ["sparse_dictionary", "contraction", "pretraining", "deep_reduction"],
    "Custom variants": ["own_variant"],
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
    """Write a formula as MathML, which browsers render without a script or a network."""
    block = isinstance(node, math_block)
    formula = tex2mathml(node.astext(), as_block=block)
    self.body.append(f'<div class="math">{formula}</div>' if block else formula)
    raise SkipNode


def group_examples(_app, docname, source):
    """Order the gallery as in GALLERY, with a heading for each group. sphinx-gallery needs subfolders for that."""
    if docname != "auto_examples/index":
        return
    start = '.. raw:: html\n\n    <div class="sphx-glr-thumbnails">\n\n'
    before, rest = source[0].split(start)
    thumbnails, after = rest.split(".. toctree::")
    pattern = r'\.\. raw:: html\n\n    <div class="sphx-glr-thumbcontainer".*?</div>\n    </div>\n'
    found = {re.search(r"/plot_(\w+)`", block)[1]: block for block in re.findall(pattern, thumbnails, re.DOTALL)}
    names = [name for group in GALLERY.values() for name in group]
    if sorted(names) != sorted(found):
        raise ValueError(f"GALLERY in docs/conf.py does not list all examples once: {set(names) ^ set(found)}")
    groups = ""
    for title, group in GALLERY.items():
        blocks = "\n".join(found[name] for name in group)
        groups += f"{title}\n{'-' * len(title)}\n\n{start}{blocks}\n.. raw:: html\n\n    </div>\n\n"
    toctree = "".join(f"   /auto_examples/plot_{name}\n" for name in names)
    after = re.sub(r"(   /auto_examples/plot_\w+\n)+", toctree, after)
    source[0] = f"{before}{groups}.. toctree::{after}"


def number_references(_app, doctree, docname):
    """Show references of numpydoc as [1] on their own page, and not at all in tables of other pages."""
    for node in list(doctree.findall(reference)):
        match = re.fullmatch(r"\[R[0-9a-f]{8,}-(\d+)\]", node.astext())
        if match is None:
            continue
        if docname.startswith("api/"):
            for text in list(node.findall(Text)):
                text.parent.replace(text, Text(f"[{match[1]}]"))
        else:
            node.parent.remove(node)


def setup(app):
    """Register the functions above."""
    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))
    app.connect("source-read", group_examples)
    app.connect("doctree-resolved", number_references)
