"""Tests of the built site in a browser, on a desktop and on a phone.

`make site` builds the site and runs these tests. Without a built site or a browser (Chrome or Chromium, and its
driver), they are skipped, unless SKAE_SITE=required.
"""

import os
import re
import shutil
import threading
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

import skae

SITE = Path(__file__).parents[2] / "docs" / "_build" / "html"
PAGES = sorted(
    str(path.relative_to(SITE)) for path in SITE.rglob("*.html") if not {"_modules", "_static"} & set(path.parts)
)
PHONE, DESKTOP = (390, 844), (1280, 900)
SELECTED_PAGES = [
    "index.html",
    "tutorial.html",
    "guide/picture.html",
    "api/skae.Autoencoder.html",
    "coming_from_pca.html",
]
SUBMODULES = ("architectures", "datasets", "inspection", "metrics", "nn")


def missing(what):
    """Skip the test, or fail if the site is required."""
    if os.environ.get("SKAE_SITE") == "required":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module", autouse=True)
def built():
    if not (SITE / "index.html").exists():
        missing("the site is not built: make docs")


class Page(HTMLParser):
    """Parser that collects the links and anchors of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):  # noqa: ARG002 - the parser's signature
        attrs = dict(attrs)
        self.ids |= {attrs[name] for name in ("id", "name") if attrs.get(name)}
        self.links |= {attrs[name] for name in ("href", "src") if attrs.get(name)}


def test_no_internal_link_is_broken():
    pages = {page: Page((SITE / page).read_text()) for page in PAGES}
    broken = []
    for page, found in pages.items():
        for link in found.links:
            target = urlsplit(urljoin(f"site:///{page}", link))
            if target.scheme != "site" or target.netloc:
                continue
            path = unquote(target.path).lstrip("/") or "index.html"
            anchors = pages[path].ids if path in pages else None
            if not (SITE / path).is_file() or (target.fragment and anchors and unquote(target.fragment) not in anchors):
                broken.append(f"{page}: {link}")
    assert not broken


def test_every_public_name_has_a_page():
    names = [f"skae.{name}" for name in skae.__all__ if name != "BaseAutoencoder"]  # its page is that of skae.base
    for module in SUBMODULES:
        names += [f"skae.{module}.{name}" for name in getattr(skae, module).__all__]
    no_pages = {"skae.nn.CELLS", "skae.nn.functional"}  # a dict; a module whose functions have pages
    assert not [name for name in names if name not in no_pages and not (SITE / "api" / f"{name}.html").exists()]


def test_links_in_the_html_repr_lead_to_existing_pages():
    for name in skae.__all__:
        link = getattr(skae, name)()._get_doc_link()
        assert (SITE / "api" / link.rsplit("/", 1)[-1]).exists()


# In a browser ------------------------------------------------------------------------------------------------------


class QuietHandler(SimpleHTTPRequestHandler):
    """Request handler that logs nothing."""

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def site():
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=SITE)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver")
    binary = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        missing("there is no Chromium with its chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield found
    found.quit()


def resize(browser, size):
    """Set the size of the viewport, which may be smaller than the smallest window."""
    width, height = size
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
    )


def wait(browser, condition, seconds=20):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, seconds).until(lambda _: browser.execute_script(f"return {condition}"))


def set_theme(browser, name):
    browser.execute_script(f"document.documentElement.dataset.theme = document.documentElement.dataset.mode = '{name}'")


def luminance(rgb):
    """Return the relative luminance, as defined by WCAG, of a color such as "rgb(1, 2, 3)"."""
    values = [float(value) / 255 for value in rgb[rgb.index("(") + 1 : -1].split(",")[:3]]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_page_loads_without_an_error(browser, site):
    resize(browser, DESKTOP)
    browser.get_log("browser")
    for page in PAGES:
        browser.get(f"{site}/{page}")
        assert "skae" in browser.title, page
        # images are loaded lazily otherwise
        broken = """Promise.all([...document.images].map(image => {
            image.loading = 'eager';
            return image.decode().then(() => null, () => image.src)})).then(all => all.filter(Boolean))"""
        assert not browser.execute_script(f"return {broken}"), page
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not errors


def test_pages_load_nothing_from_other_hosts(browser, site):
    resize(browser, DESKTOP)
    for page in SELECTED_PAGES:
        browser.get(f"{site}/{page}")
        fetched = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
        assert fetched
        assert not [url for url in fetched if not url.startswith((site, "data:"))]


def test_search_finds_a_class(browser, site):
    resize(browser, DESKTOP)
    browser.get(f"{site}/search.html?q=VariationalAutoencoder")
    wait(browser, "/found [0-9]+ pages/.test(document.querySelector('#search-results').textContent)")
    wait(browser, "document.querySelectorAll('#search-results li a').length > 10")
    links = browser.execute_script("return [...document.querySelectorAll('#search-results li a')].map(a => a.href)")
    assert any("api/skae.VariationalAutoencoder.html" in link for link in links[:3])
    assert any("guide/variational.html" in link for link in links)


def test_gallery_has_a_picture_for_each_example(browser, site):
    resize(browser, DESKTOP)
    browser.get(f"{site}/auto_examples/index.html")
    script = "return [...document.querySelectorAll('.sphx-glr-thumbcontainer img')].map(i => [i.src, i.naturalWidth])"
    pictures = browser.execute_script(script)
    examples = list((Path(__file__).parents[2] / "examples").glob("plot_*.py"))
    assert len(pictures) == len(examples)
    assert all(width > 100 for _, width in pictures)
    assert not [source for source, _ in pictures if "no_image" in source]


@pytest.mark.parametrize("page", SELECTED_PAGES)
def test_page_fits_the_width_of_a_phone(browser, site, page):
    resize(browser, PHONE)
    browser.get(f"{site}/{page}")
    # wider elements have their own scroll bar
    assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]
    size = browser.execute_script("return getComputedStyle(document.querySelector('article p')).fontSize")
    assert float(size.removesuffix("px")) >= 14


@pytest.mark.parametrize("page", SELECTED_PAGES)
@pytest.mark.parametrize("name", ["light", "dark"])
def test_contrast_of_text_meets_wcag(browser, site, page, name):
    resize(browser, DESKTOP)
    browser.get(f"{site}/{page}")
    set_theme(browser, name)
    wait(browser, f"document.documentElement.dataset.theme == '{name}'")
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (luminance(background) < 0.2) == (name == "dark")
    for element in ("article p", "article h1", "article a.reference", "article pre span"):
        script = f"const e = document.querySelector('{element}'); return e && getComputedStyle(e).color"
        color = browser.execute_script(script)
        if color is None:
            continue
        light, dark = sorted((luminance(color), luminance(background)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, element  # level AA of WCAG


# Elements whose content is wider than they are, by more than one pixel.
CUT = """
const found = [];
for (const e of document.querySelectorAll('article pre, article .pst-scrollable-table-container, article table')) {
    const cut = e.scrollWidth - e.clientWidth;
    const box = e.parentElement.closest('.pst-scrollable-table-container, article');
    const beyond = e.getBoundingClientRect().right - box.getBoundingClientRect().right;
    if (e.offsetParent !== null && (e.clientWidth > 0 && cut > 1 || beyond > 1))
        found.push(`${e.tagName} ${Math.round(Math.max(cut, beyond))} pixels: `
                   + e.textContent.replace(/\\s+/g, ' ').slice(0, 60));
}
return found"""


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_table_or_code_block_is_cut(browser, site, size):
    resize(browser, size)
    cut = []
    for page in PAGES:
        browser.get(f"{site}/{page}")
        cut += [f"{page}: {found}" for found in browser.execute_script(CUT)]
    assert not cut, f"{len(cut)} are cut:\n" + "\n".join(cut)


def test_pages_show_no_internal_labels():
    for page in PAGES:
        text = (SITE / page).read_text()
        assert not re.search(r">\[?R[0-9a-f]{8,}-\d+\]?<", text), f"{page} shows a label of numpydoc"
        if page.startswith("auto_examples"):
            assert "noqa" not in text, page


def test_gallery_has_sections(browser, site):
    resize(browser, DESKTOP)
    browser.get(f"{site}/auto_examples/index.html")
    titles = browser.execute_script("return [...document.querySelectorAll('article h2')].map(e => e.textContent)")
    assert titles[0].startswith("First steps")
    assert titles[-1].startswith("Custom variants")
    first = browser.execute_script("return document.querySelector('.sphx-glr-thumbcontainer a').href")
    assert first.endswith("plot_drop_in_for_pca.html")
