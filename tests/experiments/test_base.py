"""The base of all experiments: data sets are checked, results labelled, kept, and the same on any number of threads."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import xarray as xr

from mvtheory.experiments.base import Experiment, check_draws, labelled, one_thread, select


class Calls:
    """The threads of every call; they do not count as a part of the experiment that notes them."""

    def __init__(self):
        self.threads = []

    def __reduce__(self):
        return Calls, ()


CALLS = Calls()


@dataclass(frozen=True)
class Squares(Experiment):
    """Squares of the number of the data set."""

    powers: tuple[int, ...] = (1, 2)
    draws: tuple[int, ...] = (3, 5)

    def on(self, number: int) -> xr.Dataset:
        CALLS.threads.append(torch.get_num_threads())
        values = torch.tensor([[float(number**p)] * 3 for p in self.powers], dtype=torch.float64)
        return labelled({"value": ("power net", values), "even": ("", number % 2 == 0)}, power=self.powers)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MVTHEORY_CACHE", str(tmp_path))
    CALLS.threads.clear()


def test_data_sets_are_stacked_and_labelled():
    data = Squares().run()
    assert data["value"].dims == ("draw", "power", "net")
    assert data["draw"].values.tolist() == [3, 5]
    assert select(data, "value", power=2, draw=5).tolist() == [25.0] * 3
    assert select(data, "value", power=1)[:, 0].tolist() == [3.0, 5.0]
    assert data["even"].dtype == bool
    assert data.attrs["seconds"] >= 0


def test_a_run_is_computed_once_and_read_the_same(monkeypatch):
    first = Squares().run()
    monkeypatch.setattr(Squares, "__doc__", "Other words.")
    xr.testing.assert_identical(first, Squares().run())
    assert len(CALLS.threads) == 2
    Squares(powers=(1, 3)).run()
    assert len(CALLS.threads) == 4


def test_a_subclass_without_fields_has_results_of_its_own():
    @dataclass(frozen=True)
    class Cubes(Squares):
        def on(self, number: int) -> xr.Dataset:
            return super().on(number) * 0 + number**3

    assert float(Cubes().run()["value"][0, 0, 0]) == 27
    assert float(Squares().run()["value"][0, 0, 0]) == 3


def test_experiments_compute_on_one_thread():
    torch.set_num_threads(2)
    try:
        Squares().run()
        assert CALLS.threads == [1, 1]
        assert torch.get_num_threads() == 2
        with pytest.raises(KeyError), one_thread():
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("draws", "match"),
    [
        ((1,), "draws must be at least 2 different numbers of data sets"),
        ((1, 1), "draws must be at least 2 different numbers of data sets"),
        ((0, 1), "draws must be an integer >= 1; got 0"),
    ],
)
def test_data_sets_are_checked(draws, match):
    with pytest.raises(ValueError, match=match):
        Squares(draws=draws)
    with pytest.raises(ValueError, match=match):
        check_draws(draws)


def test_labels_that_are_not_there_are_named():
    data = Squares().run()
    with pytest.raises(ValueError, match=r"name must be one of '(even|value)', '(even|value)'; got 'error'"):
        select(data, "error")
    with pytest.raises(ValueError, match="power must be one of 1, 2; got 3"):
        select(data, "value", power=3)
    with pytest.raises(ValueError, match="axis must be one of 'draw', 'power', 'net'; got 'alpha'"):
        select(data, "value", alpha=1.0)


def test_labels_must_fit_the_arrays():
    with pytest.raises(ValueError, match="'value'"):
        labelled({"value": ("net", np.zeros((2, 3)))})
