"""What pages quote of the record of the full mode."""

import importlib
import json
from pathlib import Path

import pytest

from mvtheory.experiments.predictions import CLAIMS
from mvtheory.experiments.settings import SETTING
from mvtheory.measurement import Estimate

ROOT = Path(__file__).parents[1]


@pytest.fixture
def full_run(monkeypatch, tmp_path):
    """The extension, which lies beside the book, with a record of two claims, one of them in a former setting."""
    monkeypatch.syspath_prepend(ROOT / "book/_ext")
    extension = importlib.import_module("full_run")
    measured = CLAIMS["single"].measure(Estimate(0.495, 0.492, 0.498, nets=800, draws=80), seconds=1.0)
    entry = {"date": "2026-01-02", "processor": "one", "setting": repr(SETTING), "claim": measured.as_dict()}
    record = tmp_path / "full.json"
    record.write_text(json.dumps({"single": entry, "law": entry | {"setting": "Setting(k=3)"}}), encoding="utf-8")
    monkeypatch.setattr(extension, "RECORD", record)
    return extension


def test_a_claim_is_quoted_with_its_verdict(full_run):
    assert full_run.quoted("single") == ("0.4950 [0.4920, 0.4980] on 80 data sets, verdict ", "holds")


@pytest.mark.parametrize("id", ["law", "ensemble"])
def test_what_is_not_recorded_in_this_setting_is_not_quoted(full_run, id):
    with pytest.raises(LookupError, match=f"nothing of {id} in this setting: make full CLAIMS={id}"):
        full_run.quoted(id)
