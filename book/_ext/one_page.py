"""All pages of the book on one, to be printed: links lead to places in it, and a slider stands at its last position."""

from __future__ import annotations

import json
import posixpath
import re
from html import escape, unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from sphinx.application import Sphinx

from outputs import reading_order
from search import plain
from teaching import PLACE

LEFT_OUT = "reference/api"  # the reference of the package, as long as all the rest; it belongs beside the code
ARTICLE = re.compile(r'<article class="bd-article">(.*)</article>', re.DOTALL)
NAMES = re.compile(r'(?<=\s)(id|for|aria-labelledby|aria-describedby|aria-controls)="([^"]+)"')
LINK = re.compile(r'(<a\s[^>]*?href=")([^"]*)"')
SOURCE = re.compile(r'(<img\s[^>]*?src=")(?!data:)([^"]*)"')
STATE = re.compile(r'<script type="application/vnd.jupyter.widget-state\+json">(.*?)</script>', re.DOTALL)
VIEW = re.compile(r'<script type="application/vnd.jupyter.widget-view\+json">(.*?)</script>', re.DOTALL)
MATHEMATICS = re.compile(r"<script>window\.MathJax.*?</script>|<script[^>]*mathjax/startup[^>]*></script>")
STYLES = re.compile(r"<link[^>]*stylesheet[^>]*>")
SECTION = re.compile(r'<section id="([^"]+)">(?:\s*<span id="[^"]*"></span>)*\s*<h2>(.*?)</h2>', re.DOTALL)
HEADERLINK = re.compile(r'<a class="headerlink".*?</a>', re.DOTALL)
CONTENTS = re.compile(r'<nav class="all-pages".*?</nav>', re.DOTALL)
ENTRY = re.compile(r'(<li>)<a href="#([^"]+)">(.*?)</a>(<ul>)?', re.DOTALL)
LOCAL = re.compile(r'(?:src|href)="([^":#?]+)')

PAGE = """<!DOCTYPE html>
<html lang="en" data-theme="light" data-mode="light">
<head>
<meta charset="utf-8"><title>{title}</title>
{head}
<link rel="stylesheet" href="_static/offline/one-page.css">
</head>
<body id="whole">
<header><p class="title">{title}</p><p>{author}</p><p><a href="{address}">{address}</a></p></header>
<nav class="all-pages" aria-label="Contents"><p>Contents</p>{contents}</nav>
<p class="left-out">{left_out}</p>
<main class="bd-content"><div class="bd-article-container">
{articles}
</div></main>
</body>
</html>
"""


def whole_book(app: Sphinx) -> str:
    """Put the pages of the contents one after another, in its order.

    Parameters
    ----------
    app : sphinx.application.Sphinx
        A finished build.

    Returns
    -------
    str
        A page to be written beside ``index.html``.
    """
    names = [name for name in reading_order(app.env) if not name.startswith(LEFT_OUT)]
    texts = {name: (Path(app.outdir) / app.builder.get_target_uri(name)).read_text(encoding="utf-8") for name in names}
    styles = dict.fromkeys(rooted(link, name) for name in names for link in STYLES.findall(texts[name]))
    mathematical = next((name for name in names if MATHEMATICS.search(texts[name])), names[0])
    scripts = [rooted(part, mathematical) for part in MATHEMATICS.findall(texts[mathematical])]
    entries = [contents(app, name, texts[name]) for name in names]
    return PAGE.format(
        title=escape(app.config.html_title),
        author=escape(app.config.author),
        address=app.config.html_baseurl,
        head="\n".join([*styles, *scripts]),
        contents=f"<ul>{''.join(entries)}</ul>",
        left_out=left_out(app) if LEFT_OUT in app.env.found_docs else "",
        articles="\n".join(article(app, name, texts[name], names) for name in names),
    )


def left_out(app: Sphinx) -> str:
    """Say what is not here, and where it is."""
    link = urljoin(app.config.html_baseurl, app.builder.get_target_uri(LEFT_OUT))
    return f'All pages of the book are here but the reference of the package: see <a href="{link}">{link}</a>.'


def contents(app: Sphinx, name: str, text: str) -> str:
    """List a page and its sections."""
    sections = "".join(
        f'<li><a href="#{prefixed(name, target)}">{HEADERLINK.sub("", title)}</a></li>'
        for target, title in SECTION.findall(text)
    )
    return f'<li><a href="#{place(name)}">{escape(heading(app, name))}</a><ul>{sections}</ul></li>'


def place(name: str) -> str:
    """Name the place of a page."""
    return name.replace("/", "-")


def heading(app: Sphinx, name: str) -> str:
    """Give the title of a page with its number."""
    number = ".".join(map(str, app.env.toc_secnumbers.get(name, {}).get("", ())))
    return f"{number}. {app.env.titles[name].astext()}" if number else app.env.titles[name].astext()


def article(app: Sphinx, name: str, text: str, names: list[str]) -> str:
    """Take the body of a page."""
    found, state = ARTICLE.search(text), STATE.search(text)
    assert found, name
    models = json.loads(state[1])["state"] if state else {}
    body = PLACE.sub("", found[1])
    body = VIEW.sub(lambda view: last_frame(models, json.loads(view[1])["model_id"]), body)
    body = body.replace("<details", "<details open")
    body = NAMES.sub(lambda names: f'{names[1]}="{prefixed(name, names[2])}"', body)
    body = SOURCE.sub(lambda image: f'{image[1]}{resolved(image[2], name)}"', body)
    body = LINK.sub(lambda link: f'{link[1]}{target(app, link[2], name, names)}"', body)
    return f'<article class="bd-article" id="{place(name)}">{body}</article>'


def prefixed(name: str, ids: str) -> str:
    """Make identifiers of a page unique in the book."""
    return " ".join(f"{place(name)}--{part}" for part in ids.split())


def resolved(link: str, name: str) -> str:
    """Give a relative link of a page as the index would."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), link))


def rooted(tag: str, name: str) -> str:
    """Give a tag of a page's head as the index would."""
    return re.sub(r'(?<=(?:src|ref)=")[^"]+', lambda link: resolved(link[0], name), tag)


def target(app: Sphinx, link: str, name: str, names: list[str]) -> str:
    """Give the place in the book that a link leads to, or its address on the net where there is none."""
    file, _, fragment = link.partition("#")
    if re.match(r"[a-z]+:", link):
        return link
    page = resolved(file, name).removesuffix(".html") if file else name
    if page in names:
        return f"#{prefixed(page, fragment)}" if fragment else f"#{place(page)}"
    return urljoin(app.config.html_baseurl, resolved(link, name))


def last_frame(models: dict[str, Any], view: str) -> str:
    """Show the last frame of a slider, and its label; nothing of other widgets."""
    stacks = [model for model in below(models, view) if model["model_name"] == "StackModel"]
    texts = [child(models, stack["state"]["children"][-1])["state"]["value"] for stack in stacks]
    if len(texts) != 2:
        return ""
    label, picture = texts
    return f"{picture}<p class='printed'>The last position of a slider ({label}); the page on the screen moves it.</p>"


def child(models: dict[str, Any], link: str) -> dict[str, Any]:
    """Follow a link between widgets."""
    return models[link.removeprefix("IPY_MODEL_")]


def below(models: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """List a widget and those in it, except for the frames of a stack."""
    model = models[name]
    parts = [] if model["model_name"] == "StackModel" else model["state"].get("children", [])
    return [model, *(found for part in parts for found in below(models, part.removeprefix("IPY_MODEL_")))]


def bookmarks(page: str) -> list[tuple[int, str, str]]:
    """Read the contents of the page: level, title and place of each entry."""
    found = CONTENTS.search(page)
    assert found
    return [
        (0 if opens else 1, unescape(plain(re.sub(r"<[^>]+>", "", title))), target)
        for _, target, title, opens in ENTRY.findall(found[0])
    ]


def local_files(page: Path) -> list[Path]:
    """List the files beside a page that it names, in a fixed order."""
    named = {page.parent / link for link in LOCAL.findall(page.read_text(encoding="utf-8"))}
    return sorted(path for path in named if path.is_file())
