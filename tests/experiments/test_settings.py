"""Settings refuse what cannot be computed before anything is."""

from dataclasses import replace

import pytest
from reference import refused
from scipy.stats import binom

from mvtheory import OnOff, SReLU
from mvtheory.experiments.settings import SETTING


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"members": 0}, ValueError, "members must be an integer >= 1; got 0"),
        ({"students": -1}, ValueError, "students must be an integer >= 0; got -1"),
        ({"m": 2.5}, TypeError, "m must be an integer >= 1; got 2.5"),
        ({"members": 10_001}, ValueError, "members must be an integer <= 10000; got 10001"),
        ({"students": 10_001}, ValueError, "students must be an integer <= 10000; got 10001"),
        ({"test_single_view": 0}, ValueError, "test_single_view must be an integer >= 1; got 0"),
        ({"weight": -1.0}, ValueError, r"weight must be a finite number in \[0, inf\); got -1.0"),
        ({"sigma_0": 0.0}, ValueError, r"sigma_0 must be a finite number in \(0, inf\); got 0.0"),
        ({"task": None}, TypeError, "task must be of type MultiView; got None"),
        ({"activation": SReLU}, TypeError, "activation must be of type Activation; got <class"),
        ({"schedule": {"steps": 3}}, TypeError, "schedule must be of type Schedule; got"),
    ],
)
def test_settings_refuse(change, error, match):
    with refused(error, match):
        replace(SETTING, **change)


def test_the_rule_takes_a_class_as_on_where_one_net_of_the_teacher_has_it_on():
    rule = SETTING.rule(10, "random")
    assert rule == OnOff(threshold=0.01, cut=0.4, slack=0.7, baseline_quantile=(12 / 16) ** 2 / 2)
    assert SETTING.rule(1, "labels") == replace(rule, threshold=0.1, slack=0.95)
    other = {"cut": 0.8, "slack": 0.5}
    assert replace(SETTING, threshold=0.3, **other).rule(2, "random") == replace(rule, threshold=0.15, **other)
    with refused(ValueError, "L must be an integer >= 1; got 0"):
        SETTING.rule(0, "random")
    with refused(ValueError, "start must be one of 'random', 'labels'; got 'zero'"):
        SETTING.rule(1, "zero")


@pytest.mark.parametrize("change", [{"threshold": 0.0}, {"cut": -1.0}, {"slack": 1.5}, {"slack_after_labels": 1.5}])
def test_what_the_rule_is_made_of_is_checked_with_the_setting(change):
    with refused(ValueError, f"{next(iter(change)).removesuffix('_after_labels')} must be a finite number"):
        replace(SETTING, **change)


def test_inputs_of_the_book_have_room_for_their_views():
    """The number of views of other classes that are present is binomial; 10^-4 of all data sets may not fit."""
    task, inputs = SETTING.task, SETTING.n_multi_view + SETTING.test_single_view + SETTING.test_multi_view
    assert inputs * binom.sf(task.P - task.M, (task.k - 1) * task.M, task.s / task.k) < 1e-4
