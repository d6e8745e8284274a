"""The studies of scale: the law at several sizes, what a step multiplies, exponents that are known."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from reference import refused, within

from mvtheory.experiments import measure, scale
from mvtheory.experiments.scale import FOLD, cost_exponents, exponents, law, step


def test_the_law_at_forty_classes():
    cells = [law(40, seed=seed, draw=draw) for draw in (531, 532) for seed in (0, 1)]
    for cell in cells:
        assert cell["loss"] < 0.02
        # A single-view test set is balanced: a class with one view errs on half, whichever it is.
        assert cell["average_1"] == pytest.approx((1 - cell["both"]) / 2, abs=0.02)
    for L in range(2, FOLD + 1):
        mean = np.mean([cell[f"average_{L}"] for cell in cells])
        p = 2.0 ** (1 - L)  # a class of which all nets keep the same view errs on half
        assert within(mean, p / 2, 0.5 * (p * (1 - p)) ** 0.5, 4 * 40)


def test_seeds_are_other_nets_and_draws_other_data():
    one = law(10, seed=0, draw=531)
    assert {**one, "step_seconds": 0} == {**law(10, seed=0, draw=531), "step_seconds": 0}
    assert (
        one["average_2"] != law(10, seed=1, draw=531)["average_2"] or one["steps"] != law(10, seed=1, draw=531)["steps"]
    )
    assert one["loss"] != law(10, seed=0, draw=532)["loss"]


def test_a_large_start_spoils_the_law():
    assert law(10, sigma_0=24.0, seed=0, draw=531)["average_1"] < 0.35


def test_a_step_is_timed_and_its_products_are_counted():
    cell = step(3, 8, 10, 6, 2, 4, seed=0, draw=531)
    assert cell["products"] == 2 * 10 * 6 * 3 * 2 * 8 * 4
    assert 0 < cell["step_seconds"] < 5


def test_known_exponents_are_found_with_intervals_that_hold_them():
    rng = np.random.default_rng(0)
    rows = [
        {"draw": draw, "a": a, "b": b, "cost": 3 * a**2 * b**-0.5 * np.exp(rng.normal(0, 0.05))}
        for draw in range(6)
        for a in (1, 2, 4)
        for b in (1, 10)
    ]
    found = exponents(pd.DataFrame(rows), "cost", ["a", "b"])
    for name, truth in {"a": 2, "b": -0.5}.items():
        assert found[name].low < truth < found[name].high
        assert found[name].high - found[name].low < 0.2
    assert found["a"].draws == 6


def test_errors_and_factors_are_those_of_the_rows():
    table = pd.DataFrame({f"average_{L}": [0.48 * 0.5 ** (L - 1), 0.52 * 0.4 ** (L - 1)] for L in range(1, FOLD + 1)})
    single = scale.average_error(table, 1)
    assert single.value == pytest.approx(0.5)
    assert (single.nets, single.draws) == (2 * FOLD, 2)
    assert scale.average_error(table, 2).value == pytest.approx((0.24 + 0.208) / 2)
    assert scale.error_factor(table).value == pytest.approx(0.45)


@pytest.fixture
def tables(monkeypatch):
    """Let sweeps return tables with known powers, and note what was asked of them."""
    asked = {}

    def sweep(function, grid, draws):
        asked[function.__name__] = grid, tuple(draws)
        return Known(function, [grid] if isinstance(grid, dict) else grid, draws)

    monkeypatch.setattr(scale, "Sweep", sweep)
    return asked


class Known:
    def __init__(self, function, grids, draws):
        self.function, self.grids, self.draws = function, grids, draws

    def run(self, backend, *, progress):
        points = [dict(zip(grid, values, strict=True)) for grid in self.grids for values in product(*grid.values())]
        return pd.DataFrame([self.cell(point, draw) for point in points for draw in self.draws])

    def cell(self, point, draw):
        noise = 1 + 0.01 * (draw - 702)
        cell = {**point, "draw": draw, "cell_seconds": 2.0}
        if self.function is law:
            averages = {f"average_{L}": 0.5 * (0.5 * noise) ** (L - 1) for L in range(1, FOLD + 1)}
            k = point["k"] ** noise
            return cell | averages | {"steps": k**0.5, "step_seconds": k**0.9}
        work = np.prod([point[name] ** (0.95 * noise) for name in ("N", "P", "k", "m", "L")])
        return cell | {"step_seconds": work * point["d"] ** (0.7 * noise)}


def test_exponents_of_costs_are_those_of_the_tables(tables):
    found = cost_exponents((701, 702, 703), (701, 702, 703))
    powers = {"work": 0.95, "d": 0.7, "classes": 3 * 0.95 + 0.7, "classes, reduced": 0.9}  # N, P, k and d grow with k
    assert {name: estimate.value for name, estimate in found.items()} == pytest.approx(powers)
    assert all(estimate.draws == 3 for estimate in found.values())
    assert all(draws == (701, 702, 703) for _, draws in tables.values())


def test_the_exponent_of_the_steps_is_that_of_the_table_from_thirty_classes_on(tables):
    claim = measure("steps-classes", draws=(701, 702, 703))
    assert claim.measured.value == pytest.approx(0.5)
    assert tables["law"] == ({"k": [30, 100, 300, 1000]}, (701, 702, 703))


def test_the_law_is_measured_at_a_thousand_classes(tables):
    assert measure("single-k1000", draws=(701, 702, 703)).measured.value == 0.5
    claim = measure("law-k1000", draws=(701, 703))
    assert tables["law"] == ({"k": [1000]}, (701, 703))
    assert claim.measured.value == pytest.approx((0.5 * 0.99 + 0.5 * 1.01) / 2)
    assert claim.seconds == 4


def test_bad_input_is_refused():
    table = pd.DataFrame({"draw": [1, 1, 2, 2], "a": [1, 2, 1, 2], "b": [1, 2, 1, 2], "cost": [1.0, 2, 1, 2]})
    with refused(ValueError, "column of table must be one of .* got 'c'"):
        exponents(table, "cost", ["c"])
    with refused(ValueError, "table must vary a, b independently of each other"):
        exponents(table, "cost", ["a", "b"])
    with refused(ValueError, "k must be an integer >= 2; got 1"):
        law(1, seed=0, draw=1)
    with refused(ValueError, "per_class must be an integer >= 1; got 0"):
        law(5, per_class=0, seed=0, draw=1)
