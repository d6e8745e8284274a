"""The experiment on the scale of the outputs: step by step, and what both ends of the scales have in common."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from mvtheory import (
    AverageCrossEntropy,
    CrossEntropy,
    Distillation,
    MultiView,
    OnOff,
    Schedule,
    SReLU,
    average,
    train,
)
from mvtheory.experiments.base import one_thread, select
from mvtheory.experiments.lazy_scales import LazyStudy
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.settings import Setting
from mvtheory.linear.linearization import Lazy, crossover, scaled_outputs, sharpness
from mvtheory.measurement import error_rate

SMALL = LazyStudy(
    setting=Setting(
        task=MultiView(k=3, P=8, d=12, s=1.0), n_multi_view=28, n_single_view=2,
        m=2, sigma_0=0.1, members=2, students=1,
        activation=SReLU(3, 4.0), schedule=Schedule(steps=15, stop_loss=0),
        distillation_schedule=Schedule(steps=5, stop_loss=0), test_single_view=60, test_multi_view=30,
    ),
    alphas=(1.0, 1e3, 1e6),
    draws=(7, 8),
)  # fmt: skip


@pytest.fixture(scope="module")
def data() -> xr.Dataset:
    return SMALL.run()


def test_data_sets_do_not_depend_on_each_other(data: xr.Dataset) -> None:
    with one_thread():
        alone = SMALL.on(8).expand_dims(draw=[8])
    xr.testing.assert_equal(alone, data.sel(draw=[8]))


class Steps:
    """The second data set once more, step by step."""

    def __init__(self) -> None:
        self.draw = Draw(8, SMALL.setting)
        self.start, self.x, self.y = self.draw.init(0, 3), self.draw.train.x, self.draw.train.y
        self.fastest = SMALL.relative_step / float(sharpness(self.start, self.x).max())

    def train(self, nets, rows, base, alpha, schedule, factor=1):
        eta = factor * min(100.0 * alpha ** (4 / 3), self.fastest)
        objective = Lazy(base, self.start[rows](self.x), alpha)
        return train(nets, self.draw.train, objective, replace(schedule, eta=eta)).nets

    def on_labels(self, alpha):
        return self.train(self.start, slice(None), CrossEntropy(self.y), alpha, SMALL.setting.schedule)

    def distilled(self, alpha, teacher):
        """Students of one scale, distilled from the ensemble of another."""
        G = average(scaled_outputs(self.on_labels(teacher)[:2], self.start[:2], teacher, self.x))[None]
        base = Distillation(self.y, G, OnOff.for_average(2), SMALL.setting.weight)
        students = self.on_labels(alpha)[2:]
        return self.train(students, slice(2, None), base, alpha, SMALL.setting.distillation_schedule)

    def outputs(self, nets, rows, alpha, test):
        return scaled_outputs(nets, self.start[rows], alpha, test.x)


@pytest.mark.parametrize("alpha", SMALL.alphas)
def test_every_method_is_what_it_says(data: xr.Dataset, alpha: float) -> None:
    steps, everyone, members, students = Steps(), slice(None), slice(0, 2), slice(2, None)
    at = data.sel(draw=8, alpha=alpha)
    nets = steps.on_labels(alpha)
    # The average of two nets passes half of its gradient to each: twice the step.
    base = AverageCrossEntropy(steps.y)
    joint = steps.train(steps.start[:2], members, base, alpha, SMALL.setting.schedule, factor=2)
    distilled = steps.distilled(alpha, alpha)
    for stratum, test in (("multi-view", steps.draw.test_multi_view), ("single-view", steps.draw.test_single_view)):
        F = steps.outputs(nets, everyone, alpha, test)
        expected = {
            "single": F[:2],
            "ensemble": average(F[:2]),
            "trained average": average(steps.outputs(joint, members, alpha, test)),
            "students": F[2:],
            "distilled": steps.outputs(distilled, students, alpha, test),
        }
        for method, outputs in expected.items():
            found = at[method].sel(stratum=stratum).values
            np.testing.assert_allclose(found, error_rate(outputs, test.y), atol=1e-9, err_msg=method)
    moved, length = nets.W - steps.start.W, steps.start.W.flatten(1).norm(dim=1)
    np.testing.assert_allclose(at["movement"], moved.flatten(1).norm(dim=1) / length, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "alpha", "teacher"),
    [("lazy distilled from learned", 1e6, 1.0), ("learned distilled from lazy", 1.0, 1e6)],
)
def test_teachers_are_swapped_between_the_ends(data: xr.Dataset, name: str, alpha: float, teacher: float) -> None:
    steps = Steps()
    test = steps.draw.test_single_view
    F = steps.outputs(steps.distilled(alpha, teacher), slice(2, None), alpha, test)
    np.testing.assert_allclose(data[name].sel(draw=8, stratum="single-view"), error_rate(F, test.y), atol=1e-9)


def test_the_lazy_end_is_the_tangent_model(data: xr.Dataset) -> None:
    assert (select(data, "distance", alpha=1e6) < 0.05).all()
    assert (select(data, "distance", alpha=1.0) > 0.05).all()
    assert (select(data, "movement", alpha=1e6) < select(data, "movement", alpha=1.0)).all()
    lazy, tangent = select(data, "single", alpha=1e6), select(data, "tangent")
    np.testing.assert_allclose(lazy.mean(-1), tangent.mean(-1), atol=0.02)


def test_sizes_are_those_of_the_setting(data: xr.Dataset) -> None:
    assert data["points"].sel(draw=7).values.tolist() == [30, 60]
    expected = torch.tensor([crossover(Draw(number, SMALL.setting).init(0, 3), 5.0) for number in SMALL.draws])
    np.testing.assert_allclose(data["crossover"], expected)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"alphas": (1.0,)}, "alphas must be at least 2 increasing numbers"),
        ({"alphas": (2.0, 1.0)}, "alphas must be at least 2 increasing numbers"),
        ({"alphas": (0.0, 1.0)}, r"alphas must be a finite number in \(0, inf\); got 0.0"),
        ({"relative_step": 4.0}, r"relative_step must be a finite number in \(0, 4\); got 4.0"),
        ({"draws": (0, 1)}, "draws must be an integer >= 1; got 0"),
    ],
)
def test_a_faulty_study_is_refused(change: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        replace(SMALL, **change)
