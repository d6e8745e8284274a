"""What a diagnosis says: its decisions as sentences, with their numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mvtheory.decision.intervals import mean_of, more_inputs, side
from mvtheory.decision.scores import WAYS
from mvtheory.measurement import Estimate

if TYPE_CHECKING:
    from mvtheory.diagnose import Diagnosis

__all__ = ["sentences"]


def sentences(d: Diagnosis) -> list[str]:
    """Return the decisions, one sentence or a few each, in the order of the questions."""
    found = [_pays(d), *_copies(d), _nll(d), *_number(d), *_what_a_student_can(d)]
    if d.student is not None:
        found.append(_student(d))
    if d.larger_gain is not None:
        found.append(_larger(d))
    if d.gain.value > 0:
        found.append(_cost(d))
    return found


def _copies(d: Diagnosis) -> list[str]:
    """Say which nets are one and the same: a file that was read twice, or a seed that had no effect."""
    said = [_listed(names) for names in d.evidence.copies]
    if not said:
        return []
    return [f"Copies: nets {'; nets '.join(said)} give the same outputs. Was each trained with a seed of its own?"]


def _listed(names: Sequence[str]) -> str:
    shown = [*names[:7], f"{len(names) - 7} more"] if len(names) > 8 else names
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def _pays(d: Diagnosis) -> str:
    if d.removed is None:
        return f"Ensemble: inconclusive. No net errs on these {d.n} inputs, so there is no error to remove."
    said = f"Ensemble: {d.verdict}. Averaging removes {d.removed} of the errors of one net (required: {d.worth:g})."
    wide = d.over_seeds["removed"]
    if wide is None:
        said += " Two nets do not show how other seeds would differ."
    elif d.seeds_verdict != d.verdict:
        said += f" With other seeds: {d.seeds_verdict}, {wide.interval_text}; more nets would narrow this."
    else:
        said += f" With other seeds as well, {wide.interval_text}."
    if d.verdict == "inconclusive":
        said += f" {_more(d.removed, d.worth, d.n)}"
    return said


def _more(estimate: Estimate, bound: float, n: int) -> str:
    wanted = more_inputs(estimate, bound, n)
    if wanted > 1000 * n:
        return "No reasonable number of inputs would decide: the value is the bound itself."
    return f"About {_rounded(wanted)} inputs would decide, if the value stays as it is."


def _rounded(number: float) -> str:
    """Return a number that is only roughly known, with two digits, rounded up."""
    step = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return f"{math.ceil(number / step) * step:,}"


def _nll(d: Diagnosis) -> str:
    scores, other = (d.evidence.scores[way] for way in (d.evidence.scale, *(w for w in WAYS if w != d.evidence.scale)))
    if not (scores.nll[0] - scores.nll[-1]).round(9).any():
        return "NLL: the same."
    verdict = side(d.nll_gain, 0.0, "the average is better", "the average is worse")
    said = (
        f"NLL: {verdict}. It falls by {d.nll_gain}, from {scores.nll[0].mean():.3g} to {scores.nll[-1].mean():.3g} "
        f"with {d.evidence.scale} averaged, and to {other.nll[-1].mean():.3g} the other way."
    )
    if scores.clipped:
        said += f" On {scores.clipped} occasions a net gives the true class no probability at all."
    if d.evidence.scaled is not None:
        fitted = d.evidence.scaled
        left = mean_of(fitted.nll_one - fitted.nll_all, len(d.errors), -math.inf, math.inf, events=False)
        said += f" After each is scaled by its own temperature, {left} of this is left."
    return said


def _number(d: Diagnosis) -> list[str]:
    laws = d.laws
    if laws is None or d.removed is None:
        return []
    if laws.better == "neither":
        return ["Number: one net. More of them do not reduce the error beyond chance."]
    first = d.errors[0].value
    counts = {law: laws.members(d.least, law) for law in ("coverage", "variance")}
    held = [laws.better] if laws.better in counts else ["coverage", "variance"]
    numbers = list(dict.fromkeys("more than 10,000" if counts[law] is None else str(counts[law]) for law in held))
    most = max((counts[law] or math.inf) for law in held)
    source = (
        "as measured" if most < len(d.errors) else f"by the law{'s' if len(held) > 1 else ''} of {' or '.join(held)}"
    )
    said = (
        f"Number: {' or '.join(numbers)}. After so many nets one more removes less than {d.least:g} of one net's "
        f"errors, {source}."
    )
    rate = laws.coverage[2]
    floors = {"coverage": laws.coverage[0], "variance": laws.variance[0]}
    law = {
        "coverage": f"Law: coverage. Each further net multiplies what can be removed by {rate:.2f}, down to a floor of "
        f"{floors['coverage'] / first:.2f} of one net's errors.",
        "variance": f"Law: variance. The error falls as 1/L, down to a floor of {floors['variance'] / first:.2f} of "
        "one net's errors.",
        "vote": f"Law: neither. The error falls as by coverage, but averaging resolves only {d.resolved} of the "
        "disagreements of two nets: they are a vote.",
        "cannot tell": f"Law: cannot tell. Coverage misses the curve by {laws.misfit['coverage']:.1%} of one net's "
        f"errors, variance by {laws.misfit['variance']:.1%}.",
    }[laws.better]
    return [said, law]


def _what_a_student_can(d: Diagnosis) -> list[str]:
    share = None if d.laws is None else d.laws.coverage_share
    if share is None:
        return []
    if share.high - share.low > 0.8:
        return ["Student: the curve does not tell what one can keep. Train one, and give its outputs."]
    return [
        f"Student: it can keep what is coverage, {share} of the gain by the shape of the curve. What averages "
        "out noise may come back with a student's own noise."
    ]


def _student(d: Diagnosis) -> str:
    """Say whether the students keep the gain, and what the test inputs tell of the reason."""
    students, e = d.evidence.students, d.evidence
    assert students is not None
    assert d.student is not None
    retained = "The gain may be zero" if d.retained is None else f"Fraction retained: {d.retained}"
    said = f"Student given: {d.student_verdict}. {retained}."
    if d.retained is None:
        return said + " A teacher that is no better than one net has nothing to teach."
    if d.student_verdict == "inconclusive":
        said += f" {_more(d.retained, 0.5, d.n)}"
    same, one = float(students.agree.mean()), float(e.agree_one.mean())
    saved = ~e.subsets.average_errs & (e.subsets.by_size[0] > 0)  # the average is right where some net errs
    kept = float(1 - students.errs[:, saved].mean()) if saved.any() else math.nan
    alone = float(1 - e.subsets.errs[:, saved].mean()) if saved.any() else math.nan
    said += (
        f" It chooses the ensemble's class on {same:.3f} of the inputs, one net on {one:.3f}; where the ensemble is "
        f"right and some net errs, it is right on {kept:.3f}, one net on {alone:.3f}."
    )
    if d.student_verdict == "loses most of the gain":
        if same < one:
            said += " That is less than without a teacher: look at its capacity and the number of steps."
        elif same <= one + 0.25 * (1 - one):
            said += " That is hardly more than without a teacher: look at the loss, its weight and the temperature."
        else:
            said += " It follows its teacher, but not where this matters: look at the training inputs and the capacity."
    return said


def _larger(d: Diagnosis) -> str:
    assert d.larger_gain is not None
    assert d.larger_nll_gain is not None
    error = side(d.larger_gain, 0.0, "the ensemble is better", "the larger net is better")
    nll = side(d.larger_nll_gain, 0.0, "the ensemble is better", "the larger net is better")
    said = (
        f"Larger net: by error, {error} (difference {d.larger_gain}); by NLL, {nll} (difference {d.larger_nll_gain})."
    )
    return f"{said} {_more(d.larger_gain, 0.0, d.n)}" if error == "inconclusive" else said


def _cost(d: Diagnosis) -> str:
    L = len(d.errors)
    return (
        f"Cost: {L} times that of one net for each prediction. It breaks even where an error costs more than "
        f"{_rounded((L - 1) / d.gain.value)} predictions of one net."
    )
