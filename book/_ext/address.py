"""Where the book's contents, pages and notebooks are: what `_config.yml` says once, for all that need it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

ROOT = Path(__file__).parents[2]


def configure(app: Sphinx, config: Config) -> None:
    """Take the contents from beside ``_config.yml``, and the address of shared links from the pages' own."""
    if os.pathsep in str(ROOT):
        raise ConfigError(f"the path of the checkout must not contain {os.pathsep!r}, which ends a path: {ROOT}")
    config.external_toc_path = str(ROOT / "_toc.yml")
    config.ogp_site_url = config.html_baseurl


def launch_notebooks_only(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Take the launch button off a page without a notebook beside it: the button would open its Markdown."""
    if not Path(app.env.doc2path(pagename)).with_suffix(".ipynb").is_file():
        buttons = context["header_buttons"]
        context["header_buttons"] = [button for button in buttons if button["label"] != "launch-buttons"]


def not_found(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Make the page that a host serves for whatever is not there, in any folder: its links start at the host."""
    home = urlsplit(app.config.html_baseurl).path
    titles = {name: title for name, title in app.env.titles.items() if "orphan" not in app.env.metadata[name]}
    pages = {f"{home}{app.builder.get_target_uri(name)}": title.astext() for name, title in titles.items()}
    yield "404", {"home": home, "pages": pages}, "404.html"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("config-inited", configure, priority=400)  # before the contents are read
    app.connect("html-page-context", launch_notebooks_only, priority=502)  # after the theme has made its buttons
    app.connect("html-collect-pages", not_found)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
