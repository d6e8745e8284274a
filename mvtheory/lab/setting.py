"""What a reader of the lab may change, the ranges of it, and presets named by what they show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from mvtheory._check import check_choice, check_int, check_number
from mvtheory.training import Schedule

__all__ = ["BOOK", "FIELDS", "PANELS", "PHASES", "PRESETS", "Field", "LabSetting", "page"]


@dataclass(frozen=True)
class Field:
    """A number of the setting that a reader may change.

    Parameters
    ----------
    label : str
        What it is called in words.
    low, high : float
        Least and largest value, both allowed.
    step : float
        Of the input; 1 for integers.
    """

    label: str
    low: float | int
    high: float | int
    step: float | int = 1


#: The numbers that a reader may change, by name, in the order of the inputs.
FIELDS = {
    "k": Field("classes", 2, 30),
    "M": Field("views of a class", 2, 5),
    "q": Field("power of the activation", 1, 6),
    "varrho": Field("cut between power and linear part", 0.1, 100.0, 0.1),
    "sigma_0": Field("scale of the initial weights", 0.001, 100.0, 0.01),
    "s": Field("views of other classes, each in s/k of the inputs", 0.0, 30.0, 0.5),
    "weak": Field("strength of views of other classes", 0.0, 1.0, 0.01),
    "Gamma": Field("the same, in test inputs", 0.0, 1.0, 0.01),
    "rho": Field("strength of the missing view, in test inputs", 0.0, 1.0, 0.01),
    "favour": Field("strength of view 1 against the others", 0.5, 3.0, 0.05),
    "N": Field("training inputs", 10, 2000, 10),
    "m": Field("neurons of a class", 1, 20),
    "nets": Field("and students of each kind", 1, 20),
    "seed": Field("of all that is random", 0, 999999),
}


@dataclass(frozen=True)
class LabSetting:
    """Everything that a run of the lab depends on.

    The first fields are the reader's, see :data:`FIELDS`.
    Defaults are a world in which a browser trains ten nets in a moment: fewer classes than
    :data:`mvtheory.experiments.settings.SETTING`, a lower power, and no noise. The slack is large: a student's own
    views stay above the threshold, so that it can be a teacher in its turn.

    Parameters
    ----------
    k, M, s, weak, Gamma, rho
        Those of :class:`mvtheory.data.MultiView`; all weak views are equally strong.
    q, varrho
        Those of :class:`mvtheory.model.SReLU`.
    sigma_0 : float
        Standard deviation of the initial products of neurons and views.
    favour : float
        Factor on the strength of view 1 of each label.
    N : int
        Training inputs, all of them multi-view.
    m : int
        Neurons per class.
    nets : int
        Nets, and students of each kind.
    seed : int
        Of everything.
    steps, stop_loss, eta, max_change
        The :class:`mvtheory.training.Schedule` of the labels.
    from_start : bool
        The students of the ensemble begin with labels and teacher at once; else they learn from the labels first, as
        students of a single net always do.
    threshold, cut, slack, weight
        Those of :class:`mvtheory.distillation.OnOff` for a teacher that is one net, and its weight.
    student_steps, student_stop_loss, student_eta, student_max_change
        The schedule of distillation.
    C_p, C_weak, main_low, main_high
        Patches and strengths of the label's views, and patches of the others, see :class:`mvtheory.data.MultiView`.
    n_test : int
        Single-view test inputs.
    """

    k: int = 10
    M: int = 2
    q: int = 3
    varrho: float = 12.0
    sigma_0: float = 0.06
    s: float = 5.0
    weak: float = 0.3
    Gamma: float = 0.15
    rho: float = 0.01
    favour: float = 1.0
    N: int = 500
    m: int = 8
    nets: int = 10
    seed: int = 1
    steps: int = 800
    stop_loss: float = 0.1
    eta: float = 12000.0
    max_change: float = 0.3
    from_start: bool = True
    threshold: float = 0.3
    cut: float = 0.5
    slack: float = 0.8
    weight: float = 4.0
    student_steps: int = 450
    student_stop_loss: float = 0.03
    student_eta: float = 4000.0
    student_max_change: float = 0.2
    C_p: int = 2
    C_weak: int = 1
    main_low: float = 1.0
    main_high: float = 1.1
    n_test: int = 1000

    def __post_init__(self) -> None:
        for name, allowed in FIELDS.items():
            check_number(name, getattr(self, name), allowed.low, allowed.high)
            if isinstance(getattr(type(self), name), int):
                check_int(name, getattr(self, name))
        check_number("s (at most all classes)", self.s, 0, self.k)

    @property
    def schedule(self) -> Schedule:
        """That of the labels."""
        return Schedule(self.steps, self.stop_loss, self.eta, self.max_change)

    @property
    def student_schedule(self) -> Schedule:
        """That of distillation."""
        return Schedule(self.student_steps, self.student_stop_loss, self.student_eta, self.student_max_change)


#: The numbers of :data:`mvtheory.experiments.settings.SETTING`, less noise and single-view training inputs; steps are
#: coarser, and end at a larger loss.
BOOK = LabSetting(
    k=16, q=4, varrho=24.0, sigma_0=0.44, s=4.0, weak=0.4, Gamma=0.4, N=640, m=12, steps=1000, stop_loss=0.01, eta=1e6,
    threshold=0.1, cut=0.4, slack=0.95, weight=0.1, student_steps=2000, student_stop_loss=0.003, student_eta=240000.0,
    student_max_change=0.1, C_p=1, main_high=1.0, n_test=2048,
)  # fmt: skip

#: Settings named by what they show.
PRESETS = {
    "two views": LabSetting(),
    "the book's setting": BOOK,
    "plain ReLU": LabSetting(q=1),
    "q = 2": LabSetting(q=2),
    "large start": LabSetting(sigma_0=10.0),
    "three views": LabSetting(M=3),
    "views never missing": LabSetting(rho=1.0),
    "strong favourite": LabSetting(favour=2.0),
}

#: What the buttons of the lab do, in the order in which they make sense.
PHASES = ("train", "average", "train the average", "distil", "self-distil", "next generation")

#: The parts of a lab that show what happens, in order.
PANELS = ("race", "grid", "errors", "loss")


def page(
    setting: LabSetting = LabSetting(),
    inputs: Iterable[str] = tuple(FIELDS),
    panels: Iterable[str] = PANELS,
    phases: Iterable[str] = PHASES,
    *,
    address: bool = False,
) -> dict[str, Any]:
    """Return what the lab's script wants to know, in terms of JSON.

    Parameters
    ----------
    setting : LabSetting
        Where the lab begins.
    inputs : iterable of str
        The numbers that may be changed, names of :data:`FIELDS`.
    panels : iterable of str
        What is shown, names of :data:`PANELS`.
    phases : iterable of str
        What can be done, names of :data:`PHASES`.
    address : bool
        Keep the setting in the page's address; for one lab on a page.

    Returns
    -------
    dict
    """
    whole = {name: isinstance(getattr(LabSetting, name), int) for name in FIELDS}
    return {
        "setting": asdict(setting),
        "fields": {name: {**asdict(field), "whole": whole[name]} for name, field in FIELDS.items()},
        "presets": {name: asdict(preset) for name, preset in PRESETS.items()},
        "inputs": [check_choice("inputs", name, FIELDS) for name in inputs],
        "panels": [check_choice("panels", name, PANELS) for name in panels],
        "phases": [check_choice("phases", name, PHASES) for name in phases],
        "address": address,
    }
