"""Fixed features on multi-view data: all methods on a small task, errors by visibility, kernels, and the estimators."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from mvtheory import MultiView, average, error_rate
from mvtheory.experiments import digit_features, measure, random_features
from mvtheory.experiments.base import one_thread, select
from mvtheory.experiments.fixed_features import STRATA
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.predictions import CLAIMS
from mvtheory.experiments.random_features import (
    ESTIMATORS,
    MultiViewFeatures,
    _wrong_by_view,
    error_by_visibility,
)
from mvtheory.experiments.settings import Setting
from mvtheory.linear.feature_maps import TangentRidge, gaussian_weights, one_hot, relu_features
from mvtheory.linear.ridge import Ridge

TASK = MultiView(k=3, P=8, d=12, s=1.0)
SMALL = Setting(task=TASK, n_multi_view=40, n_single_view=2, sigma_0=0.1, test_single_view=60, test_multi_view=60)
TANGENT = MultiViewFeatures(draws=(7, 8), kind="tangent", widths=(1, 2), nets=3, setting=SMALL, test=60)
RELU = replace(TANGENT, kind="ReLU", widths=(3, 8))


@pytest.mark.parametrize("study", [TANGENT, RELU], ids=["tangent", "ReLU"])
def test_data_sets_do_not_depend_on_each_other(study):
    with one_thread():
        alone = study.on(8).expand_dims(draw=[8])
    xr.testing.assert_equal(alone, study.run().sel(draw=[8]))


@pytest.mark.parametrize("study", [TANGENT, RELU], ids=["tangent", "ReLU"])
@pytest.mark.parametrize("stratum", STRATA)
def test_the_growing_ensemble_leads_from_a_model_to_the_ensemble(study, stratum):
    data = study.run()
    single, growing, whole = (
        select(data, method, stratum=stratum) for method in ("single", "growing ensemble", "ensemble")
    )
    np.testing.assert_array_equal(growing[..., 0], single[..., 0])
    np.testing.assert_array_equal(growing[..., -1], whole)
    assert len(np.unique(single)) > 3, "models differ"


def test_tangent_models_are_fitted_with_the_chosen_ridge():
    """Each fit once more for the second data set, with what the labels say of its axes."""
    data, draw = TANGENT.run().sel(draw=8, width=2), Draw(8, SMALL)
    start = Draw(8, replace(SMALL, m=2)).init(0, 3)
    ridge = {name: float(value) for name, value in zip(data["fit"].values, data["ridge"].values, strict=True)}
    target, test = one_hot(draw.train.y, 3), draw.test_single_view
    single = TangentRidge(start, draw.train.x, ridge=ridge["single"]).fit(target)
    joint = TangentRidge(start, draw.train.x, ridge=ridge["trained average"]).fit_average(target)
    outputs = {"single": single(test.x), "ensemble": average(single(test.x)), "trained average": average(joint(test.x))}
    for name, F in outputs.items():
        found = data[name].sel(stratum="single-view").values
        np.testing.assert_allclose(found, error_rate(F, test.y), atol=1e-9, err_msg=name)


def test_random_relu_models_are_fitted_with_the_chosen_ridge():
    data, draw = RELU.run().sel(draw=7, width=8), Draw(7, SMALL)
    w = gaussian_weights(3, 8, 12, seed=draw.seed + 10_000)
    ridge = float(data["ridge"].sel(fit="single"))
    weights = Ridge(relu_features(w, draw.train.x)).solve(one_hot(draw.train.y, 3)[:, None], ridge)
    F = (relu_features(w, draw.test_multi_view.x) @ weights)[:, 0]
    np.testing.assert_allclose(
        data["single"].sel(stratum="multi-view"), error_rate(F, draw.test_multi_view.y), atol=1e-9
    )


def test_errors_by_visibility_hold_every_view_once():
    data = TANGENT.run()
    seen, missed = (select(data, name, width=2).reshape(2, -1) for name in ("visibility", "wrong by view"))
    blind, rest = error_by_visibility(data, 2, groups=1)
    for estimate, rows in ((blind, seen == 0), (rest, seen > 0)):
        expected = [np.nanmean(w[row]) for w, row in zip(missed, rows, strict=True)]
        assert estimate.value == pytest.approx(np.mean(expected))
        assert estimate.nets == 6
    assert len(error_by_visibility(data, 2, groups=3)) == 4


def test_equal_outputs_are_an_error_on_every_view():
    """A model without features has the output 0 for every class."""
    single = TASK.sample(0, 60, seed=0, balanced=True)
    assert (_wrong_by_view(torch.zeros(2, 60, 3), single) == 1).all()


def test_every_claim_has_an_estimator():
    assert set(ESTIMATORS) == {id for id, claim in CLAIMS.items() if claim.chapter == "06-random-features"}


@pytest.mark.parametrize(
    ("claim", "first", "second"),
    [
        ("rf-ensemble", "single", "ensemble"),
        ("rf-train-average", "trained average", "ensemble"),
        ("rf-distill", "distilled", "single"),
    ],
)
@pytest.mark.parametrize("kind", ["tangent", "ReLU"])
@pytest.mark.parametrize("digits", [False, True])
def test_claims_compare_the_methods_that_they_name(claim, first, second, kind, digits, monkeypatch):
    small = digit_features.DigitFeatures(draws=(1, 2), kind=kind, widths=(1,), nets=2, per_class=10)
    study = small if digits else {"tangent": TANGENT, "ReLU": RELU}[kind]
    module = digit_features if digits else random_features
    monkeypatch.setitem(module.STUDIES, kind, study)
    monkeypatch.setitem(random_features.NARROW, kind, study.widths[-1])
    options = {"draws": study.draws} if digits else {"draws": study.draws, "setting": SMALL}
    id = claim + "-relu" * (kind == "ReLU") + "-digits" * digits
    measured = measure(id, **options).measured
    data = study.run().isel(width=-1).sel(stratum="single-view")
    assert measured.value == pytest.approx(float(data[first].mean() - data[second].mean()), abs=1e-12)
    assert measured.nets == 2 * study.nets


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"draws": (1,)}, "draws must be at least 2 different numbers"),
        ({"kind": "Fourier"}, "kind must be one of 'tangent', 'ReLU'; got 'Fourier'"),
        ({"nets": 1}, "nets must be an integer >= 2; got 1"),
        ({"widths": (1, 0)}, "widths must be an integer >= 1; got 0"),
        ({"widths": ()}, "number of widths must be an integer >= 1; got 0"),
        ({"test": 61}, "test must be an integer >= 1 and <= 60; got 61"),
    ],
)
def test_a_faulty_study_is_refused(change, match):
    with pytest.raises(ValueError, match=match):
        replace(TANGENT, **change)
