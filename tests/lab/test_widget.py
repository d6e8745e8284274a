"""The lab as a widget: the page's own script, and traits that bring numbers to Python."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Page

from mvtheory.lab.reference import run
from mvtheory.lab.script import script
from mvtheory.lab.setting import PRESETS, LabSetting
from mvtheory.lab.widget import Lab

pytestmark = pytest.mark.slow  # in a browser


def test_the_script_of_the_widget_is_the_page_s():
    esm = str(Lab._esm)
    assert esm.startswith(script())
    assert esm.endswith("\nexport default { render: multiViewLab.render };\n")


def test_the_setting_comes_and_goes():
    lab = Lab(PRESETS["q = 2"])
    assert lab.setting == PRESETS["q = 2"]
    assert lab.config["setting"]["q"] == 2
    lab.values = {**lab.values, "seed": 5, "varrho": 12}  # as the page does
    assert repr(lab.setting) == repr(replace(PRESETS["q = 2"], seed=5))
    with pytest.raises(ValueError, match=r"q must be a finite number in \[1, 6\]; got 0"):
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


# A model as a notebook has it, of which Python sees what `save_changes` sends.
RENDER = """async ({ esm, config, values }) => {
  const module = await import(URL.createObjectURL(new Blob([esm], { type: "text/javascript" })));
  const traits = { config, values }, sent = [], listeners = {};
  const model = {
    get: name => traits[name],
    set: (name, value) => (traits[name] = value),
    save_changes: () => sent.push({ ...traits }),
    on: (name, act) => (listeners[name] = act),
  };
  document.body.innerHTML = "<div></div>";
  const remove = module.default.render({ model, el: document.body.firstChild });
  document.querySelector(".mv-buttons button:nth-child(4)").click(); // Train
  await new Promise(done => setInterval(() => sent.at(-1)?.rows.length && done(), 20));
  const trained = sent.at(-1);
  traits.values = { ...values, seed: 7 };
  listeners["change:values"]();
  remove();
  return { trained, seed: document.querySelector("[id$=-seed]").value, after: sent.at(-1) };
}"""


def test_the_module_renders_and_reports(script_page: Callable[[str], Page]) -> None:
    setting = LabSetting(k=3, s=1.0, N=60, m=5, nets=2, n_test=60)
    lab = Lab(setting)
    page = script_page("")
    page.emulate_media(reduced_motion="reduce")
    seen = page.evaluate(RENDER, {"esm": str(Lab._esm), "config": lab.config, "values": lab.values})
    lab.values, lab.rows = seen["trained"]["values"], seen["trained"]["rows"]
    assert lab.setting == setting
    pd.testing.assert_frame_equal(lab.results, run(setting, ["train"]), check_dtype=False)
    assert seen["seed"] == "7"
    assert seen["after"]["values"]["seed"] == 7
    assert seen["after"]["rows"] == []
