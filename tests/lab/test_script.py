"""The script against the reference in Python: the same bits."""

import random
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest
from playwright.sync_api import Page

from mvtheory.lab.reference import Experiment, _less_baseline
from mvtheory.lab.script import script
from mvtheory.lab.setting import PHASES, LabSetting

pytestmark = pytest.mark.slow  # in a browser

SCRIPT = script()

# Do the phases; give every number as hexadecimal digits of its bits.
RUN = """({ setting, phases }) => {
  const hex = numbers => Array.from(new Uint8Array(Float64Array.from(numbers).buffer),
    byte => byte.toString(16).padStart(2, "0")).join("");
  const experiment = new multiViewEngine.Experiment(setting);
  for (const phase of phases) for (const _ of experiment.phase(phase));
  return {
    runs: Object.fromEntries(Object.entries(experiment.runs).map(([name, run]) => [name, {
      W: hex(run.W.flatMap(W => Array.from(W))), loss: hex(run.loss), error: hex(run.error), steps: hex(run.steps),
    }])),
    rows: experiment.results().map(({ method, ...numbers }) => [method,
      ...Object.values(numbers).map(value => Number.isNaN(value) ? "nan" : hex([value]))]),
  };
}"""


def bits(numbers: np.ndarray) -> str:
    """Return the bits of numbers, as doubles, in hexadecimal digits."""
    return np.asarray(numbers, dtype=np.float64).tobytes().hex()


def by_reference(setting: LabSetting, phases: list[str]) -> dict:
    """Return what `RUN` should give."""
    experiment = Experiment(setting)
    for phase in phases:
        experiment.do(phase)
    runs = {
        name: {"W": bits(run.W), "loss": bits(run.loss), "error": bits(run.error), "steps": bits(run.steps)}
        for name, run in experiment.done.items()
    }
    rows = [
        [method, *("nan" if np.isnan(value) else bits(value) for value in numbers)]
        for method, *numbers in experiment.results().itertuples(index=False)
    ]
    return {"runs": runs, "rows": rows}


def problem(number: int) -> tuple[LabSetting, list[str]]:
    """Draw a small setting, and what is done with it."""
    rng = random.Random(number)
    k = rng.randint(2, 6)
    setting = LabSetting(
        k=k,
        M=rng.randint(2, 4),
        q=1 + number % 5,
        varrho=rng.choice([0.5, 2.0, 12.0]),
        sigma_0=rng.choice([0.06, 0.3, 2.0]),
        s=float(k) if number % 4 == 0 else round(rng.random() * k, 2),
        weak=round(rng.random() / 2, 2),
        Gamma=round(rng.random() / 2, 2),
        rho=rng.choice([0.0, 0.01, 1.0]),
        favour=rng.choice([1.0, 1.5]),
        N=rng.randint(20, 60),
        m=rng.randint(1, 5),
        nets=rng.randint(1, 4),
        seed=rng.randint(0, 10**6 - 1),
        steps=60,
        student_steps=40,
        n_test=60,
        C_p=rng.choice([1, 2]),
        from_start=rng.random() < 0.5,
        main_high=rng.choice([1.0, 1.1]),  # patches that are all alike, or all different
    )
    again = {0: [PHASES[-1], "average", "self-distil"], 1: [PHASES[-1], "train", "distil"], 2: []}
    return setting, [*PHASES[:-1], *again[number % 3]]


@pytest.fixture(scope="module")
def page(script_page: Callable[[str], Page]) -> Page:
    """A page with the script."""
    return script_page(SCRIPT)


@pytest.mark.parametrize("number", range(20))
def test_the_script_computes_the_same_bits(page: Page, number: int) -> None:
    setting, phases = problem(number)
    assert page.evaluate(RUN, {"setting": asdict(setting), "phases": phases}) == by_reference(setting, phases)


def test_baselines_are_the_same(page: Page) -> None:
    """On outputs of which none is 0, as noise would make them."""
    setting = LabSetting(k=4, M=3, s=1.7)
    G = np.random.default_rng(0).random((1, 90, 4))
    given = {"setting": asdict(setting), "G": G.flatten().tolist()}
    found = page.evaluate("({ setting, G }) => Array.from(multiViewEngine.lessBaseline(setting, G))", given)
    assert found == _less_baseline(setting, G).flatten().tolist()


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("const LN2_LOW = 1.9082149292705877e-10", "const LN2_LOW = 1.9082149e-10"),
        ("p * r + E5", "p * r + 1 / 120.0001"),
        ("const SQRT2 = 1.4142135623730951", "const SQRT2 = 1.5"),
        ("sum += above - t + (t * slope) / q", "sum += above + ((t * slope) / q - t)"),
        ("this.a = this.b ^ (this.b >>> 9)", "this.a = this.b ^ (this.b >>> 8)"),
        ("for (const loss of losses) sum += loss", "for (const loss of [...losses].reverse()) sum += loss"),
    ],
)
def test_any_other_arithmetic_is_noticed(script_page: Callable[[str], Page], text: str, changed: str) -> None:
    assert SCRIPT.count(text) == 1
    setting, phases = LabSetting(k=4, s=2.0, N=40, m=4, nets=3, n_test=40), ["train"]
    other = script_page(SCRIPT.replace(text, changed))
    assert other.evaluate(RUN, {"setting": asdict(setting), "phases": phases}) != by_reference(setting, phases)
    other.close()


def test_work_can_be_put_down_after_each_net(page: Page) -> None:
    """So a slice is never longer than the work of one net."""
    slices, steps = page.evaluate(
        """setting => {
          const experiment = new multiViewEngine.Experiment(setting);
          const slices = [...experiment.phase("train")].length;
          return [slices, experiment.runs.nets.steps.reduce((sum, steps) => sum + steps)];
        }""",
        asdict(LabSetting(k=4, s=2.0, N=40, m=4, nets=3, n_test=40)),
    )
    assert slices == steps + 3 * 3  # a start, a last look and a test of each net; few inputs


def test_the_script_is_small_and_asks_nobody() -> None:
    assert len(SCRIPT.encode()) < 60_000
    assert not [word for word in ("fetch(", "XMLHttpRequest", "import(", "Worker(", "https://") if word in SCRIPT]
