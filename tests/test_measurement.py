"""Measurement: definitions against loops, intervals against simulations of their coverage."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from reference import refused
from scipy import stats

from mvtheory.measurement import (
    Estimate,
    difference_over_draws,
    error_rate,
    over_draws,
    over_units,
    stratified,
    wilson,
    wrong,
)

Z = 4  # sigmas of simulation noise that a coverage may miss its bound by


def noise(coverage: float, runs: int) -> float:
    """Return how far a simulated coverage may lie from the true one."""
    return Z * math.sqrt(coverage * (1 - coverage) / runs)


def draw_rates(rng, mean: float, spread: float, draws: int) -> np.ndarray:
    """Return the true error rate of each draw: beta with standard deviation ``spread * mean``."""
    if spread == 0:
        return np.full(draws, mean)
    size = (1 - mean) / (spread**2 * mean) - 1
    return rng.beta(mean * size, (1 - mean) * size, draws)


# error_rate


@pytest.mark.parametrize("to", [np.asarray, torch.tensor])
def test_error_rate_agrees_with_a_loop(to):
    rng = np.random.default_rng(0)
    logits, y = rng.normal(size=(2, 3, 40, 5)), rng.integers(0, 5, 40)
    expected = np.array([[[max(range(5), key=row.__getitem__) != label for row, label in zip(net, y, strict=True)]
                          for net in nets] for nets in logits.tolist()])  # fmt: skip
    np.testing.assert_array_equal(wrong(to(logits), to(y)), expected)
    rates = error_rate(to(logits), to(y))
    assert rates.shape == (2, 3)
    np.testing.assert_allclose(rates, expected.mean(-1), atol=1e-12)
    assert 0.5 < rates.mean() < 1  # the loop is no tautology: most random answers are wrong


def test_error_rate_accepts_a_net_that_is_being_trained():
    logits = torch.eye(3, requires_grad=True)
    assert error_rate(logits, torch.arange(3)) == 0


@pytest.mark.parametrize("answer", [0.0, math.nan, math.inf, -math.inf])
def test_a_constant_net_gets_no_credit(answer):
    assert error_rate(np.full((10, 4), answer), np.zeros(10, int)) == 1


def test_ties_and_infinities_of_the_true_class_are_errors():
    logits = np.array([[2.0, 2.0, 0.0], [math.inf, 0.0, 0.0], [1.0, math.nan, 0.0], [2.0, 1.0, 1.0]])
    assert wrong(logits, np.zeros(4, int)).tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("shape", "y", "match"),
    [
        ((3, 2), [0, 1], r"y must have shape \[3\] .*; got \(2,\)"),
        ((3, 2), [0, 1, 2], "y must hold classes 0 to 1; got 0 to 2"),
        ((0, 2), [0], r"logits must have shape \[\.\.\., n, k\] .*; got \(0, 2\)"),
        ((2, 1), [0, 0], r"k \(last axis of logits\) must be an integer >= 2; got 1"),
    ],
)
def test_error_rate_refuses(shape, y, match):
    with refused(ValueError, match):
        error_rate(np.zeros(shape), np.array(y, dtype=int))


# wilson


def test_wilson_solves_its_equation():
    """The ends are where the observed share lies z standard errors off."""
    z = stats.norm.ppf(0.975)
    for errors, n in [(1, 10), (487, 1000), (999, 1000)]:
        for end in wilson(errors, n):
            assert abs(errors / n - end) == pytest.approx(z * math.sqrt(end * (1 - end) / n), rel=1e-6)


def test_wilson_has_width_at_the_ends():
    low, high = wilson(0, 1000)
    assert low == 0
    assert high == pytest.approx(1.96**2 / (1000 + 1.96**2), rel=1e-3)
    assert wilson(1000, 1000)[0] == pytest.approx(1 - high)


def test_wilson_covers():
    n = 100
    for rate in (0.05, 0.487):
        share = stats.binom.pmf(np.arange(n + 1), n, rate)  # exact, so no tolerance for noise is due
        covered = sum(p for e, p in enumerate(share) if wilson(e, n)[0] <= rate <= wilson(e, n)[1])
        assert 0.93 < covered < 0.97


@pytest.mark.parametrize(
    ("errors", "n", "level", "match"),
    [
        (-1, 9, 0.95, "errors must be an integer >= 0 and <= 9; got -1"),
        (10, 9, 0.95, "errors must be an integer >= 0 and <= 9; got 10"),
        (0, 0, 0.95, "n must be an integer >= 1; got 0"),
        (1, 9, 1.0, r"level must be a finite number in \(0, 1\); got 1.0"),
    ],
)
def test_wilson_refuses(errors, n, level, match):
    assert wilson(1, 1)[1] == 1
    with pytest.raises(ValueError, match=match):
        wilson(errors, n, level)


# over_draws


def test_over_draws_is_students_interval_of_draw_means():
    values = [[1.0, 3.0], [4.0], [2.0, 2.0, 5.0]]  # means 2, 4, 3
    estimate = over_draws(values, points=None)
    expected = stats.ttest_1samp([2, 4, 3], 0).confidence_interval(0.95)
    assert (estimate.value, estimate.nets, estimate.draws) == (3, 6, 3)
    assert (estimate.low, estimate.high) == pytest.approx(expected)


def test_the_resolution_of_the_test_is_added_in_quadrature():
    """Student's quantile of 2 degrees is 4.303; 300 points without an error leave 1.2% possible."""
    estimate = over_draws([[0.4], [0.41], [0.39]], points=100)
    half = math.hypot(4.30265 * 0.01 / math.sqrt(3), 1 - 0.025 ** (1 / 300))
    assert (estimate.low, estimate.high) == pytest.approx((0.4 - half, 0.4 + half), rel=1e-5)


@pytest.mark.parametrize("draws", [3, 5, 10])
@pytest.mark.parametrize("mean", [0.002, 0.487])
@pytest.mark.parametrize("spread", [0, 1 / 3])
def test_over_draws_covers(draws, mean, spread):
    """Two levels of chance: a rate for each draw, then answers of 3 nets on 400 points."""
    rng, runs, hits = np.random.default_rng(1), 600, 0
    for _ in range(runs):
        rates = draw_rates(rng, mean, spread, draws)[:, None]
        estimate = over_draws(rng.binomial(400, rates, (draws, 3)) / 400, points=400)
        hits += estimate.low <= mean <= estimate.high
    assert hits / runs > 0.94 - noise(0.94, runs)
    if mean == 0.487:  # and it is not just wide
        assert hits / runs < 0.96 + noise(0.96, runs)


@pytest.mark.parametrize(("draws", "expected"), [(3, 0.75), (5, 0.83), (10, 0.905)])
def test_a_bootstrap_over_draws_would_not_cover(draws, expected):
    """The control: why the interval is Student's."""
    rng, runs = np.random.default_rng(2), 1000
    means = rng.normal(size=(runs, draws))
    picks = means[np.arange(runs)[:, None, None], rng.integers(0, draws, (runs, 600, draws))].mean(-1)
    low, high = np.quantile(picks, [0.025, 0.975], axis=1)
    covered = ((low <= 0) & (high >= 0)).mean()
    assert abs(covered - expected) < noise(expected, runs)
    assert covered < 0.95 - noise(0.95, runs)


def test_no_errors_at_all_leave_an_honest_upper_limit():
    estimate = over_draws(np.zeros((5, 8)), points=1000)
    exact = stats.binomtest(0, 5000).proportion_ci(0.95, method="exact")
    assert (estimate.value, estimate.low) == (0, 0)
    assert estimate.high == pytest.approx(exact.high)
    one = over_draws(np.ones((5, 8)), points=1000)
    assert (one.low, one.high) == (pytest.approx(1 - exact.high), 1)


def test_shares_stay_in_range_and_others_do_not():
    values = [[0.0], [0.3], [0.0]]
    assert over_draws(values, points=100).low == 0
    assert over_draws(values, points=None).low < 0


def test_more_points_and_a_lower_level_narrow_the_interval():
    def width(**settings):
        estimate = over_draws([[0.4], [0.41], [0.39]], **settings)
        return estimate.high - estimate.low

    assert width(points=100) > width(points=1000) > width(points=None) > width(points=None, level=0.5)


def test_single_precision_is_averaged_in_double():
    values = torch.rand(3, 1000, generator=torch.Generator().manual_seed(0))
    assert over_draws(values, points=10) == over_draws(values.double(), points=10)
    third = torch.full((2, 1), 1 / 3, dtype=torch.float64)
    assert over_draws(third, points=10).value == 1 / 3


def test_nets_behind_a_value_may_be_named():
    assert over_draws(torch.tensor([[0.1], [0.2]]), points=10, nets=20).nets == 20


@pytest.mark.parametrize(
    ("values", "settings", "match"),
    [
        ([[0.1, 0.2]], {"points": 9}, "values must hold at least 2 draws"),
        ([[0.1], []], {"points": 9}, r"at least 1 net; got sizes \[1, 0\]"),
        ([[0.1], [math.nan]], {"points": 9}, "values must be finite; got 1"),
        ([[0.1], [1.5]], {"points": 9}, r"values must lie in \[0, 1\] where points are given; got 0.1 to 1.5"),
        ([[0.1], [0.2]], {"points": 0}, "points must be an integer >= 1; got 0"),
        ([[0.1], [0.2]], {"points": 9, "level": 1.0}, r"level must be a finite number in \(0, 1\); got 1.0"),
        ([[0.1], [0.2]], {"points": 9, "level": 0.0}, r"level must be a finite number in \(0, 1\); got 0.0"),
        ([[0.1], [0.1]], {"points": None}, r"points must be given where all draw means are equal \(0.1\)"),
    ],
)
def test_over_draws_refuses(values, settings, match):
    with pytest.raises(ValueError, match=match):
        over_draws(values, **settings)


# difference_over_draws


def test_differences_are_paired_by_draw():
    draw = np.array([[0.1], [0.5], [0.9]])  # what a draw does to both sides cancels
    gain = difference_over_draws(draw + np.array([[0.05], [0.06], [0.04]]), draw, points=10_000)
    assert gain.value == pytest.approx(0.05)
    assert 0.02 < gain.low < gain.high < 0.08
    assert (gain.nets, gain.draws) == (6, 3)


@pytest.mark.parametrize("draws", [3, 10])
@pytest.mark.parametrize(("mean", "gain"), [(0.3, 0.2), (0.004, 0.001), (0.001, 0.0)])
def test_differences_cover(draws, mean, gain):
    """Both sides share the rate of their draw."""
    rng, runs, hits = np.random.default_rng(3), 600, 0
    for _ in range(runs):
        rates = draw_rates(rng, mean, 1 / 3, draws)
        first, second = rng.binomial(400, [rates, rates * (mean - gain) / mean]) / 400
        estimate = difference_over_draws(first, second, points=400)
        hits += estimate.low <= gain <= estimate.high
    assert hits / runs > 0.94 - noise(0.94, runs)


def test_equal_errors_leave_room_on_both_sides():
    none = difference_over_draws(np.zeros((3, 1)), np.zeros((3, 1)), points=100)
    assert none.low == -none.high < 0 < none.high < 0.02


def test_differences_of_fractions_stay_in_range_and_others_do_not():
    """Apart by nearly all that they can be, 0.9, with a half-width of 1.27."""
    large, small = [[1.0], [0.9]], [[0.0], [0.1]]
    gain = difference_over_draws(large, small, points=100)
    loss = difference_over_draws(small, large, points=100)
    assert (gain.low, gain.high, loss.low, loss.high) == (pytest.approx(-0.37, abs=0.01), 1, -1, -gain.low)
    free = difference_over_draws([[3.0], [5.0]], [[0.0], [0.0]], points=None, nets=7)
    expected = stats.ttest_1samp([3.0, 5.0], 0).confidence_interval(0.95)
    assert (free.value, free.nets) == (4, 7)
    assert (free.low, free.high) == pytest.approx(expected)


@pytest.mark.parametrize("bad", [-0.1, 1.1])
def test_differences_of_fractions_are_of_fractions(bad):
    good, bad = [[0.1], [0.2]], [[0.1], [bad]]
    for name, sides in {"first": (bad, good), "second": (good, bad)}.items():
        with pytest.raises(ValueError, match=rf"{name} must lie in \[0, 1\] where points are given; got"):
            difference_over_draws(*sides, points=9)


def test_differences_refuse_unpaired_draws():
    with pytest.raises(ValueError, match="second must have as many draws as first, 3; got 2"):
        difference_over_draws(np.zeros((3, 1)), np.zeros((2, 1)), points=9)


# stratified


def test_stratified_is_the_mixture():
    """Against errors drawn from the mixture itself, and against the mixture of every draw."""
    rng = np.random.default_rng(4)
    multi, single = rng.uniform(0, 0.02, (5, 3)), rng.uniform(0.4, 0.6, (5, 3))
    joint = over_draws(0.9 * multi + 0.1 * single, points=None)
    estimate = stratified(over_draws(multi, points=None), over_draws(single, points=None), mu=0.1)
    assert estimate.value == pytest.approx(joint.value)
    assert estimate.low <= joint.low < joint.high <= estimate.high  # never narrower than it should be
    assert (estimate.nets, estimate.draws) == (15, 5)
    inputs = 200_000
    is_single = rng.random(inputs) < 0.1
    wrong = rng.random(inputs) < np.where(is_single, single.mean(), multi.mean())
    assert abs(wrong.mean() - estimate.value) < Z * math.sqrt(0.06 / inputs)


@pytest.mark.parametrize("mu", [0.0, 1.0])
def test_stratified_ends(mu):
    multi, single = Estimate(0.1, 0.0, 0.2, 6, 3), Estimate(0.5, 0.4, 0.6, 6, 3)
    assert stratified(multi, single, mu) == (single if mu else multi)


def test_stratified_refuses():
    multi, single = Estimate(0.1, 0.0, 0.2, 6, 3), Estimate(0.5, 0.4, 0.6, 6, 2)
    with pytest.raises(ValueError, match=r"mu must be a finite number in \[0, 1\]; got 1.5"):
        stratified(multi, multi, 1.5)
    with pytest.raises(ValueError, match="err_single must have the draws of err_multi, 3; got 2"):
        stratified(multi, single, 0.1)


# Estimate


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.48712, 0.4791, 0.4951), "0.487 [0.479, 0.495]"),
        ((0.0, 0.0, 0.00074), "0.0000 [0.0000, 0.0007]"),
        ((0.5, 0.2, 0.8), "0.50 [0.20, 0.80]"),
        ((-0.00001, -0.01, 0.01), "0.000 [-0.010, 0.010]"),
        ((1234.0, 1000.0, 1500.0), "1234 [1000, 1500]"),
        ((0.25, 0.25, 0.25), "0.250 [0.250, 0.250]"),
    ],
)
def test_estimate_prints_as_many_digits_as_it_knows(numbers, text):
    estimate = Estimate(*numbers, nets=1, draws=1)
    assert str(estimate) == f"{estimate.value_text} {estimate.interval_text}" == text


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ((0.5, 0.6, 0.7, 1, 1), "low must be"),
        ((0.5, 0.4, 0.45, 1, 1), "high must be"),
        ((math.nan, 0.4, 0.45, 1, 1), "value must be"),
        ((0.5, 0.4, math.inf, 1, 1), "high must be"),
        ((0.5, 0.4, 0.6, 0, 1), "nets must be"),
        ((0.5, 0.4, 0.6, 1, 0), "draws must be"),
    ],
)
def test_estimate_refuses(fields, match):
    with pytest.raises(ValueError, match=match):
        Estimate(*fields)


# What people have


def test_errors_of_votes_lists_and_any_dtype_are_those_of_floats():
    F, y = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]), [1, 2, 2]
    expected = 1 / 3
    for outputs in (
        F,
        F.bool(),
        F.int(),
        F.to(torch.uint8),
        F.bfloat16(),
        F.half(),
        F.tolist(),
        F.numpy().astype("i8"),
    ):
        assert error_rate(outputs, y) == pytest.approx(expected)
    for labels in (y, np.array(y, "u1"), torch.tensor(y, dtype=torch.int8), pd.Series(y, dtype="Int64"), tuple(y),
                   np.array(y, object)):  # fmt: skip
        assert error_rate(F, labels) == pytest.approx(expected)
    assert error_rate(F.clone().requires_grad_(), torch.tensor(y)) == pytest.approx(expected)


@pytest.mark.parametrize("logits", [[["a", "b"]], np.array([[None, 1]])])
def test_outputs_that_are_no_numbers_are_refused(logits):
    with pytest.raises(TypeError, match="logits must hold real numbers; got dtype"):
        error_rate(logits, [0])


@pytest.mark.parametrize("y", [[0.0], [True], ["0"], [None]])
def test_labels_that_are_no_integers_are_refused(y):
    with pytest.raises(TypeError, match="y must hold integers; got dtype"):
        error_rate([[1.0, 0.0]], y)


def test_nets_may_be_a_list_of_tensors_of_any_kind():
    F, y = torch.tensor([[[2.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 2.0]]]), [0, 1]
    for nets in ([*F], [*F.bfloat16()], [F[0].clone().requires_grad_(), F[1]], (F[0].numpy(), F[1].half())):
        assert error_rate(nets, y).tolist() == [0.5, 0.5]
    errors = torch.tensor([[0.25, 0.5], [0.5, 0.75]])
    expected = over_draws(errors.tolist(), points=100)
    for values in (errors.bfloat16(), [[*row] for row in errors.half()], [[*row] for row in errors.requires_grad_()]):
        assert over_draws(values, points=100) == expected


@pytest.mark.parametrize(
    ("logits", "error", "match"),
    [
        ([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0]]], ValueError, r"logits must be one array: .*; got \(2, 2\), \(1, 2\)"),
        ([torch.zeros(2, 2), torch.zeros(1, 2)], ValueError, r"logits must be one array: .*; got \(2, 2\), \(1, 2\)"),
        ({0: [[1.0, 0.0]], 1: [[0.0, 1.0]]}, TypeError, "logits must be an array or a list; got a dict"),
    ],
)
def test_nets_of_other_sizes_and_dicts_are_refused(logits, error, match):
    with refused(error, match):
        error_rate(logits, [0, 1])


@pytest.mark.parametrize(
    "values", ["01", ["0.1", "0.2"], [["0.1"], [0.2]], [[0.1j], [0.2]], None, 0.5, [{0: 0.1}, [0.2]]]
)
def test_values_that_are_no_numbers_by_draw_are_refused(values):
    with refused(TypeError, "values must (hold real numbers|be a sequence over draws|be an array)"):
        over_draws(values, points=100)


def test_tables_and_dicts_are_read_by_draw():
    errors = {7: [0.30, 0.32], 9: [0.28, 0.34], 3: [0.31, 0.30]}
    expected = over_draws(errors.values(), points=1000)
    frame = pd.DataFrame(errors, index=[100, 200]).T  # a row for each draw, a column for each seed
    assert over_draws(frame, points=1000) == expected
    assert over_draws(errors, points=1000) == expected
    assert over_draws(frame[100], points=1000) == over_draws([e[:1] for e in errors.values()], points=1000)
    gap = difference_over_draws(errors.values(), [[0.1]] * 3, points=1000)
    assert difference_over_draws(frame, pd.DataFrame({0: 0.1}, index=[7, 9, 3]), points=1000) == gap


CELLS = [(draw, seed, 0.3 + draw / 50 + seed / 1000) for draw in range(1, 5) for seed in range(9)]
LONG = pd.DataFrame(CELLS, columns=["draw", "seed", "e"])
PIVOTED = LONG.pivot(index="draw", columns="seed", values="e")


def test_named_axes_are_read_by_name():
    expected = over_draws(PIVOTED, points=1000)
    assert (expected.draws, expected.nets) == (4, 36)
    for dims, values in ((("draw", "seed"), PIVOTED.to_numpy()), (("seed", "draw"), PIVOTED.T.to_numpy())):
        assert over_draws(xr.DataArray(values, dims=dims), points=1000) == expected
    assert over_draws(xr.DataArray(PIVOTED.to_numpy(), dims=("data set", "net")), points=1000) == expected


@pytest.mark.parametrize(
    ("table", "advice"),
    [
        (LONG.set_index(["draw", "seed"])["e"], r"rows are named by draw, seed; give .unstack\(\)"),
        (LONG, r"columns are arguments, too; give .pivot\("),
        (LONG[["seed", "e"]], r"columns are arguments, too; give .pivot\("),
        (PIVOTED.T, "columns are the draws; give .T"),
        (LONG.groupby("seed")["e"].mean(), "columns are the draws; give .T"),
    ],
)
@pytest.mark.parametrize("points", [1000, None])
def test_tables_whose_rows_are_no_draws_are_refused(table, advice, points):
    """Nets of one data set are no replicates: 36 of them would give a fifth of the width."""
    with refused(ValueError, f"values must be a table with a row for each draw; its {advice}"):
        over_draws(table, points=points)


# Three inputs of three classes, which the one net gets right in this order alone.
RIGHT, TRUE = np.array([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0], [1.0, 0.0, 2.0]]), np.array([0, 1, 2])
TABLE = pd.DataFrame(RIGHT, index=["a", "b", "c"])
SERIES = pd.Series(TRUE, index=["a", "b", "c"])
HIDDEN = np.ma.masked_array(RIGHT, RIGHT == 3)


@pytest.mark.parametrize("measure", [wrong, error_rate])
@pytest.mark.parametrize(
    ("logits", "y", "match"),
    [
        (HIDDEN, TRUE, "logits must have no masked values; got 1"),
        ([RIGHT, HIDDEN], TRUE, "logits must have no masked values; got 1"),
        ([[*row] for row in HIDDEN], TRUE, "logits must have no masked values; got 1"),
        (RIGHT, np.ma.masked_array(TRUE, TRUE > 0), "y must have no masked values; got 2"),
        (TABLE.astype("Float64").mask(TABLE > 2), TRUE, "logits must have no missing values; got 1 pandas.NA"),
        (TABLE.astype(object).mask(TABLE > 2, pd.NA), TRUE, "logits must have no missing values; got 1 pandas.NA"),
        (RIGHT, SERIES.astype("Int64").mask(SERIES > 0), "y must have no missing values; got 2 pandas.NA"),
        (RIGHT, pd.array([0, None, 2], "Int64"), "y must have no missing values; got 1 pandas.NA"),
        (TABLE, SERIES[::-1], r"y must name its rows as logits does, \['a', 'b', 'c'\], .* got \['c', 'b', 'a'\]"),
        (TABLE[::-1], SERIES, r"y must name its rows as logits does, \['c', 'b', 'a'\], .* got \['a', 'b', 'c'\]"),
        (TABLE, pd.Series(TRUE), r"y must name its rows as logits does, .* got \[0, 1, 2\]"),
        ([TABLE, TABLE], SERIES[::-1], "y must name its rows as logits does"),
        ([TABLE, TABLE[::-1]], TRUE, "logits must name rows alike in all tables of a list"),
        ([TABLE, TABLE[[2, 1, 0]]], TRUE, "logits must name columns alike in all tables of a list"),
        (
            TABLE[[2, 1, 0]],
            SERIES,
            r"logits must have columns for the classes 0 to 2 in this order; got \['2', '1', '0'\]",
        ),
        (TABLE.set_axis(["1", "2", "3"], axis=1), SERIES, "logits must have columns for the classes 0 to 2"),
        (
            xr.DataArray(RIGHT, coords={"input": [5, 6, 7]}, dims=["input", "class"]),
            xr.DataArray(TRUE, coords={"input": [7, 6, 5]}, dims=["input"]),
            r"y must name its rows as logits does, \[5, 6, 7\]",
        ),
    ],
)
def test_what_would_be_misread_is_refused(measure, logits, y, match):
    with refused(ValueError, match):
        measure(logits, y)


def test_tables_that_are_in_order_are_read_by_it():
    named, whole = (
        TABLE.set_axis(["cat", "dog", "ox"], axis=1),
        xr.DataArray(RIGHT[None], dims=["net", "input", "class"]),
    )
    for logits, y in (
        (TABLE, SERIES), (TABLE[::-1], SERIES[::-1]), (TABLE[::-1], TRUE[::-1]), (RIGHT[::-1], SERIES[::-1]),
        (named, SERIES), (TABLE.astype("Float64"), SERIES.astype("Int64")), ([TABLE, TABLE], SERIES), (whole, SERIES),
        (np.ma.masked_array(RIGHT), np.ma.masked_array(TRUE)), ([np.ma.masked_array(RIGHT)] * 2, TRUE),
        ([[*map(np.float64, row)] for row in RIGHT], [*TRUE]),
    ):  # fmt: skip
        assert not error_rate(logits, y).any()
    assert wrong(TABLE.astype("float64").mask(TABLE > 2), TRUE).tolist() == [True, False, False]  # NaN: it diverged


def test_masked_values_are_not_read_as_if_they_were_not():
    with refused(ValueError, "values must have no masked values"):
        over_draws(np.ma.masked_array(PIVOTED.to_numpy(), PIVOTED.to_numpy() > 0.35), points=1000)


def test_pairs_of_other_draws_are_refused():
    first, second = {1: [0.3], 2: [0.4]}, {2: [0.1], 1: [0.2]}
    sides = [second, pd.Series({2: 0.1, 1: 0.2}), xr.DataArray([0.1, 0.2], coords={"draw": [2, 1]})]
    for side in sides:
        with refused(ValueError, r"second must have the draws of first in the same order, \[1, 2\]; got \[2, 1\]"):
            difference_over_draws(first, side, points=10)
    with pytest.raises(
        ValueError, match=r"second must have the draws of first in the same order, \[1, 2\]; got \[2, 1\]"
    ):
        difference_over_draws(first, second, points=10)
    with pytest.raises(ValueError, match="second must have the draws of first"):
        difference_over_draws(pd.DataFrame(first).T, pd.DataFrame(second).T, points=10)


def test_adjusted_fractions_may_leave_the_unit_interval_and_others_may_not():
    values = [[-0.01], [0.02], [0.005]]
    found = over_draws(values, points=1000, bounds=(-1, 1))
    assert found.value == pytest.approx(0.005)
    assert found.low < 0
    with pytest.raises(ValueError, match=r"values must lie in \[0, 1\] where points are given; got -0.01 to 0.02"):
        over_draws(values, points=1000)


# over_units


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize(("failed", "units"), [(0, 1), (1, 1), (0, 320), (1, 320), (7, 320), (3, 8), (319, 320)])
def test_over_units_is_clopper_and_pearsons_interval_where_units_fail_or_not(failed, units, level):
    found = over_units(np.arange(units) < failed, level, nets=9, draws=3)
    exact = stats.binomtest(failed, units).proportion_ci(level, method="exact")
    assert (found.value, found.low, found.high) == pytest.approx((failed / units, exact.low, exact.high), abs=1e-12)
    assert (found.nets, found.draws) == (9, 3)


def test_units_that_fail_in_part_count_in_part_whatever_the_shape():
    halves = over_units(torch.full((4, 5), 0.5), nets=1, draws=1)
    whole = over_units([[1, 0]] * 10, nets=1, draws=1)
    assert (halves.value, halves.low, halves.high) == pytest.approx((whole.value, whole.low, whole.high))
    between = over_units([0.5, *[0.0] * 19], nets=1, draws=1)
    fewer, more = (over_units([number] + [0.0] * 19, nets=1, draws=1).high for number in (0.0, 1.0))
    assert between.value == 0.025
    assert fewer < between.high < more


@pytest.mark.parametrize("mean", [0.001, 0.01, 0.3])
@pytest.mark.parametrize("part", ["never", "mostly"])
def test_over_units_covers(mean, part):
    """Whole failures vary most: the interval of those that are partial is wider than it has to be."""
    rng, runs, units, covered = np.random.default_rng(0), 400, 160, 0
    for _ in range(runs):
        shares = rng.random(units) < mean if part == "never" else rng.beta(0.2 * mean, 0.2 * (1 - mean), units)
        found = over_units(shares, nets=1, draws=1)
        covered += found.low <= mean <= found.high
    assert covered / runs > 0.95 - noise(0.95, runs)


@pytest.mark.parametrize(
    ("values", "level", "match"),
    [
        ([], 0.95, "values must be at least one number, all in"),
        ([-0.1, 0.5], 0.95, r"values must be at least one number, all in \[0, 1\]; got \[-0.1 +0.5\]"),
        ([0.5, 1.1], 0.95, r"values must be at least one number, all in \[0, 1\]; got \[0.5 1.1\]"),
        ([0.5, math.nan], 0.95, "values must be finite; got 1 non-finite"),
        ([0.5], 1.0, r"level must be a finite number in \(0, 1\); got 1.0"),
    ],
)
def test_over_units_refuses(values, level, match):
    with pytest.raises(ValueError, match=match):
        over_units(values, level, nets=1, draws=1)
