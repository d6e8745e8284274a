"""Students of single nets: what is measured, on nets whose answers are known."""

from itertools import combinations

import hand_made
import numpy as np
import pytest
import torch
from hand_made import EXACT, answering, readers

from mvtheory.experiments import self_distilling
from mvtheory.experiments.nets import Draw
from mvtheory.experiments.self_distilling import (
    ESTIMATORS,
    both_wrong,
    count_views,
    errors_beyond_both,
    pair_error,
    pairs_wrong,
    views_by_stage,
)

ONE, TWO, BOTH = ([[a, b]] * 3 for a, b in ((1, 0), (0, 1), (1, 1)))
P, POINTS = EXACT.students, EXACT.test_single_view


@pytest.fixture
def base():
    """Five nets of two data sets, which err at random."""
    rng = torch.Generator().manual_seed(0)
    return [answering(Draw(number, EXACT), torch.rand(5, POINTS, generator=rng) < 0.4) for number in (1, 2)]


def after_distillation(base, wrong):
    return [answering(nets.draw, marked) for nets, marked in zip(base, wrong, strict=True)]


def mistakes(nets):
    return nets.outputs["single-view"].argmax(-1) != nets.labels("single-view")


def test_a_student_shares_errors_with_its_teacher_the_first_student_with_the_first_net_that_is_none(base):
    wrong = mistakes(base[0]).double().numpy()
    assert both_wrong(base[0]).tolist() == pytest.approx([(wrong[0] * wrong[2]).mean(), (wrong[1] * wrong[3]).mean()])


def test_any_two_nets_could_have_been_teacher_and_student(base):
    wrong = mistakes(base[0]).double().numpy()
    by_hand = np.mean([(wrong[a] * wrong[b]).mean() for a, b in combinations(range(5), 2)])
    assert pairs_wrong(base[0]) == pytest.approx(by_hand)


def test_students_that_err_where_both_did_have_the_error_of_all_pairs(base, monkeypatch):
    students = after_distillation(base, [mistakes(nets)[:P] & mistakes(nets)[P : 2 * P] for nets in base])
    hand_made.use(monkeypatch, self_distilling, singles=base, distilled_students=students)
    found, product = (ESTIMATORS[id]([1, 2], EXACT) for id in ("self-distill", "self-distill-product"))
    assert found.estimate.value == pytest.approx(np.mean([pairs_wrong(nets) for nets in base]))
    assert found.raw.value == pytest.approx(np.mean([both_wrong(nets).mean() for nets in base]))
    assert found.raw.value != pytest.approx(found.estimate.value)
    assert product.estimate.value == pytest.approx(0, abs=1e-7)  # shares are in single precision
    assert product.raw is None
    for measured in (found, product):
        assert (measured.estimate.nets, measured.estimate.draws, measured.seconds) == (4, 2, 3.0)


def test_students_without_errors_are_adjusted_as_well_and_nothing_is_clipped(base, monkeypatch):
    students = after_distillation(base, [torch.zeros(P, POINTS, dtype=torch.bool)] * 2)
    hand_made.use(monkeypatch, self_distilling, singles=base, distilled_students=students)
    monkeypatch.setattr(self_distilling, "pairs_wrong", lambda nets: 0.0)
    found, product = (ESTIMATORS[id]([1, 2], EXACT) for id in ("self-distill", "self-distill-product"))
    shared = -np.mean([both_wrong(nets).mean() for nets in base])
    assert (found.estimate.value, product.estimate.value) == pytest.approx((shared, shared))
    assert found.raw.value == 0


def test_a_pair_of_nets_errs_where_its_average_does():
    draws = [Draw(number, EXACT) for number in (1, 2)]
    same = [readers(draw, [ONE, TWO, ONE, TWO, BOTH]) for draw in draws]
    other = [readers(draw, [ONE, TWO, TWO, TWO, BOTH]) for draw in draws]
    assert pair_error(same).value == pytest.approx(0.5)
    assert pair_error(other).value == pytest.approx(0.25)  # the first pair holds both views, the second one


def test_views_are_counted_by_who_knew_them():
    draw = Draw(1, EXACT)
    base = readers(draw, [TWO, TWO, ONE, BOTH, ONE])  # students 0 and 1 learn from nets 2 and 3
    after = readers(draw, [BOTH, ONE])
    learned = views_by_stage(base, after)
    assert learned[:, :, 0].tolist() == [
        [[True, False], [True, True]], [[False, True], [False, True]], [[True, True], [True, False]]
    ]  # fmt: skip
    counts = count_views([base, base], [after, after])
    assert counts == (12, 6, 12, 12)  # three classes, two students, two data sets; the second gave its own view up


def test_errors_that_neither_net_explains_are_counted_with_the_views_that_are_lacking():
    draw = Draw(1, EXACT)
    base = readers(draw, [TWO, TWO, ONE, BOTH, ONE])  # teachers of students 0 and 1 are nets 2 and 3
    after = readers(draw, [ONE, BOTH])  # student 0 gave its own view up
    kept = draw.test_single_view.kept
    assert errors_beyond_both([base], [after]) == (int((kept == 1).sum()),) * 2
    assert errors_beyond_both([base], [readers(draw, [BOTH, BOTH])]) == (0, 0)
