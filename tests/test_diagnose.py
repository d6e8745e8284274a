"""The diagnosis: constructed nets with known answers, an identity, invariances, coverage by simulation."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from reference import refused

from mvtheory.diagnose import Diagnosis, diagnose
from mvtheory.measurement import error_rate

Z = 4  # sigmas of simulation noise that a coverage may miss its bound by


def outputs(right: np.ndarray, y: np.ndarray, size: float = 50.0) -> np.ndarray:
    """Return outputs [L, n, 2] of nets that are right by a margin of the given size, or wrong by a margin of 1."""
    margin = np.where(right, size, -1.0) * (2 * y - 1)
    return np.stack([-margin, margin], -1)


def coverage_nets(n: int = 1600, L: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Return nets on inputs of which one half is easy, the other known to every set of the nets equally often."""
    i = np.arange(n)
    known = (i // 2)[None] >> np.arange(L)[:, None] & 1 == 1
    return outputs(known | (i % 2 == 0), i // 32 % 2), i // 32 % 2


def random_nets(L: int = 4, n: int = 60, k: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    return rng.normal(size=(L, n, k)) + 1.5 * np.eye(k)[y] + rng.normal(size=(n, k)), y


def numbers(found: Diagnosis) -> np.ndarray:
    """Return all values and ends of intervals; NaN where there is none."""
    shares = [*found.errors, *(getattr(found, name) for name in SHARES)]
    ends = [[math.nan] * 3 if e is None else [e.value, e.low, e.high] for e in shares]
    return np.array([*np.ravel(ends), found.corrected_if_independent, found.floor_if_independent], dtype=float)


SHARES = ["gain", "removed", "corrected", "resolved", "factor", "floor", "student", "retained", "students_corrected"]


# Closed forms


def test_coverage_by_two_views():
    """Each net knows half of the hard inputs, independently: the errors are those of the law, exactly."""
    found = diagnose(*coverage_nets())
    assert [e.value for e in found.errors] == pytest.approx([0.5 * 2**-L for L in range(1, 5)])
    exact = {
        "gain": 0.25 - 1 / 32,
        "removed": 7 / 8,
        "corrected": 1 / 2,
        "resolved": 1,
        "factor": 1 / 2,
        "floor": 1 / 32,
    }
    assert {name: getattr(found, name).value for name in exact} == pytest.approx(exact)
    assert found.corrected_if_independent == pytest.approx(3 / 4)
    assert found.floor_if_independent == pytest.approx(4**-4)
    assert found.verdict == "pays"
    assert found.student is found.retained is found.students_corrected is found.student_verdict is None


def test_copies_of_one_net_change_nothing():
    F, y = random_nets(L=1, n=2000)
    found = diagnose(np.repeat(F, 5, 0), y)
    error = float(error_rate(F[0], y))
    assert [e.value for e in (*found.errors, found.floor)] == pytest.approx([error] * 6)
    assert (found.gain.value, found.removed.value, found.corrected.value, found.factor.value) == (0, 0, 0, 1)
    assert found.resolved is None
    assert found.verdict == "does not pay"


def test_an_average_that_is_worse():
    """Wrong outputs are large, right ones small: where one of three nets errs, the average does."""
    y = np.zeros(300, int)
    wrong = np.arange(300) % 3 == np.arange(3)[:, None]
    found = diagnose(-outputs(wrong, y), y)
    assert [e.value for e in found.errors] == pytest.approx([1 / 3, 2 / 3, 1])
    assert found.removed.value == pytest.approx(-2)
    assert found.factor.value == pytest.approx(5 / 3)
    assert found.resolved.value == 0
    assert found.verdict == "does not pay"


def test_a_tie_is_an_error():
    """Equal outputs carry no information; the votes of two nets that disagree are a tie."""
    y = np.arange(60) % 3
    assert diagnose(np.ones((2, 60, 3)), y).errors[0].value == 1
    votes = np.stack([np.eye(3)[y], np.eye(3)[(y + 1) % 3]])
    found = diagnose(votes, y)
    assert [e.value for e in found.errors] == [1 / 2, 1]
    assert (found.corrected.value, found.resolved.value, found.removed.value) == (1, 0, -1)


@pytest.mark.parametrize("seed", range(3))
def test_numbers_agree_with_loops(seed):
    F, y = random_nets(seed=seed)
    found = diagnose(F, y)
    right = np.array([[max(range(3), key=row.__getitem__) == label for row, label in zip(net, y, strict=True)]
                      for net in F.tolist()])  # fmt: skip
    for L in range(1, 5):
        errors = [error_rate(F[list(chosen)].mean(0), y) for chosen in combinations(range(4), L)]
        assert found.errors[L - 1].value == pytest.approx(np.mean(errors))
    pairs = [(a, b) for a in range(4) for b in range(4) if a != b]
    errs = sum(sum(~right[a]) for a, _ in pairs)
    assert found.corrected.value == pytest.approx(sum(sum(~right[a] & right[b]) for a, b in pairs) / errs)
    e = 1 - right.mean(1)
    independent = sum(e[a] * (1 - e[b]) for a, b in pairs) / sum(e[a] for a, _ in pairs)
    assert found.corrected_if_independent == pytest.approx(independent)
    assert found.floor.value == pytest.approx(np.mean(~right.any(0)))


@pytest.mark.parametrize("seed", range(3))
def test_what_two_nets_gain(seed):
    """removed = corrected (2 resolved - 1) + share of both wrong and their average right, as the book proves."""
    F, y = random_nets(L=2, n=400, seed=seed)
    found = diagnose(F, y)
    wrong = np.array([[error_rate(row[None], y[i : i + 1]) for i, row in enumerate(net)] for net in F]) == 1
    mean = np.array([error_rate(row[None], y[i : i + 1]) for i, row in enumerate(F.mean(0))]) == 1
    both = np.mean(wrong.all(0) & ~mean) / wrong.mean()
    assert both > 0
    assert found.removed.value == pytest.approx(found.corrected.value * (2 * found.resolved.value - 1) + both)


def test_students():
    """Of 1600 inputs the nets err on a quarter and their average on 1/32; one student retains all, one nothing."""
    F, y = coverage_nets()
    teacher, first = F.mean(0), F[0]
    found = diagnose(F, y, np.stack([teacher, teacher]))
    assert (found.retained.value, found.students_corrected.value) == pytest.approx((1, 0))
    assert found.student.value == pytest.approx(1 / 32)
    assert found.student_verdict == "retains most of the gain"
    found = diagnose(F, y, first[None])
    assert found.retained.value == pytest.approx(0)
    assert found.students_corrected is None
    assert found.student_verdict == "loses most of the gain"
    found = diagnose(F, y, np.stack([teacher, first]))
    assert found.retained.value == pytest.approx(1 / 2)
    assert found.student_verdict == "inconclusive"


# Intervals


def test_the_interval_is_that_of_a_ratio():
    """Student's interval by the delta method, widened by the exact limit after nothing was seen."""
    F, y = coverage_nets()
    low, value, high = (getattr(diagnose(F, y).floor, end) for end in ("low", "value", "high"))
    n = 1600
    student = 1.9614 * math.sqrt(1 / 32 * 31 / 32 / (n - 1))  # t quantile of 1599 degrees of freedom
    half = math.hypot(student, 1 - 0.025 ** (1 / n))
    assert (low, high) == pytest.approx((value - half, value + half), rel=1e-4)


def test_with_few_inputs_the_quantile_is_that_of_one_degree_of_freedom_less():
    """Both nets misclassify five of ten inputs; Student's quantile of 9 degrees is 2.262, and of 10 it is 2.228."""
    y = np.zeros(10, int)
    floor = diagnose(outputs(np.tile(np.arange(10) < 5, (2, 1)), y), y).floor
    assert floor.high - 0.5 == pytest.approx(math.hypot(2.26216 * math.sqrt(0.25 / 9), 1 - 0.025 ** (1 / 10)), rel=1e-4)


def test_what_students_retain_of_a_gain_that_may_be_zero_is_unknown():
    """The average of two nets errs on one input of ten, each net on two: a gain, but of a few inputs."""
    y = np.zeros(10, int)
    right = np.arange(10) > np.array([[1], [1]])
    right[1, :3] = [False, True, False]
    found = diagnose(outputs(right, y), y, outputs(right[:1], y))
    assert found.gain.low < 0 < found.gain.value
    assert found.retained is None
    assert found.student_verdict == "inconclusive"
    assert "The gain may be zero" in str(found)


def test_nothing_seen_is_not_nothing_possible():
    """No error of the average on 100 inputs, and no correction of 30 errors: the limits of 0 in 100 and 0 in 30."""
    y = np.zeros(100, int)
    right = np.arange(100) >= np.array([[30], [30]])
    found = diagnose(outputs(right, y), y)
    assert (found.corrected.low, found.corrected.high) == pytest.approx((0, 1 - 0.025 ** (1 / 30)))
    assert found.verdict == "inconclusive"
    never = np.arange(100) % 2 == np.array([[0], [1]])
    assert diagnose(outputs(never, y), y).errors[1].high == pytest.approx(1 - 0.025 ** (1 / 100))


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("L", "n", "hard", "size"), [(3, 500, 0.1, 50.0), (2, 300, 0.1, 50.0), (4, 400, 0.5, 0.4)])
def test_intervals_cover(L, n, hard, size):
    """Each net is right on a hard input with probability 1/2: true values are known, and covered in 95% of the runs.

    Where right outputs are small, a single right net is outvoted.
    """
    rng, runs = np.random.default_rng(L), 250
    wins = [
        sum(math.comb(nets, r) for r in range(nets + 1) if r * size > nets - r) / 2**nets for nets in range(1, L + 1)
    ]
    e = [hard * (1 - share) for share in wins]
    truth = {"gain": e[0] - e[-1], "removed": 1 - e[-1] / e[0], "corrected": 0.5, "resolved": float(size > 1),
             "factor": sum(e[1:]) / sum(e[:-1]), "floor": hard / 2**L}  # fmt: skip
    covered = dict.fromkeys([*truth, "one", "all"], 0)
    for _ in range(runs):
        right = (rng.random((L, n)) < 0.5) | (rng.random(n) >= hard)
        y = rng.integers(0, 2, n)
        found = diagnose(outputs(right, y, size), y)
        for name, value in truth.items():
            share = getattr(found, name)
            covered[name] += share.low <= value + 1e-12 and value - 1e-12 <= share.high
        covered["one"] += found.errors[0].low <= e[0] <= found.errors[0].high
        covered["all"] += found.errors[-1].low <= e[-1] <= found.errors[-1].high
    assert min(covered.values()) / runs >= 0.95 - Z * math.sqrt(0.95 * 0.05 / runs), covered


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_wrong_verdicts_are_rare():
    """Where the average removes just what is required, one verdict in twenty is wrong, on either side."""
    rng, runs, n, verdicts = np.random.default_rng(0), 400, 600, []
    for _ in range(runs):
        known = rng.random((2, n)) < 0.5
        y = rng.integers(0, 2, n)
        verdicts.append(diagnose(outputs(known | (rng.random(n) < 0.5), y), y, worth=0.5).verdict)
    wrong = runs - verdicts.count("inconclusive")
    assert wrong / runs <= 0.05 + Z * math.sqrt(0.95 * 0.05 / runs)
    assert {"pays", "does not pay"} & set(verdicts)  # the simulation is no tautology


def test_more_inputs_decide():
    """The same fractions on more inputs: the verdict is no longer inconclusive."""
    F, y = random_nets(n=25)
    few, many = diagnose(F, y), diagnose(np.tile(F, (1, 80, 1)), np.tile(y, 80))
    assert many.removed.value == pytest.approx(few.removed.value)
    assert (few.verdict, many.verdict) == ("inconclusive", "pays")


# Invariances


def test_order_and_library_do_not_matter():
    F, y = random_nets(n=200)
    S, _ = random_nets(L=2, n=200, seed=5)
    rng = np.random.default_rng(1)
    nets, inputs, classes = rng.permutation(4), rng.permutation(200), rng.permutation(3)
    expected = numbers(diagnose(F, y, S))
    assert np.isfinite(expected).all()
    for found in [
        diagnose(F[nets], y, S[::-1]),
        diagnose(F[:, inputs], y[inputs], S[:, inputs]),
        diagnose(F[..., classes], np.argsort(classes)[y], S[..., classes]),
        diagnose(4 * F + 7, y, 4 * S + 7),
        diagnose(torch.tensor(F), torch.tensor(y), torch.tensor(S, requires_grad=True)),
    ]:
        np.testing.assert_allclose(numbers(found), expected, rtol=1e-12, atol=1e-12)


def test_the_arguments_are_left_alone():
    F, y = random_nets()
    before = F.copy()
    diagnose(F, y, F)
    np.testing.assert_array_equal(F, before)


# Words


def test_the_table_ends_in_sentences():
    F, y = coverage_nets()
    found = diagnose(F, y, np.stack([F.mean(0)] * 2))
    lines = str(found).splitlines()
    assert lines[0] == "4 nets, 1600 test inputs; 95% intervals"
    assert lines[2].split()[:5] == ["error", "of", "one", "net", "0.250"]
    assert lines[-len(found.words.splitlines()) :] == found.words.splitlines()
    heads = [sentence.partition(":")[0] for sentence in found.words.splitlines()]
    assert heads == ["Ensemble", "NLL", "Number", "Law", "Student", "Student given", "Cost"]
    assert found.words.startswith("Ensemble: pays. Averaging removes 0.88 [")
    assert "Student given: retains most of the gain. Fraction retained: 1.000 [" in found.words
    assert len(lines) == 2 + 4 + 6 + 3 + 1 + 4 + len(heads)


def test_without_errors_there_is_no_verdict():
    y = np.zeros(50, int)
    found = diagnose(outputs(np.ones((3, 50), bool), y), y, outputs(np.ones((1, 50), bool), y))
    assert (found.verdict, found.student_verdict) == ("inconclusive", "inconclusive")
    assert found.removed is found.corrected is found.resolved is found.factor is found.retained is None
    assert found.errors[0].high == pytest.approx(1 - 0.025 ** (1 / 50))
    assert "No net errs on these 50 inputs" in str(found)


# Bad input


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"logits": np.zeros((1, 4, 3))}, ValueError, r"L \(first axis of logits\) .* >= 2; got 1"),
        ({"logits": np.zeros((4, 3))}, ValueError, r"logits must have shape \[nets, n, k\] .*; got \(4, 3\)"),
        ({"logits": np.zeros((2, 1, 3)), "y": np.zeros(1, int)}, ValueError, r"n \(second axis .* >= 2; got 1"),
        (
            {"logits": np.zeros((2, 4, 1)), "y": np.zeros(4, int)},
            ValueError,
            "logits must have a column for each class",
        ),
        (
            {"logits": np.full((2, 4, 3), np.nan)},
            ValueError,
            "logits must be finite, or -inf for masked classes; got 24 bad values",
        ),
        ({"y": np.zeros(3, int)}, ValueError, r"y must have shape \[4\] .*; got \(3,\)"),
        ({"y": np.full(4, 3)}, ValueError, "y must hold classes 0 to 2; got 3 to 3"),
        ({"y": np.zeros(4)}, TypeError, "y must hold integers; got dtype float64"),
        ({"students": np.zeros((2, 5, 3))}, ValueError, r"students must have shape \[S, 4, 3\] .*; got \(2, 5, 3\)"),
        (
            {"students": np.full((2, 4, 3), np.inf)},
            ValueError,
            "students must be finite, .* got 24 bad values, the first in net '0'",
        ),
        ({"worth": 1.0}, ValueError, r"worth must be a finite number in \[0, 1\); got 1.0"),
        ({"worth": "much"}, TypeError, "worth must be a finite number .*; got 'much'"),
    ],
)
def test_bad_input_is_refused(change, error, match):
    good = {"logits": np.zeros((2, 4, 3)), "y": np.zeros(4, int)}
    diagnose(**good)
    with refused(error, match):
        diagnose(**{**good, **change})
