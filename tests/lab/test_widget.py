"""The lab as a widget: the page's own script, and traits that bring numbers to Python."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mvtheory.lab
from mvtheory.lab.setting import PRESETS, LabSetting
from mvtheory.lab.widget import Lab

SCRIPT = Path(mvtheory.lab.__file__).with_name("lab.js")


def test_the_script_of_the_widget_is_the_page_s():
    esm = str(Lab._esm)
    assert esm.startswith(SCRIPT.read_text(encoding="utf-8"))
    assert esm.endswith("\nexport default { render: multiViewLab.render };\n")


def test_the_setting_comes_and_goes():
    lab = Lab(PRESETS["q = 2"])
    assert lab.setting == PRESETS["q = 2"]
    assert lab.config["setting"]["q"] == 2
    lab.values = {**lab.values, "seed": 5}  # as the page does
    assert lab.setting == replace(PRESETS["q = 2"], seed=5)
    with pytest.raises(ValueError, match="q must be a finite number in .1, 6.; got 0"):
        lab.values = {**lab.values, "q": 0}
    assert lab.setting.q == 2


def test_results_are_a_table():
    lab = Lab(LabSetting(k=3, s=2.0))
    assert lab.results.empty
    row = {"method": "single net", "error": 0.5, "predicted": 0.5, "loss": 0.1, "train_error": 0, "steps": 90}
    lab.rows = [
        row,
        {"method": "average of 2", "error": 0.25, "predicted": 0.25, "loss": None, "train_error": None, "steps": None},
    ]
    results = lab.results
    assert results.method.tolist() == ["single net", "average of 2"]
    assert results.error.tolist() == [0.5, 0.25]
    assert np.isnan(results.loss[1])
