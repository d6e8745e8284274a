"""Serve mathematics, icons and widgets from the book itself, so that a page needs no other host and no server.

Only what the pages use is loaded: of MathJax (from the package ``sphinx-mathjax-offline``) one input, one output, its
fonts, and the hidden MathML for screen readers; of the theme's icons those that are named here. The Jupyter widgets
come from ``widgetsnbextension``, driven by ``_offline/widgets.js``; MyST-NB puts them only on pages that have widgets.
"""

from __future__ import annotations

import importlib.metadata
import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from fontTools.subset import Options, Subsetter, load_font, save_font
from sphinx.application import Sphinx
from sphinx.config import Config

# What MathJax loads, by the names of its files; the output asks for its font table by itself.
PARTS = ["core", "input/tex-base", "input/tex/extensions/ams", "output/chtml", "a11y/assistive-mml"]
MATHJAX = ["startup.js", *(f"{part}.js" for part in PARTS), "output/chtml/fonts"]

# The icons of buttons, boxes and players. Any other shows, too, but loads the theme's whole fonts.
ICONS = """
    angle-down angle-left angle-right arrow-up bars bell check-circle circle-half-stroke code download
    exclamation-circle exclamation-triangle expand file file-pdf github info-circle lightbulb list magnifying-glass
    moon outdent pause pencil play repeat retweet rocket share stop sun times-circle xmark
"""
FORMULA = re.compile(r'class="[^"]*\bmath\b')
FONTS = {"fa-solid-900": ("Font Awesome 6 Free", 900), "fa-brands-400": ("Font Awesome 6 Brands", 400)}
THEME = "pydata_sphinx_theme/theme/pydata_sphinx_theme/static"
UNUSED = ("scripts/fontawesome.js*", "**/*.map", "vendor/fontawesome/webfonts/*.ttf")


def installed(distribution: str, path: str) -> Path:
    """Find a file or folder of an installed distribution."""
    return Path(str(importlib.metadata.distribution(distribution).locate_file(path)))


def configure(app: Sphinx, config: Config) -> None:
    """Point Sphinx and MyST-NB to the book's own copies (paths are relative to ``_static``)."""
    config.mathjax_path = "mathjax/startup.js"
    parts = [part.replace("input/tex/extensions", "[tex]") for part in PARTS]
    config.mathjax3_config = {"loader": {"load": parts}, "tex": {"packages": {"[+]": ["ams"]}}}
    config.nb_ipywidgets_js = {"offline/widgets.js": {"defer": "defer"}}
    app.add_css_file("offline/icons.css")


def copy(app: Sphinx) -> None:
    """Copy the scripts and fonts into the built book."""
    if app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    for part in MATHJAX:
        place(
            installed("sphinx-mathjax-offline", f"sphinx-mathjax-offline/static/mathjax/{part}"),
            static / "mathjax" / part,
        )
    place(installed("widgetsnbextension", "widgetsnbextension/static/extension.js"), static / "offline/bundle.js")
    place(Path(app.srcdir) / "_offline/widgets.js", static / "offline/widgets.js")
    make_icons(static / "offline")


def place(source: Path, target: Path) -> None:
    """Copy a file or a folder over whatever was there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)


def make_icons(folder: Path) -> None:
    """Cut the theme's icon fonts down to `ICONS`, and write the styles that put them before the theme's.

    Each icon is a letter of the font, which a screen reader must not read: its text alternative is empty.
    """
    theme = installed("pydata-sphinx-theme", f"{THEME}/styles/pydata-sphinx-theme.css").read_text(encoding="utf-8")
    rules, codes = [], set()
    for names, code in re.findall(r'((?:\.fa-[\w-]+:before,?)+)\{content:"\\([0-9a-f]{4})"\}', theme):
        if {*ICONS.split()} & set(re.findall(r"\.fa-([\w-]+):", names)):
            rules.append(f'{names} {{ content: "\\{code}" / "" }}')
            codes.add(int(code, 16))
    for file, (family, weight) in FONTS.items():
        options = Options(flavor="woff", notdef_outline=True)
        font = load_font(
            str(installed("pydata-sphinx-theme", f"{THEME}/vendor/fontawesome/webfonts/{file}.ttf")), options
        )
        subsetter = Subsetter(options)
        subsetter.populate(unicodes=codes)
        subsetter.subset(font)
        save_font(font, str(folder / f"{file}.woff"), options)
        source = f'font-display: block; src: url("{file}.woff") format("woff")'
        rules.append(f'@font-face {{ font-family: "{family}"; font-weight: {weight}; {source} }}')
    (folder / "icons.css").write_text("\n".join(rules) + "\n", encoding="utf-8")


def drop_mathematics(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Leave MathJax out of a page without formulas: Sphinx also looks for some on the pages that its contents list."""
    if not FORMULA.search(context.get("body", "")):
        context["script_files"][:] = [
            script for script in context["script_files"] if "mathjax" not in f"{script} {script.attributes}".lower()
        ]


def drop_unused(app: Sphinx, exception: Exception | None) -> None:
    """Remove what the theme brings and no page asks for."""
    for pattern in UNUSED:
        for file in (Path(app.outdir) / "_static").glob(pattern):
            file.unlink()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("config-inited", configure)
    app.connect("builder-inited", copy)
    app.connect("html-page-context", drop_mathematics, priority=600)  # after Sphinx
    app.connect("build-finished", drop_unused)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
