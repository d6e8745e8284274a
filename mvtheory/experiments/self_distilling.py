"""Claims about students of a single net: they err where both they and their teacher did before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvtheory.ensemble import learned_views
from mvtheory.experiments.base import STUDENT_DRAWS, Measurement
from mvtheory.experiments.nets import Nets, distilled_students, each_draw, singles
from mvtheory.experiments.settings import SETTING, Setting
from mvtheory.measurement import Estimate, difference_over_draws, error_rate, over_draws

__all__ = [
    "ESTIMATORS",
    "ViewCounts",
    "both_wrong",
    "count_views",
    "errors_beyond_both",
    "pair_error",
    "pairs_wrong",
    "views_by_stage",
]


class ViewCounts(NamedTuple):
    """Views of students of single nets, summed over classes, students and data sets.

    Attributes
    ----------
    own, own_kept : int
        Views that students had learned before distillation, and those of them that they hold after it.
    new, new_taken : int
        Views that only their teachers had learned, and those of them that the students hold after it.
    """

    own: int
    own_kept: int
    new: int
    new_taken: int


def both_wrong(nets: Nets) -> Float[Tensor, " students"]:
    """Return the share of single-view inputs that a student before distillation and its teacher get wrong.

    Parameters
    ----------
    nets : Nets
        All nets of a data set.

    Returns
    -------
    Tensor, shape [students]
    """
    student, teacher = (torch.from_numpy(some.wrong("single-view")) for some in (nets.students, nets.teachers))
    return (student & teacher).double().mean(-1)


def pairs_wrong(nets: Nets) -> float:
    """Return the share of single-view inputs that two nets of a data set both get wrong, a mean over all pairs."""
    L, wrong = (
        len(nets.nets),
        torch.from_numpy(nets.wrong("single-view")).double().sum(0),
    )  # nets that are wrong, by input
    return float((wrong * (wrong - 1)).mean() / (L * (L - 1)))


def self_distill(draws: Sequence[int] = STUDENT_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the error of students of single nets on single-view inputs.

    It is adjusted by a control variate: the share of inputs that student and teacher both get wrong before
    distillation, minus its mean over all pairs of nets, any of which could have been student and teacher.
    """
    base, students = each_draw(singles, draws, setting), each_draw(distilled_students, draws, setting, "single")
    adjusted = [
        [after.errors("single-view").mean() - both_wrong(nets).numpy().mean() + pairs_wrong(nets)]
        for nets, after in zip(base, students, strict=True)
    ]
    count, points = setting.students * len(students), setting.test_single_view
    raw = over_draws([nets.errors("single-view") for nets in students], points=points)
    return Measurement(over_draws(adjusted, points=points, nets=count, bounds=(-1, 1)), _seconds(students), raw)


def self_distill_product(draws: Sequence[int] = STUDENT_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the error of students of single nets, minus the share of inputs that both got wrong before."""
    base, students = each_draw(singles, draws, setting), each_draw(distilled_students, draws, setting, "single")
    return Measurement(beyond_both(base, students), _seconds(students))


def beyond_both(base: Sequence[Nets], students: Sequence[Nets]) -> Estimate:
    """Return the error of students of single nets, minus the share of single-view inputs that both got wrong before.

    Parameters
    ----------
    base, students : sequence of Nets
        All nets of each data set before distillation, and its students after it.

    Returns
    -------
    Estimate
    """
    return difference_over_draws(
        [nets.errors("single-view") for nets in students],
        [both_wrong(nets) for nets in base],
        points=len(base[0].labels("single-view")),
        nets=sum(len(nets.nets) for nets in students),
    )


def pair_error(base: Sequence[Nets]) -> Estimate:
    """Return the error on single-view inputs of the average of a student before distillation and its teacher."""
    errors = []
    for nets in base:
        pairs = (nets.teachers.outputs["single-view"] + nets.students.outputs["single-view"]) / 2
        errors.append(error_rate(pairs, nets.labels("single-view")))
    return over_draws(errors, points=len(base[0].labels("single-view")))


def count_views(base: Sequence[Nets], students: Sequence[Nets]) -> ViewCounts:
    """Count the views that students of single nets had, could gain, and hold in the end.

    Parameters
    ----------
    base, students : sequence of Nets
        For each data set, all nets, and the students after distillation.

    Returns
    -------
    ViewCounts
    """
    counts = torch.zeros(4, dtype=torch.int64)
    for nets, after in zip(base, students, strict=True):
        teacher, own, now = views_by_stage(nets, after)
        new = teacher & ~own
        counts += torch.stack([own.sum(), (now & own).sum(), new.sum(), (now & new).sum()])
    return ViewCounts(*counts.tolist())


def errors_beyond_both(base: Sequence[Nets], students: Sequence[Nets]) -> tuple[int, int]:
    """Count the single-view inputs that students get wrong although they or their teachers were right before.

    Parameters
    ----------
    base, students : sequence of Nets
        For each data set, all nets, and the students after distillation.

    Returns
    -------
    beyond, lacked : int
        All of them, and those whose kept view the student does not hold.
    """
    beyond = lacked = 0
    for nets, after in zip(base, students, strict=True):
        both = nets.students.wrong("single-view") & nets.teachers.wrong("single-view")
        more = after.wrong("single-view") & ~both
        kept, y = nets.draw.test_single_view.kept, nets.labels("single-view")
        lacks = ~learned_views(after.nets, nets.draw.task.views)[:, y, kept].numpy()
        beyond, lacked = beyond + int(more.sum()), lacked + int((more & lacks).sum())
    return beyond, lacked


def views_by_stage(nets: Nets, after: Nets) -> Bool[Tensor, "3 students k M"]:
    """Return the views that teachers, students before distillation, and students after it have learned."""
    stages = nets.teachers, nets.students, after
    return torch.stack([learned_views(stage.nets, nets.draw.task.views) for stage in stages])


def _seconds(runs: Sequence[Nets]) -> float:
    return sum(nets.seconds for nets in runs)


#: The estimators of the chapter's claims, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {
    "self-distill": self_distill,
    "self-distill-product": self_distill_product,
}
