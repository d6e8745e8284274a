"""Decisions in words: on constructed nets with known answers."""

import numpy as np
import pytest

from mvtheory import diagnose
from mvtheory.decision.worlds import sample


def said(found, head):
    return next(line for line in found.words.splitlines() if line.startswith(head + ":"))


VIEWS = sample("views", L=6, n=2000, seed=2)


def test_coverage():
    found = diagnose(VIEWS.F, VIEWS.y)
    assert found.seeds_verdict == "pays"
    assert "With other seeds as well, [" in said(found, "Ensemble")
    assert said(found, "NLL").startswith("NLL: the average is better. It falls by 0.")
    assert said(found, "Law").startswith("Law: coverage. Each further net multiplies what can be removed by 0.4")
    assert said(found, "Cost").startswith("Cost: 6 times that of one net for each prediction.")
    price = 5 / found.gain.value
    quoted = int(said(found, "Cost").split("more than ")[1].split(" ")[0].replace(",", ""))
    assert price <= quoted < 1.1 * price + 1


def test_nothing_to_gain():
    world = sample("one optimum", L=5, n=3000, seed=1)
    found = diagnose(world.F, world.y)
    assert found.words.startswith("Ensemble: does not pay.")
    assert said(found, "Number") == "Number: one net. More of them do not reduce the error beyond chance."
    assert "Cost:" not in found.words


def test_copies_are_told():
    """Nets that give the same outputs on all inputs, whatever block of these is looked at, and no others."""
    F, y = VIEWS.F.copy(), VIEWS.y
    assert "Copies:" not in diagnose(F, y).words
    F[4], F[5], F[2] = F[0], F[0], F[1]
    F[5, 0, 0] += 1e-9
    assert said(diagnose(F, y), "Copies").startswith("Copies: nets 0 and 4; nets 1 and 2 give the same outputs. ")
    names = dict(zip("abcdef", F[[3, 1, 1, 5, 1, 0]], strict=True))
    assert said(diagnose(names, y), "Copies").startswith("Copies: nets b, c and e give the same outputs. ")
    many = said(diagnose(np.stack([F[0, :50]] * 12), y[:50]), "Copies")
    assert many.startswith("Copies: nets 0, 1, 2, 3, 4, 5, 6 and 5 more give")


def test_nets_that_part_on_the_last_of_many_inputs_are_no_copies(monkeypatch):
    monkeypatch.setattr("mvtheory.decision.inputs._BLOCK", 600)  # numbers: 50 inputs of 6 nets at a time
    F, y = VIEWS.F.copy(), VIEWS.y
    F[3], F[4] = F[1], F[1]
    F[4, -1] += 1
    assert said(diagnose(F, y), "Copies").startswith("Copies: nets 1 and 3 give the same outputs. ")
    F[3, :50] += 1  # and on the first of them
    assert diagnose(F, y).evidence.copies == ()


def test_it_says_how_many_inputs_would_decide():
    world = sample("one optimum", L=3, n=60, seed=1)
    found = diagnose(world.F, world.y)
    assert found.verdict == "inconclusive"
    quoted = int(said(found, "Ensemble").split("About ")[1].split(" ")[0].replace(",", ""))
    more = sample("one optimum", L=3, n=2 * quoted, seed=2)
    assert diagnose(more.F, more.y).verdict == "does not pay"


def test_two_nets_do_not_know_of_seeds():
    found = diagnose(VIEWS.F[:2], VIEWS.y)
    assert found.over_seeds["removed"] is None
    assert "Two nets do not show how other seeds would differ." in found.words


def test_students_that_lose_the_gain():
    """One has learned nothing of its teacher; the other follows it, but not where a net errs."""
    lost = diagnose(VIEWS.F[:5], VIEWS.y, VIEWS.F[:5])
    assert "That is hardly more than without a teacher" in said(lost, "Student given")
    teacher, some_err = VIEWS.F[:5].mean(0), lost.evidence.subsets.errs.mean(0) > 0.3
    wrong = np.where(some_err[:, None], -teacher, teacher)
    follows = diagnose(VIEWS.F[:5], VIEWS.y, wrong[None])
    assert follows.student_verdict == "loses most of the gain"
    kept = said(follows, "Student given")
    saved = ~follows.evidence.subsets.average_errs & lost.evidence.subsets.errs.any(0)
    right = (wrong.argmax(-1) == VIEWS.y)[saved].mean()
    assert f"it is right on {right:.3f}" in kept


def test_a_larger_net():
    teacher = VIEWS.F.mean(0)
    better = diagnose(VIEWS.F[:2], VIEWS.y, larger=teacher)
    assert "by error, the larger net is better" in said(better, "Larger net")
    worse = diagnose(VIEWS.F, VIEWS.y, larger=VIEWS.F[:2])
    assert "by error, the ensemble is better" in said(worse, "Larger net")
    errors = (VIEWS.F[:2].argmax(-1) != VIEWS.y).mean()
    assert worse.larger_gain.value == pytest.approx(errors - worse.errors[-1].value)


def test_temperature_scaling_is_measured_on_the_rest():
    found = diagnose(VIEWS.F, VIEWS.y, held_out=0.25)
    scaled = found.evidence.scaled
    assert len(scaled.nll_one) == 1500
    assert scaled.nll_one.mean() < found.evidence.scores["logits"].nll[0].mean()
    assert "After each is scaled by its own temperature, 0." in said(found, "NLL")


def test_the_frame_has_every_size_and_way():
    frame = diagnose(VIEWS.F, VIEWS.y).to_frame()
    scores = frame[frame["nets"].notna()]
    assert scores.groupby(["measure", "averaged"]).size().unique().tolist() == [6]
    assert set(scores["measure"]) == {"error", "NLL", "Brier score", "ECE", "ECE if calibrated"}


def test_a_sample_of_averages_is_said():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 120)
    F = rng.normal(size=(20, 120, 3)) + np.eye(3)[y]
    found = diagnose(F, y)
    assert f"standard error of at most {found.evidence.subsets.sampling.max():.2g}" in str(found).splitlines()[0]
    assert "standard error of at most" in found._repr_html_()
    few = diagnose(F[:5], y)
    assert "a sample" not in str(few)
    assert len(found.errors) == 20


def test_how_many_inputs_would_decide_on_students_and_larger_nets():
    """Students that hold half of the gain, and a larger net that is as good as the average."""
    known = VIEWS.F.mean(0)
    half = np.where((np.arange(2000) % 2 == 0)[:, None], known, VIEWS.F[0])
    found = diagnose(VIEWS.F, VIEWS.y, half[None], larger=known)
    assert found.student_verdict == "inconclusive"
    assert "inputs would decide" in said(found, "Student given")
    assert "by error, inconclusive" in said(found, "Larger net")
    assert "No reasonable number of inputs would decide" in said(found, "Larger net")
    clear = diagnose(VIEWS.F, VIEWS.y, VIEWS.F[:1], larger=VIEWS.F[:2])
    assert not any("would decide" in said(clear, head) for head in ("Student given", "Larger net"))
