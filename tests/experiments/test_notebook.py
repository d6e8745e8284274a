"""Claims and numbers in a notebook: shown as tables, glued as texts."""

import sys

import nbformat
import pytest
from nbclient import NotebookClient

from mvtheory.claims import CLAIM_MIME, Claim
from mvtheory.experiments.notebook import glue_values, record
from mvtheory.measurement import Estimate

CODE = """
from mvtheory.claims import Claim
from mvtheory.experiments.notebook import glue_values, record
from mvtheory.measurement import Estimate
found, raw = (Estimate(value, value - 0.006, value + 0.006, nets=50, draws=5) for value in (0.50212, 0.4951))
claims = [Claim(id, "Averaging helps.", (0.49, 0.51), "06", "derived", "all") for id in ("rf", "rf-raw")]
record(claims[0].measure(found, seconds=1.5), claims[1].measure(found, seconds=1.5, raw=raw))
glue_values({"count": 3, "estimate": found})
"""


@pytest.mark.slow
def test_claims_are_shown_and_their_numbers_glued_as_texts():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
    outputs = NotebookClient(notebook, timeout=120).execute().cells[0].outputs
    shown = [out.data[CLAIM_MIME] for out in outputs if CLAIM_MIME in out.data]
    assert [(claim["id"], claim["verdict"]) for claim in shown] == [("rf", "holds"), ("rf-raw", "holds")]
    (table,) = [out.data["text/html"] for out in outputs if "text/html" in out.data]
    assert table.count("<tr data-claim=") == 2, "one table for both claims"
    mime = "application/papermill.record/text/plain"  # this prefix keeps them off the page
    glued = {out.metadata["scrapbook"]["name"]: out.data[mime] for out in outputs if "scrapbook" in out.metadata}
    texts = {
        "measured": "'0.502'",
        "interval": "'[0.496, 0.508]'",
        "predicted": "'0.49 to 0.51'",
        "verdict": "'holds'",
        "nets": "'50'",
        "draws": "'5'",
    }
    own = {f"{id}-{key}": text for id in ("rf", "rf-raw") for key, text in texts.items()}
    raw = {"rf-raw-raw": "'0.495 [0.489, 0.501]'"}
    assert glued == own | raw | {"count": "'3'", "estimate": "'0.502 [0.496, 0.508]'"}


def test_claims_that_were_not_measured_are_refused():
    with pytest.raises(ValueError, match="claim 'a' must be measured first"):
        record(Claim("a", "A claim.", (0.0, 1.0), "02", "derived", "all"))


def test_what_is_missing_is_named(monkeypatch):
    claim = Claim("a", "A claim.", (0.0, 1.0), "02", "derived", "all")
    claim = claim.measure(Estimate(0.5, 0.4, 0.6, 1, 1), seconds=1)
    monkeypatch.setitem(sys.modules, "myst_nb", None)
    with pytest.raises(ImportError, match=r"gluing needs myst-nb: pip install 'mvtheory\[book\]'"):
        glue_values({"a": 1})
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    with pytest.raises(ImportError, match=r"showing claims needs IPython: pip install 'mvtheory\[book\]'"):
        record(claim)
