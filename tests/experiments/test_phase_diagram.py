"""The phase diagram, and the verdicts that follow when the mechanism is changed."""

from dataclasses import replace

import pytest
from reference import refused

from mvtheory import Claim, SReLU, average, error_rate, over_draws
from mvtheory.experiments.base import select
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.phase_diagram import PhaseDiagram
from mvtheory.experiments.problem import NOISE_FREE, Problem, weaken_second_view
from mvtheory.training import Schedule

DRAWS = (301, 302, 303)
SMALL = replace(NOISE_FREE, n_multi_view=400, test_single_view=400)


def test_the_map_has_both_sides():
    diagram = PhaseDiagram(draws=(301,), q=(3,), scale=(0.01, 1.0), varrho=(6.0,), setting=SMALL)
    data = diagram.run()
    assert dict(data.sizes) == {"draw": 1, "q": 1, "varrho": 1, "scale": 2}
    assert not data.untrained.any()
    small, large = (select(data, "error", draw=301, q=3, varrho=6.0, scale=scale) for scale in (0.01, 1.0))
    assert small > 0.35
    assert large < small / 4
    again = diagram.run()
    assert again.identical(data)
    assert again.seconds == data.seconds


def test_points_stand_where_their_labels_say():
    diagram = PhaseDiagram(draws=(301,), q=(2, 3), scale=(0.1, 0.3), varrho=(3.0, 6.0), nets=1, steps=4, setting=SMALL)
    data = diagram.run()
    for q, varrho, scale in [(2, 6.0, 0.1), (3, 3.0, 0.3)]:
        point = replace(SMALL, activation=SReLU(q, varrho), sigma_0=scale * varrho)
        start = Problem.reduced(Draw(301, point), 1)
        end = start.trained(replace(start.schedule, steps=4))
        assert select(data, "error", draw=301, q=q, varrho=varrho, scale=scale) == end.errors.mean()


def test_nets_that_ran_out_of_steps_are_marked():
    data = PhaseDiagram(draws=(301,), q=(3,), scale=(0.005,), varrho=(12.0,), nets=2, steps=3, setting=SMALL).run()
    assert data.untrained.item() == 1


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"q": (0,)}, "q must be an integer >= 1; got 0"),
        ({"scale": (0.1, 0.0)}, "scale must be a finite number"),
        ({"varrho": (-1.0,)}, "varrho must be a finite number"),
        ({"nets": 0}, "nets must be an integer >= 1; got 0"),
        ({"draws": ()}, "draws must be at least 1 different"),
    ],
)
def test_bad_grids_are_refused(change, match):
    with refused(ValueError, match):
        PhaseDiagram(**change)


def verdict(errors, low, high):
    claim = Claim("mechanism", "The error of the theory appears.", (low, high), "tests", "derived", "noise-free")
    return claim.measure(over_draws(errors, points=SMALL.test_single_view), seconds=0).verdict


def singles(**change):
    """Errors of four single nets of each data set."""
    return [Problem.reduced(Draw(number, replace(SMALL, **change)), 4).trained().errors for number in DRAWS]


def ensembles(weaken=1.0):
    """Errors of averages of eight nets, of data whose second view is weaker in training."""
    errors = []
    for number in DRAWS:
        draw = Draw(number, SMALL)
        start = Problem.reduced(draw, 8, weaken_second_view(draw.train, weaken))
        end = start.trained(Schedule(steps=2000, stop_loss=0.1, eta=9600.0))
        errors.append([float(error_rate(average(end.outputs), end.test.y))])
    return errors


@pytest.mark.slow
def test_verdicts_turn_when_the_mechanism_is_changed():
    assert verdict(singles(), 0.4, 0.55) == "holds"
    assert verdict(singles(activation=SReLU(2, NOISE_FREE.activation.varrho)), 0.4, 0.55) == "fails"  # the exponent
    assert verdict(singles(sigma_0=NOISE_FREE.activation.varrho / 2), 0.4, 0.55) == "fails"  # the small start
    assert verdict(ensembles(), 0, 0.1) == "holds"
    assert verdict(ensembles(weaken=0.6), 0, 0.1) == "fails"  # views of equal strength
