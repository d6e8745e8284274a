"""Settings refuse what cannot be computed before anything is."""

from dataclasses import replace

import pytest
from reference import refused

from mvtheory import SReLU
from mvtheory.experiments.settings import NET_SETTING, STUDENT_SETTING


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"members": 0}, ValueError, "members must be an integer >= 1; got 0"),
        ({"students": -1}, ValueError, "students must be an integer >= 0; got -1"),
        ({"m": 2.5}, TypeError, "m must be an integer >= 1; got 2.5"),
        (
            {"members": 10**7},
            ValueError,
            r"members \* ensembles \+ students must be an integer <= 10000; got [12]000000",
        ),
        ({"test_single_view": 0}, ValueError, "test_single_view must be an integer >= 1; got 0"),
        ({"weight": -1.0}, ValueError, r"weight must be a finite number in \[0, inf\); got -1.0"),
        ({"sigma_0": 0.0}, ValueError, r"sigma_0 must be a finite number in \(0, inf\); got 0.0"),
        ({"task": None}, TypeError, "task must be of type MultiView; got None"),
        ({"activation": SReLU}, TypeError, "activation must be of type Activation; got <class"),
        ({"schedule": {"steps": 3}}, TypeError, "schedule must be of type Schedule; got"),
    ],
)
def test_settings_refuse(change, error, match):
    for setting in (NET_SETTING, STUDENT_SETTING):
        with refused(error, match):
            replace(setting, **change)
