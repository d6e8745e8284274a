"""The phase diagram, and the verdicts that follow when the mechanism is changed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from reference import refused

from mvtheory import Schedule, SReLU, average, error_rate, over_draws, predict, train
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.phase_diagram import CLEAN, PhaseStudy, reduced
from mvtheory.reduced.reduction import reduce_to_own_views

DRAWS = (301, 302, 303)
SMALL = replace(CLEAN, multi=400, test_single=400)


def test_the_map_has_both_sides(tmp_path, monkeypatch):
    monkeypatch.setenv("MVTHEORY_CACHE", str(tmp_path))
    study = PhaseStudy(q=(3,), scale=(0.01, 1.0), varrho=(6.0,), nets=4, draw=301, setting=SMALL)
    error, untrained, seconds = study.run()
    assert error.shape == untrained.shape == (1, 1, 2)
    assert not untrained.any()
    assert error[0, 0, 0] > 0.35
    assert error[0, 0, 1] < 0.1
    again = study.run()
    assert np.array_equal(again[0], error)
    assert again[2] == seconds


def test_nets_that_ran_out_of_steps_are_told():
    _, _, losses = reduced(Draw(301, SMALL), range(2), steps=3)
    assert (losses > 2).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"q": (0,)}, "q must be an integer >= 1; got 0"),
        ({"scale": (0.1, 0.0)}, "scale must be a finite number"),
        ({"varrho": (-1.0,)}, "varrho must be a finite number"),
        ({"nets": 0}, "nets must be an integer >= 1; got 0"),
    ],
)
def test_bad_grids_are_refused(change, match):
    with refused(ValueError, match):
        PhaseStudy(**change)


def verdict(errors, low, high):
    claim = predict("mechanism", "The error of the theory appears.", low, high, chapter="tests")
    return claim.measure(over_draws(errors, points=SMALL.test_single), seconds=0).verdict


def singles(**change):
    """Errors of four single nets of each draw."""
    return [reduced(Draw(number, replace(SMALL, **change)), range(4))[1] for number in DRAWS]


def ensembles(weaken=1.0):
    """Errors of averages of eight nets, of data whose second view is weaker in training."""
    errors = []
    for number in DRAWS:
        draw = Draw(number, SMALL)
        start, views = draw.init(0, 8), draw.task.views
        nets, data, _ = reduce_to_own_views(start, draw.train, views)
        data.x[torch.arange(len(data)), data.y, 1, 0] *= weaken
        run = train(nets, data, schedule=Schedule(steps=600, stop_loss=0.1, eta=4800.0))
        F = run.nets(reduce_to_own_views(start, draw.test_single, views)[1].x)
        errors.append([float(error_rate(average(F), draw.test_single.y))])
    return errors


def test_verdicts_turn_when_the_mechanism_is_changed():
    assert verdict(singles(), 0.4, 0.55) == "holds"
    assert verdict(singles(activation=SReLU(2, 12.0)), 0.4, 0.55) == "fails"  # the exponent
    assert verdict(singles(sigma_0=6.0), 0.4, 0.55) == "fails"  # the small start
    assert verdict(ensembles(), 0, 0.1) == "holds"
    assert verdict(ensembles(weaken=0.6), 0, 0.1) == "fails"  # views of equal strength
