"""MSE and Gaussian NLL of averages against loops over all subsets, torch, and the law of variance."""

from itertools import combinations

import numpy as np
import pytest
import torch
from reference import refused

from mvtheory.decision.regression import diagnose_regression

RNG = np.random.default_rng(0)
Y = RNG.normal(size=80)
MU = Y + RNG.normal(size=80) / 3 + RNG.normal(size=(5, 80))
VARIANCE = RNG.uniform(0.5, 2, (5, 80))


def test_by_loops():
    found = diagnose_regression(MU, Y)
    for size in range(1, 6):
        errors = [np.mean((MU[list(c)].mean(0) - Y) ** 2) for c in combinations(range(5), size)]
        assert found.mse[size - 1].value == pytest.approx(np.mean(errors))
    assert found.removed.value == pytest.approx(1 - found.mse[4].value / found.mse[0].value)
    assert found.verdict == "pays"
    assert found.removed_over_seeds.low <= found.removed.low
    assert "Ensemble: pays. Averaging removes 0." in str(found)


def test_gaussian_nll():
    found = diagnose_regression(torch.tensor(MU), Y, VARIANCE)
    nll = torch.nn.functional.gaussian_nll_loss
    target = torch.tensor(Y)
    one = [float(nll(torch.tensor(m), target, torch.tensor(v), full=True)) for m, v in zip(MU, VARIANCE, strict=True)]
    mixture = VARIANCE.mean(0) + MU.var(0)
    whole = float(nll(torch.tensor(MU.mean(0)), target, torch.tensor(mixture), full=True))
    assert [e.value for e in found.nll] == pytest.approx([np.mean(one), whole])


def test_one_function_does_not_pay():
    found = diagnose_regression(np.tile(MU[0], (3, 1)), Y)
    assert found.removed.value == pytest.approx(0, abs=1e-12)
    assert found.verdict == "does not pay"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((MU[:1], Y), "L .* >= 2; got 1"),
        ((MU, Y[:3]), r"y must have shape \[80\]"),
        ((MU, Y, 0 * VARIANCE), "variances must be > 0; got 0.0"),
        ((MU, np.where(Y > 1, np.nan, Y)), "y must be finite"),
    ],
)
def test_bad_input(arguments, message):
    with refused(ValueError, message):
        diagnose_regression(*arguments)


def test_masked_values_are_not_read_as_if_they_were_not():
    rng = np.random.default_rng(0)
    means, variances, y = rng.normal(size=(3, 20)), np.ones((3, 20)), np.zeros(20)
    good = {"means": means, "y": y, "variances": variances}
    for name, array in good.items():
        masked = np.ma.masked_array(array, np.broadcast_to(np.arange(20) < 2, array.shape))
        with refused(ValueError, f"{name} must have no masked values"):
            diagnose_regression(**good | {name: masked})
