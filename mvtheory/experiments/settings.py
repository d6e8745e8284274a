"""The two settings of the book: one for single nets and their averages, one for students."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mvtheory._check import check_int, check_number, check_type
from mvtheory.data import MultiView
from mvtheory.distillation import OnOff
from mvtheory.model import Activation, SReLU
from mvtheory.training import Schedule

__all__ = ["NET_SETTING", "STUDENT_SETTING", "TASK", "Setting"]

MAX_NETS = 10_000  # of a data set; more are a mistake, and would fill the memory

#: The multi-view distribution of the book, with weak views strong enough for students.
TASK = MultiView(
    k=10, P=22, d=64, C_p=2, C_weak=1, s=5.0, weak=(0.3, 0.3), rho=0.01, Gamma=0.15, noise_signal=0.1,
    noise_background=0.35,
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
        Nets of a data set that form an ensemble.
    ensembles : int, >= 1
        Disjoint ensembles of a data set.
    students : int, >= 0
        Further nets of a data set: trained on the labels like the members, then distilled into.
    averaged : int
        Nets whose average is trained jointly.
    schedule : Schedule
        Training on labels.
    distillation_schedule : Schedule
        Training on labels and teacher.
    weight : float
        Weight of the distillation rule.
    slack : float, in [0, 1)
        That of the on/off rule.
    test_single_view, test_multi_view : int
        Test inputs of each kind.
    """

    task: MultiView = TASK
    n_multi_view: int = 798
    n_single_view: int = 2
    activation: SReLU = SReLU(q=3, varrho=12.0)
    m: int = 8
    sigma_0: float = 0.06
    members: int = 10
    ensembles: int = 1
    students: int = 2
    averaged: int = 5
    schedule: Schedule = Schedule(steps=800, stop_loss=0.1, eta=12000.0, max_change=0.3)
    distillation_schedule: Schedule = Schedule(steps=450, stop_loss=0.03, eta=4000.0, max_change=0.2, warn=False)
    weight: float = 4.0
    slack: float = OnOff.slack
    test_single_view: int = 2000
    test_multi_view: int = 1000

    def __post_init__(self) -> None:
        for name, kind in {"task": MultiView, "schedule": Schedule, "distillation_schedule": Schedule}.items():
            check_type(name, getattr(self, name), kind)
        check_type("activation", self.activation, Activation)
        for name in ("n_multi_view", "n_single_view", "students", "averaged"):
            check_int(name, getattr(self, name), low=0)
        for name in ("m", "members", "ensembles", "test_single_view", "test_multi_view"):
            check_int(name, getattr(self, name), low=1)
        check_int("members * ensembles + students", self.nets, high=MAX_NETS)
        check_number("sigma_0", self.sigma_0, low=0, open_low=True)
        check_number("weight", self.weight, low=0)

    @property
    def nets(self) -> int:
        """Nets of a data set that are trained on labels alone: all members, then the students."""
        return self.members * self.ensembles + self.students

    def rule(self, L: int) -> OnOff:
        """Return the on/off rule for a teacher that is an average of `L` nets.

        The baseline of a class is its median output on the inputs that hold none of its views; their expected share is
        :math:`(1 - s/k)^M`.
        """
        blank = (1 - self.task.s / self.task.k) ** self.task.M
        return replace(OnOff.for_average(L), baseline_quantile=blank / 2, slack=self.slack)


#: The setting in which students are measured: weak views that distillation can find.
STUDENT_SETTING = Setting()

#: The setting in which single nets and their averages are measured: a higher power, weaker weak views, more noise to
#: memorise single-view inputs by, finer steps, and training until every class of every net has a large output.
NET_SETTING = replace(
    STUDENT_SETTING,
    task=replace(TASK, weak=(0.2, 0.2), Gamma=0.29, noise_signal=0.05, noise_background=0.57),
    n_multi_view=498,
    ensembles=2,
    students=0,
    activation=SReLU(q=4, varrho=12.0),
    sigma_0=0.3,
    schedule=Schedule(steps=1600, stop_loss=0.01, eta=30000.0, max_change=0.2),
)
