"""Links that lead somewhere: shared addresses, the page for missing ones, launch buttons, the index of names."""

import re
from urllib.parse import urljoin, urlsplit

import pytest
import yaml
from playwright.sync_api import Browser

from .conftest import CHAPTERS, CONTENTS, HTML, ROOT, Visit, at

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
BASE = CONFIG["html"]["baseurl"]


@pytest.mark.parametrize("name", CONTENTS)
def test_a_shared_link_is_the_published_address(name: str) -> None:
    text = (HTML / f"{name}.html").read_text(encoding="utf-8")
    assert re.findall(r'<meta property="og:url" content="(.*?)"', text) == [urljoin(BASE, f"{name}.html")]


@pytest.mark.parametrize("name", CONTENTS)
def test_a_launch_button_opens_a_notebook(name: str) -> None:
    text = (HTML / f"{name}.html").read_text(encoding="utf-8")
    links = re.findall(r'href="(https://(?:mybinder|colab)[^"]*)"', text)
    assert len(links) == (2 if name in CHAPTERS else 0)
    assert ("fa-rocket" in text) == bool(links)
    for link in links:
        file = re.search(r"book/.*", link)[0]
        assert file.endswith(".ipynb")
        assert (ROOT / file).is_file()


def test_the_page_for_missing_addresses_leads_back_from_any_folder(browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto((HTML / "404.html").as_uri())
    links = page.locator("a").evaluate_all("all => all.map(link => link.getAttribute('href'))")
    page.close()
    context.close()
    home = urlsplit(BASE).path
    assert all(link.startswith(home) for link in links), "a relative link breaks in a folder"
    files = {link.removeprefix(home) for link in links}
    assert {f"{name}.html" for name in CONTENTS} | {"search.html"} == files
    text = (HTML / "404.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:link|script|img)\b", text), "it loads nothing, wherever it is served"


@at("desk", "reference/api")
def test_the_reference_leads_to_the_index_of_names(desk: Visit) -> None:
    link = desk.page.locator("article").get_by_role("link", name="index of names")
    assert link.evaluate("link => link.href") == (HTML / "genindex.html").as_uri()
