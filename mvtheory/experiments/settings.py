"""The setting of the book: one distribution, one learner, one schedule, one rule for students."""

from __future__ import annotations

from dataclasses import dataclass

from mvtheory._check import check_choice, check_int, check_number, check_type
from mvtheory.data import MultiView
from mvtheory.distillation import OnOff
from mvtheory.model import Activation, SReLU
from mvtheory.training import Schedule

__all__ = ["SETTING", "STARTS", "TASK", "Setting"]

#: Where students begin: at an initialisation of their own, or where the labels have led them.
STARTS = ("random", "labels")

MAX_NETS = 10_000  # of a data set; more are a mistake, and would fill the memory

#: The multi-view distribution of the book.
TASK = MultiView(
    k=16, P=24, d=56, C_p=1, s=4.0, main=(1.0, 1.0), weak=(0.4, 0.4), rho=0.01, Gamma=0.4, noise_signal=0.05,
    noise_background=0.55,
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """Everything that the results depend on, besides the number of the data set.

    Parameters
    ----------
    task : MultiView
        The distribution.
    n_multi_view, n_single_view : int
        Training inputs of each kind.
    activation : SReLU
        Power and cut.
    m : int
        Neurons per class.
    sigma_0 : float
        Standard deviation of the initial weights.
    members : int, >= 1
        Nets of a data set that are trained on the labels, each for itself: its single nets, and together its ensemble.
    students : int, >= 0
        Students of each kind of a data set, and averages that are trained jointly, of as many nets as the ensemble.
        Students of single nets are members, and learn from other members.
    schedule : Schedule
        Training on labels.
    distillation_schedule : Schedule
        Training of students on labels and teacher.
    weight : float
        Weight of the distillation rule.
    threshold, cut : float
        Those of the on/off rule, for a teacher that is one net.
    slack, slack_after_labels : float
        That of the rule, for students that begin at random and for those that begin after the labels. The first must
        be kept from outputs just below the cut on all inputs, the others be left their own views, whose outputs lie
        there.
    test_single_view, test_multi_view : int
        Test inputs of each kind.
    """

    task: MultiView = TASK
    n_multi_view: int = 639
    n_single_view: int = 1
    activation: SReLU = SReLU(q=4, varrho=24.0)
    m: int = 12
    sigma_0: float = 0.44
    members: int = 10
    students: int = 4
    schedule: Schedule = Schedule(steps=1000, stop_loss=0.001, eta=1e6, max_change=0.15)
    distillation_schedule: Schedule = Schedule(steps=8000, stop_loss=0.0003, eta=240000.0, max_change=0.1, warn=False)
    weight: float = 0.1
    threshold: float = 0.1
    cut: float = 0.4
    slack: float = 0.7
    slack_after_labels: float = 0.95
    test_single_view: int = 2048
    test_multi_view: int = 1024

    def __post_init__(self) -> None:
        for name, kind in {"task": MultiView, "schedule": Schedule, "distillation_schedule": Schedule}.items():
            check_type(name, getattr(self, name), kind)
        check_type("activation", self.activation, Activation)
        for name in ("n_multi_view", "n_single_view", "students"):
            check_int(name, getattr(self, name), low=0)
        for name in ("m", "members", "test_single_view", "test_multi_view"):
            check_int(name, getattr(self, name), low=1)
        for name in ("members", "students"):
            check_int(name, getattr(self, name), high=MAX_NETS)
        check_number("sigma_0", self.sigma_0, low=0, open_low=True)
        check_number("weight", self.weight, low=0)
        for start in STARTS:
            self.rule(1, start)  # checks what the rule is made of

    def rule(self, L: int, start: str) -> OnOff:
        """Return the on/off rule for students that begin at `start`.

        The teacher is an average of `L` nets: a class is on if one of them has it on. The baseline of a class is its
        median output on the inputs that hold none of its views; their expected share is
        :math:`(1 - s/k)^M`.
        """
        check_int("L", L, low=1)
        blank = (1 - self.task.s / self.task.k) ** self.task.M
        slack = self.slack if check_choice("start", start, STARTS) == "random" else self.slack_after_labels
        return OnOff(self.threshold / L, self.cut, slack, baseline_quantile=blank / 2)


#: The setting of the book.
SETTING = Setting()
