"""Questions about a chapter's claims, answered before the verdicts are seen: the directive ``self-check``.

.. code-block:: md

   ```{self-check}
   ```

The questions are made from what the chapter measured. They are plain HTML: a choice, and a fold with the answer. So
they need no kernel, no network and no script; on paper all folds are open (``print.js``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from claims import collect

if TYPE_CHECKING:
    from mvtheory.claims import Claim

MOST = 4  # questions of a chapter
CHOICES = {"holds": "holds", "fails": "fails", "inconclusive": "cannot tell"}
TITLE = "Predict the verdict, then look"
RULES = (
    "A claim <em>holds</em> if its whole 95% interval lies in the predicted range. It <em>fails</em> if all of it lies "
    "outside. Otherwise one <em>cannot tell</em>: the verdict is inconclusive."
)


def choose(claims: Sequence[Claim]) -> list[Claim]:
    """Choose the claims to ask about, in the order of the chapter.

    Verdicts take turns, so that the answers differ where they can; checks, which can hardly fail, come last.
    """
    seen: Counter[tuple[bool, str]] = Counter()
    ranked = []
    for place, claim in enumerate(claims):
        kind = claim.kind == "check", claim.verdict
        ranked.append((kind[0], seen[kind], place))
        seen[kind] += 1
    return [claims[place] for place in sorted(place for *_, place in sorted(ranked)[:MOST])]


def question(claim: Claim) -> str:
    """Write a question, its choices and its answer as HTML."""
    choices = "".join(
        f'<label><input type="radio" name="check-{claim.id}" value="{verdict}"'
        f"{' data-right' * (verdict == claim.verdict)}> {words}</label>"
        for verdict, words in CHOICES.items()
    )
    raw = "" if claim.raw is None else f" (before adjustment {claim.raw})"
    return (
        f'<fieldset class="self-check"><legend>{escape(claim.statement)}. '
        f"Predicted: {escape(claim.predicted_text)}.</legend>"
        f'<div class="choices">{choices}</div><details><summary>Look at the verdict</summary><p>'
        '<span class="right">As you predicted. </span><span class="wrong">Not as you predicted. </span>'
        f"Verdict: <strong>{claim.verdict}</strong>. Measured: {escape(f'{claim.measured}{raw}')}.</p></details>"
        "</fieldset>"
    )


class SelfCheckNode(nodes.General, nodes.Element):
    """Stands where the questions go until the chapter has run."""


class SelfCheck(SphinxDirective):
    """Questions about the claims of this page."""

    def run(self) -> list[nodes.Node]:
        """Leave a place for them."""
        return [SelfCheckNode()]


class FillSelfChecks(SphinxPostTransform):
    """Put the questions in their place."""

    default_priority = 8  # as the ledger

    def run(self, **kwargs: Any) -> None:
        """Replace each placeholder."""
        for place in list(self.document.findall(SelfCheckNode)):
            place.replace_self(self_check(self.app, self.env.docname))


def self_check(app: Sphinx, docname: str) -> nodes.admonition:
    """Make the box of questions of a page."""
    from mvtheory.claims import Claim  # here, so that a build without news does not wait for torch

    claims = [Claim.from_dict(fields) for page, fields in collect(app) if page == docname]
    if not claims:
        raise ExtensionError(f"{docname}: a self-check asks about the claims of its page, and there are none")
    html = f"<p>{RULES}</p>" + "".join(map(question, choose(claims)))
    return nodes.admonition("", nodes.title(text=TITLE), nodes.raw("", html, format="html"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_node(SelfCheckNode)
    app.add_directive("self-check", SelfCheck)
    app.add_post_transform(FillSelfChecks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
