"""A diagnosis as HTML: a fragment for notebooks, and a report in one file that needs no network."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from mvtheory.decision.tables import rows, sampled, scores_table
from mvtheory.decision.words import sentences

if TYPE_CHECKING:
    from mvtheory.diagnose import Diagnosis

__all__ = ["MAX_SIZE", "fragment", "report"]

#: Characters of a report.
MAX_SIZE = 300_000

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; font-size: .9rem; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #bbb; font-weight: normal; }
thead th { font-weight: bold; }
td { white-space: nowrap; }
.scroll { overflow-x: auto; }
svg { max-width: 100%; height: auto; }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #121212; } svg { filter: brightness(1.1); } }
"""


def fragment(d: Diagnosis) -> str:
    """Return the sentences and both tables."""
    said = "".join(f"<li><strong>{escape(head)}:</strong>{escape(rest)}</li>" for head, rest in _parted(d))
    errors = [
        (name, "undefined" if value is None else str(value), "" if seeds is None else seeds.interval_text, note)
        for name, value, seeds, note in rows(d)
    ]
    first = _table(("", "over inputs", "over inputs and seeds", "to compare"), errors, "Errors, with 95% intervals")
    second = _table(
        ("", "one net", "logits averaged", "probabilities averaged"), scores_table(d), "One net and the average of all"
    )
    return f"<p>{len(d.errors)} nets, {d.n} test inputs{sampled(d)}</p><ul>{said}</ul>{first}{second}"


def _parted(d: Diagnosis) -> list[tuple[str, str]]:
    return [(head, rest) for head, _, rest in (sentence.partition(":") for sentence in sentences(d))]


def _table(heads: tuple[str, ...], lines: Sequence[tuple[str, ...]], caption: str) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' if cell else "<td></td>" for cell in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in lines
    )
    table = f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">{table}</div>'


def report(d: Diagnosis) -> str:
    """Return the page: sentences, tables, and the pictures as SVG.

    Raises
    ------
    ValueError
        If it has more than `MAX_SIZE` characters.
    """
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Ensemble: {escape(d.verdict)}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>Is the ensemble worth it?</h1>{fragment(d)}<h2>Pictures</h2>{_picture(d)}</main></body></html>\n"
    )
    if len(page) > MAX_SIZE:
        raise ValueError(f"the report must have at most {MAX_SIZE} characters; got {len(page)}")
    return page


def _picture(d: Diagnosis) -> str:
    import matplotlib.pyplot as plt

    import mvtheory.plotting as plotting

    buffer = io.StringIO()
    with plt.rc_context():
        plotting.style()
        fig = d.plot()
        fig.savefig(buffer, format="svg", metadata={"Date": None})
        plt.close(fig)
    svg = re.sub("^.*?(?=<svg)|<!--.*?-->|<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
    errors = f"{d.errors[0].value_text} for one net, {d.errors[-1].value_text} for the average of {len(d.errors)}"
    alt = (
        f"Three pictures. The test error by number of nets: {errors}. For each two nets, the share of the errors of "
        "the first that the second gets right. Accuracy by confidence, of one net and of the average."
    )
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1)
