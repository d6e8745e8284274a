"""Notebooks to download: the chapters as they ran, with the numbers of this build in their text.

Jupyter shows roles and directives of MyST as they are written. So the notebook that a page offers is made here, from
what the build executed: a quoted number stands as a number, a citation by its authors, a definition, theorem or
exercise as a quotation under its name. The code is the chapter's; figures and printed text are kept.
"""

from __future__ import annotations

import ast
import posixpath
import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import nbformat
from full_run import quoted
from nbformat import NotebookNode
from pybtex.richtext import Text
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from outputs import executed_notebooks

ROLE = re.compile(r"\{([\w:-]+)\}`([^`]+)`")
GLUED = re.compile(r"(?:(?P<page>.+)::)?(?P<key>[^:]+)(?::(?P<format>\w+))?")
TITLED = re.compile(r"(?P<text>.+?)\s*<(?P<target>[^<>]+)>")  # of a role that is a link
DIRECTIVE = re.compile(r"^(`{3,})\{([\w:-]+)\}[ \t]*(.*)\n(?:(?s:(.*?))\n)??\1`*$", re.MULTILINE)
INCLUDED = re.compile(r"^```\{include\} (.+)\n```$", re.MULTILINE)
OPTIONS = re.compile(r"\A(?::[\w-]+:.*\n?)+")
LABELLED = re.compile(r"^`{3,}\{prf:(\w+)\}[ \t]*(.*)\n:label: (\S+)", re.MULTILINE)
PAGE_ONLY = {"claims-ledger", "claims-summary", "for-lecturers", "full-run", "gpu-run", "reproducibility"}
HEADS = {"margin": "Note", "drawing": "The page has a drawing here"}
UNSEEN = re.compile(r"^(?:\([\w-]+\)=\n|% .*\n+)", re.MULTILINE)  # targets and comments
LABEL = re.compile(r"^(?:\((?=[\w-]+\)=)|:label: )([\w-]+)", re.MULTILINE)
LINK = re.compile(r"\]\(([\w./-]+)\)")
KEPT = re.compile(r"image/|text/(plain|html)$")


class Reader:
    """Turns the text of the chapters into Markdown that needs no MyST."""

    def __init__(self, app: Sphinx, chapters: dict[str, NotebookNode]) -> None:
        self.app = app
        self.numbers = {docname: glued(notebook) for docname, notebook in chapters.items()}
        source = "\n".join(cell.source for notebook in chapters.values() for cell in notebook.cells)
        self.names = {label: named(kind, title) for kind, title, label in LABELLED.findall(source)}
        self.homes = {
            label: docname
            for docname, notebook in chapters.items()
            for cell in notebook.cells
            for label in LABEL.findall(cell.source)
        }

    def markdown(self, docname: str, text: str) -> str:
        """Rewrite a text of a page."""
        folder = Path(self.app.env.doc2path(docname)).parent
        text = INCLUDED.sub(lambda match: (folder / match[1]).read_text(encoding="utf-8").rstrip(), text)
        text = ROLE.sub(lambda match: self.role(docname, *match.groups()), UNSEEN.sub("", text))
        text = LINK.sub(lambda match: f"]({self.address(docname, match[1])})", text)
        return DIRECTIVE.sub(lambda match: directive(*match.groups()[1:]), text)

    def role(self, docname: str, name: str, content: str) -> str:
        """Give the text of a role."""
        if name == "glue:text":
            page, key, form = GLUED.fullmatch(content).groups()  # type: ignore[union-attr]
            return format(self.numbers[docname if page is None else self.page(docname, page)][key], form or "")
        if name in {"cite", "cite:t"}:
            cited = [self.authors(key) for key in content.split(",")]
            if name == "cite:t":
                return ", ".join(f"{names} ({year})" for names, year in cited)
            return f"({'; '.join(f'{names}, {year}' for names, year in cited)})"
        if link := TITLED.fullmatch(content):
            return link["text"]
        if name == "prf:ref":
            return self.names[content]
        if name == "term":
            return content
        if name == "full-claim":
            return "{}*{}*".format(*quoted(content))
        if name == "glyph":  # it stands beside its word
            return ""
        raise ExtensionError(f"{docname}: no text is known for the role {name!r}")

    def authors(self, key: str) -> tuple[str, str]:
        """Name the authors and the year of an entry of the bibliography."""
        entry = self.app.env.get_domain("cite").bibdata.data.entries[key]  # type: ignore[attr-defined]
        people = [Text.from_latex(" ".join(p.prelast_names + p.last_names)) for p in entry.persons["author"]]
        names = f"{people[0]} et al." if len(people) > 2 else " and ".join(map(str, people))
        return names, entry.fields["year"]

    def address(self, docname: str, target: str) -> str:
        """Give the published address of a page or a label that a page links to; anything else stays as it is."""
        if target.endswith(".md"):
            return self.published(self.page(docname, target))
        return f"{self.published(self.homes[target])}#{target}" if target in self.homes else target

    def page(self, docname: str, file: str) -> str:
        """Name a page by its file, as another page gives it."""
        return posixpath.normpath(posixpath.join(posixpath.dirname(docname), file.removesuffix(".md")))

    def published(self, docname: str) -> str:
        """Give the address of a page of the published book."""
        return urljoin(self.app.config.html_baseurl, self.app.builder.get_target_uri(docname))


def glued(notebook: NotebookNode) -> dict[str, str]:
    """Read what a notebook glued, by name."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    kept = {output.get("metadata", {}).get("scrapbook", {}).get("name"): output.get("data") for output in outputs}
    return {name: str(ast.literal_eval(text)) for name, data in kept.items() if name for text in data.values()}


def named(kind: str, title: str) -> str:
    """Name a theorem or an exercise."""
    return f"{kind.capitalize()} ({title})" if title else kind.capitalize()


def directive(name: str, argument: str, body: str | None) -> str:
    """Turn a directive into Markdown."""
    if name in {"index", "solution-end"}:
        return ""
    if name == "solution-start":
        return "**Solution.**"
    if name == "lab":
        return "*The page has a lab here. In a notebook: `from mvtheory.lab.widget import Lab; Lab()`.*"
    if name == "self-check":
        return "*The page has a self-check here: predict the verdicts of this chapter's claims, then look.*"
    if name in PAGE_ONLY:
        return "*The page has a table or a list here.*"
    if name not in {"admonition", "exercise", *HEADS} and not name.startswith("prf:"):
        raise ExtensionError(f"no Markdown is known for the directive {name!r}")
    head = HEADS.get(name) or (argument if name == "admonition" else named(name.removeprefix("prf:"), argument))
    text = f"**{head}.** {OPTIONS.sub('', body or '').strip()}"
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def readable(reader: Reader, docname: str, notebook: NotebookNode) -> NotebookNode:
    """Make the notebook to download, from the executed one."""
    page = reader.published(docname)
    said = f"*Made from {page}. The numbers in the text are of that page: they stay when you run code.*"
    made = nbformat.v4.new_notebook(metadata={"kernelspec": notebook.metadata.kernelspec})
    for cell in notebook.cells:
        if cell.cell_type == "code":
            outputs = [shown for output in cell.outputs if (shown := readable_output(output))]
            copies = [nbformat.v4.new_code_cell(cell.source, metadata=cell.metadata, outputs=outputs)]
            if caption := cell.metadata.get("mystnb", {}).get("figure", {}).get("caption"):
                copies.append(nbformat.v4.new_markdown_cell(reader.markdown(docname, caption)))
        else:
            copies = [nbformat.v4.new_markdown_cell(reader.markdown(docname, cell.source), metadata=cell.metadata)]
        for copy in copies:
            copy.id = f"cell-{len(made.cells)}"  # the same build gives the same file
            made.cells.append(copy)
    made.cells.insert(1, nbformat.v4.new_markdown_cell(said, id="source"))
    return made


def readable_output(output: NotebookNode) -> NotebookNode | None:
    """Keep figures and text; not what only a page can show, nor numbers for the text."""
    if "data" not in output:
        return output
    data = {mime: data for mime, data in output.data.items() if KEPT.match(mime)}
    lively = any("widget" in mime for mime in output.data)
    return NotebookNode(output, data=data) if data and not lively else None


def write_notebooks(app: Sphinx, exception: Exception | None) -> None:
    """Write the notebooks to where the theme's download button points."""
    if exception is not None or app.builder.format != "html":
        return
    chapters = dict(executed_notebooks(app))
    reader = Reader(app, chapters)
    for docname, notebook in chapters.items():
        file = (Path(app.outdir) / "_sources" / docname).with_suffix(".ipynb")
        nbformat.write(readable(reader, docname, notebook), file)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("build-finished", write_notebooks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
