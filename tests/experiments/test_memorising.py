"""Memorise or learn: the limit by hand, the comparison by hand, and nets that do either."""

import numpy as np
import pytest
from hand_made import small
from reference import refused

from mvtheory.experiments.memorising import EIGHT, ESTIMATORS, MemoriseOrLearn, limit, scaling
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.problem import Problem, vary
from mvtheory.experiments.settings import SETTING

TINY = small(SETTING)


def test_the_limit_grows_with_the_power_of_the_noise():
    assert limit(0.8) == pytest.approx(2**SETTING.activation.q * limit(0.4))
    assert limit(0.5, vary(SETTING, noise_signal=0.3)) == limit(0.5)


def test_the_limit_compares_the_largest_of_few_and_of_many_gaussians():
    one_patch = vary(SETTING, k=3, s=1.5, P=5)  # four views on average: one background patch
    assert limit(1.0, one_patch) == pytest.approx(1)
    assert limit(1.0) == pytest.approx((2.72 / 1.63) ** 2, rel=0.05)  # 12 x 14.5 Gaussians against 12
    with refused(ValueError, "background patches"):
        limit(1.0, vary(SETTING, k=3, s=1.5, P=4))


def test_noise_and_inputs_change_together():
    error = np.arange(6.0).reshape(1, 2, 3)  # doubling the inputs adds 1, more noise adds 3
    assert scaling(error, 1).tolist() == [3]
    assert scaling(error, 2).tolist() == [4]
    assert scaling(error, 4).tolist() == [5]


@pytest.mark.slow
def test_nets_are_trained_at_each_noise_and_number_of_inputs():
    study = MemoriseOrLearn((1, 2), noises=(0.2, 0.3), inputs=(1, 4), setting=TINY)
    data = study.on(1)
    for noise in study.noises:
        for n in study.inputs:
            setting = vary(TINY, noise_background=noise, n_single_view=3 * n)
            by_hand = Problem.full(Draw(1, setting), TINY.members).trained().errors.mean()
            assert float(data.error.sel(noise=noise, inputs=n)) == by_hand
    measured = ESTIMATORS["memorise-scaling"]([1, 2], TINY)
    assert (measured.estimate.nets, measured.estimate.draws) == (2 * 3 * 5 * TINY.members, 2)


@pytest.mark.slow
def test_many_single_view_inputs_teach_and_few_loud_ones_do_not():
    def error(noise, inputs):
        study = MemoriseOrLearn((3101, 3102), noises=(noise,), inputs=(inputs,), setting=vary(EIGHT, members=2))
        return study.run().error.mean().item()

    assert error(noise=0.4, inputs=32) < 0.15 < 0.35 < error(noise=1.1, inputs=2)
