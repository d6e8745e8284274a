"""Argument checks: the value comes back, or the error names argument, value and what is allowed."""

import math

import numpy as np
import pytest
import torch

from mvtheory._check import check_choice, check_finite, check_int, check_labels, check_number, check_range, check_shape


def test_values_come_back_as_plain_numbers():
    assert check_int("k", np.int64(3), 2, 3) == 3
    assert check_int("k", 2, 2, 3) == 2
    assert type(check_int("k", np.int64(3), 2)) is int
    assert check_number("mu", np.float32(0.5), 0, 1) == 0.5
    assert type(check_number("mu", 1, 0, 1)) is float
    assert check_choice("rule", "b", ("a", "b")) == "b"


@pytest.mark.parametrize("value", [1.0, True, "2", None])
def test_int_refuses_other_kinds(value):
    with pytest.raises(TypeError, match=f"k must be an integer >= 2; got {value!r}"):
        check_int("k", value, 2)


def test_int_refuses_out_of_range():
    with pytest.raises(ValueError, match=r"k must be an integer >= 2 and <= 9; got 10"):
        check_int("k", 10, 2, 9)
    with pytest.raises(ValueError, match=r"k must be an integer >= 2; got 1"):
        check_int("k", 1, 2)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf, -math.inf])
def test_number_refuses_out_of_range(value):
    with pytest.raises(ValueError, match=r"mu must be a finite number in \[0, 1\]; got"):
        check_number("mu", value, 0, 1)


def test_number_open_ends():
    with pytest.raises(ValueError, match=r"in \(0, inf\); got 0"):
        check_number("lr", 0, 0, open_low=True)
    with pytest.raises(ValueError, match=r"in \[0, 1\); got 1"):
        check_number("x", 1, 0, 1, open_high=True)
    with pytest.raises(ValueError, match=r"in \[0, inf\); got inf"):
        check_number("x", math.inf, 0)


@pytest.mark.parametrize("value", ["a", None, True, 1j])
def test_number_refuses_other_kinds(value):
    with pytest.raises(TypeError, match="mu must be a finite number"):
        check_number("mu", value, 0, 1)


def test_choice_lists_the_options():
    with pytest.raises(ValueError, match="rule must be one of 'a', 'b'; got 'x'"):
        check_choice("rule", "x", ("a", "b"))


@pytest.mark.parametrize("make", [np.zeros, torch.zeros])
def test_shape(make):
    assert check_shape("X", make((5, 2, 3, 4)), (..., "n", 4)) == {"n": 3}
    assert check_shape("X", make((2, 0)), ("n", None)) == {"n": 2}
    for wrong, shape in [((2, 3), ("n", "n")), ((0, 3), ("n", 3)), ((3,), (..., "n", "k")), ((3, 4), ("n",))]:
        with pytest.raises(ValueError, match="X must have shape"):
            check_shape("X", make(wrong), shape)


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_finite_counts_what_is_not(make):
    check_finite("X", make([0, -3]))
    with pytest.raises(ValueError, match="X must be finite; got 3 non-finite"):
        check_finite("X", make([1.0, math.nan, -math.inf, math.inf]))


def test_range():
    assert check_range("r", (-math.inf, np.float32(0.5))) == (-math.inf, 0.5)
    for ends in [(1, 0), (math.inf, math.inf), (0, math.nan), (0,), {0, 1}, ("0", 1)]:
        with pytest.raises(ValueError, match=r"r must be \(low, high\), two numbers with low <= high; got"):
            check_range("r", ends)


def test_labels():
    check_labels("y", torch.tensor([0, 2]), 3)
    with pytest.raises(ValueError, match="y must hold classes 0 to 2; got 0 to 3"):
        check_labels("y", np.array([0, 3]), 3)
    with pytest.raises(ValueError, match="got -1 to 0"):
        check_labels("y", np.array([0, -1]), 3)
    with pytest.raises(TypeError, match="y must hold integers"):
        check_labels("y", torch.tensor([0.0]), 3)
    with pytest.raises(ValueError, match="y must have shape"):
        check_labels("y", np.zeros(0, int), 3)
