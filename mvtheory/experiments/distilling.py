"""Claims about students of an ensemble: what its outputs say about views, and what students take over from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mvtheory.distillation import Distillation, OnOff, Rule
from mvtheory.ensemble import average, learned_views, view_outputs
from mvtheory.experiments import rule_map
from mvtheory.experiments.base import DRAWS, STUDENT_DRAWS, Measurement
from mvtheory.experiments.control_variate import adjusted_for_lottery
from mvtheory.experiments.nets import Draw, Nets, distilled_students, each_draw, singles
from mvtheory.experiments.settings import SETTING, Setting
from mvtheory.measurement import difference_over_draws, error_rate, over_draws
from mvtheory.model import PatchNets
from mvtheory.training import train

__all__ = [
    "CASES",
    "ESTIMATORS",
    "errors_without_both_views",
    "on_shares",
    "outputs_by_case",
    "predicted_outputs",
    "train_students",
]

#: Which views of a class an input holds.
CASES = ("neither", "first", "second", "both")
ALL = slice(None)


def predicted_outputs(nets: Nets) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    r"""Return what the views predict for an ensemble's outputs for wrong classes, and these outputs.

    The prediction for class j is :math:`\sum_\ell 1\{v_{j,\ell}\ \mathrm{present}\}\, a_{j,\ell}` with the ensemble's
    output :math:`a_{j,\ell}` on one patch that holds the view at the strength of weak views, and nothing else.

    Parameters
    ----------
    nets : Nets
        All nets of a data set.

    Returns
    -------
    predicted, G : Tensor, shape [n]
        For each pair of a multi-view test input and a class that is not its label.
    """
    test = nets.draw.test_multi_view
    a = view_outputs(nets.nets, nets.draw.task.views, z=_weak(nets)).mean(0)  # [k, M]
    others = torch.arange(len(a)) != test.y[:, None]
    predicted = (test.present * a).sum(-1)
    return predicted[others], average(nets.outputs["multi-view"])[others]


def outputs_by_case(nets: Nets) -> tuple[Float[Tensor, " 4"], Float[Tensor, " 4"]]:
    """Return the mean output for wrong classes in each of `CASES`, and what the shares of learned views predict.

    Parameters
    ----------
    nets : Nets
        All nets of a data set, with two views a class.

    Returns
    -------
    measured, predicted : Tensor, shape [4]
        In units of u, the mean output of a net on one weak patch of a view that it has learned.
    """
    test, views = nets.draw.test_multi_view, nets.draw.task.views
    held = learned_views(nets.nets, views)  # [L, k, M]
    u = view_outputs(nets.nets, views, z=_weak(nets))[held].mean()
    predicted = (test.present * held.float().mean(0)).sum(-1)
    G = average(nets.outputs["multi-view"]) / u
    case = (test.present * torch.tensor([1, 2])).sum(-1)
    other = torch.arange(case.shape[-1]) != test.y[:, None]

    def means(values: Float[Tensor, "n k"]) -> Float[Tensor, " 4"]:
        return torch.stack([values[other & (case == c)].mean() for c in range(len(CASES))])

    return means(G), means(predicted)


def dark(draws: Sequence[int] = DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the share of the variance of an ensemble's outputs for wrong classes that the present views explain."""
    base = each_draw(singles, draws, setting)
    R2 = [[1 - float((G - predicted).square().mean() / G.var())] for predicted, G in map(predicted_outputs, base)]
    return Measurement(over_draws(R2, points=None, nets=setting.members * len(base)), _seconds(base))


def dark_case(case: str, draws: Sequence[int] = DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the mean output for wrong classes in one of `CASES`, minus the predicted one, in units of u."""
    base = each_draw(singles, draws, setting)
    gaps = [(measured - predicted)[CASES.index(case), None] for measured, predicted in map(outputs_by_case, base)]
    return Measurement(over_draws(gaps, points=None, nets=setting.members * len(base)), _seconds(base))


def distill(draws: Sequence[int] = STUDENT_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the error of students of the ensemble on single-view inputs.

    It is adjusted for the views that teacher and student are predicted to lack, see
    :func:`mvtheory.experiments.control_variate.adjusted_for_lottery`.
    """
    students, members = each_draw(distilled_students, draws, setting, "ensemble"), range(setting.members)
    known = [[*members, setting.members + student] for student in range(setting.students)]  # whose views each may have
    wrong, count = [nets.wrong("single-view") for nets in students], setting.students * len(students)
    adjusted, raw = adjusted_for_lottery([nets.draw for nets in students], wrong, [known] * len(students), count)
    return Measurement(adjusted, _seconds(students), raw)


def ensemble_after_kd(draws: Sequence[int] = STUDENT_DRAWS, setting: Setting = SETTING) -> Measurement:
    """Measure the error of the average of a data set's students, minus that of one student."""
    students = each_draw(distilled_students, draws, setting, "ensemble")
    gap = difference_over_draws(
        [[nets.average_error("single-view")] for nets in students],
        [nets.errors("single-view") for nets in students],
        points=setting.test_single_view,
        nets=setting.students * len(students),
    )
    return Measurement(gap, _seconds(students))


def errors_without_both_views(students: Sequence[Nets]) -> float:
    """Return the share of all errors on single-view inputs whose class the net has not learned both views of."""
    errors = lacking = 0
    for nets in students:
        wrong, y = torch.from_numpy(nets.wrong("single-view")), nets.labels("single-view")
        held = learned_views(nets.nets, nets.draw.task.views).all(-1)  # [L, k]
        errors += int(wrong.sum())
        lacking += int((wrong & ~held[:, y]).sum())
    return lacking / max(errors, 1)


def train_students(
    start: PatchNets,
    draw: Draw,
    G: Float[Tensor, "*L n k"] | None,
    rule: Rule | None = None,
    part: slice = ALL,
    **changes: Any,
) -> PatchNets:
    """Train students on labels and a teacher's outputs, in another way than :func:`distilled_students` does.

    Parameters
    ----------
    start : PatchNets
        Nets to begin with.
    draw : Draw
        Their data set.
    G : Tensor, shape [n, k] or [L, n, k], or None
        The teacher's outputs on all training inputs, for all students or for each; None: labels alone.
    rule : Rule, optional
        How a student is compared with its teacher; by default the on/off rule for a teacher that is one net, and for
        students that begin after the labels.
    part : slice
        Training inputs that are used.
    **changes
        What differs from the setting's ``distillation_schedule``: ``steps=200``.

    Returns
    -------
    PatchNets
    """
    s, objective = draw.setting, None
    if G is not None:
        G = G.expand(len(start), -1, -1)[:, part]
        objective = Distillation(draw.train.y[part], G, rule or s.rule(1, "labels"), s.weight)
    return train(start, draw.train[part], objective, replace(s.distillation_schedule, **changes)).nets


def on_shares(students: PatchNets, nets: Nets, rule: OnOff, part: slice = ALL) -> dict[str, float]:
    """Return where students of an ensemble are on, and other traces of how they learned to be.

    Parameters
    ----------
    students : PatchNets
        Students after distillation.
    nets : Nets
        All nets of their data set.
    rule : OnOff
        Says where students and teacher are on.
    part : slice
        Training inputs that they learned from.

    Returns
    -------
    dict of str to float
        ``inside`` and ``outside``: share of the pairs (input, class) with the teacher on in which they are on, for
        training inputs and for fresh ones. ``alone``: the same with the teacher off, fresh inputs. ``error`` on
        single-view inputs. ``blank``: their median output for classes of which a fresh input holds no view.
    """
    draw = nets.draw
    inside, outside = students(draw.train.x[part]), students(draw.test_multi_view.x)

    def share(F: Float[Tensor, "L n k"], where: str, rows: slice, on: bool) -> float:
        G = rule.prepare_teacher(average(nets.outputs[where])[rows])
        teacher_on = rule.threshold <= G
        return float((rule.cut <= F).double().mean(0)[teacher_on == on].mean())

    return {
        "inside": share(inside, "train", part, on=True),
        "outside": share(outside, "multi-view", ALL, on=True),
        "alone": share(outside, "multi-view", ALL, on=False),
        "error": float(error_rate(students(draw.test_single_view.x), draw.test_single_view.y).mean()),
        "blank": float(outside.mean(0)[draw.test_multi_view.present.sum(-1) == 0].median()),
    }


def _weak(nets: Nets) -> float:
    """Return the mean strength of a weak view."""
    return sum(nets.draw.task.weak) / 2


def _seconds(runs: Sequence[Nets]) -> float:
    return sum(nets.seconds for nets in runs)


#: The estimators of the chapter's claims, by id.
ESTIMATORS: Mapping[str, Callable[..., Measurement]] = {
    "dark": dark,
    **{f"dark-{case}": partial(dark_case, case) for case in CASES},
    "distill": distill,
    "ensemble-after-kd": ensemble_after_kd,
    **rule_map.OF_NEWS,
}
