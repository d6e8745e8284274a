"""The numbers of a diagnosis as tables: rows for readers, a table of pandas, and what JSON can hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mvtheory.decision.intervals import mean_of
from mvtheory.decision.scores import WAYS
from mvtheory.decision.words import sentences
from mvtheory.measurement import Estimate

if TYPE_CHECKING:
    from pandas import DataFrame

    from mvtheory.diagnose import Diagnosis

__all__ = ["as_dict", "frame", "rows", "sampled", "scores_table", "text"]

Row = tuple[str, Estimate | None, Estimate | None, str]


def rows(d: Diagnosis) -> list[Row]:
    """Return the rows of the table of errors: name, interval over inputs, interval over seeds too, and a note."""
    seeds = d.over_seeds
    independent = d.corrected_if_independent
    corrected = "" if independent is None else f"same errors 0, independent {independent:.2f}"
    found: list[Row] = [("error of one net", d.errors[0], seeds["one"], "")]
    found += [(f"error of an average of {size}", error, None, "") for size, error in enumerate(d.errors[1:-1], 2)]
    found += [
        (f"error of the average of all {len(d.errors)}", d.errors[-1], seeds["all"], ""),
        ("gain of the average of all", d.gain, seeds["gain"], ""),
        ("fraction of the errors removed", d.removed, seeds["removed"], f"required {d.worth:g}"),
        ("errors that another net gets right", d.corrected, seeds["corrected"], corrected),
        ("disagreements that averaging resolves", d.resolved, seeds["resolved"], "chance 0.5, ideal 1"),
        ("factor on the error per further net", d.factor, seeds["factor"], "no gain 1, two views 0.5"),
        ("inputs misclassified by all nets", d.floor, seeds["floor"],
         f"same errors {d.errors[0].value_text}, independent {d.floor_if_independent:.2g}"),
    ]  # fmt: skip
    if d.student is not None:
        found += [
            ("error of one student", d.student, None, ""),
            ("fraction of the gain retained", d.retained, seeds.get("retained"), "single net 0, ensemble 1"),
            ("student errors that another gets right", d.students_corrected, None, "same errors 0"),
        ]
    if d.larger_gain is not None:
        found.append(("error of a larger net minus the average's", d.larger_gain, None, ""))
    return found


def scores_table(d: Diagnosis) -> list[tuple[str, ...]]:
    """Return error, NLL, Brier score and ECE of one net, and of the average of all in both ways, as text."""
    L = len(d.errors)
    by_way = [d.evidence.scores[way] for way in WAYS]

    def line(name: str, values: list[Estimate]) -> tuple[str, ...]:
        return name, *(str(value) for value in values)

    table = []
    for name, measure, high in (("error", "error", 1.0), ("NLL", "nll", math.inf), ("Brier score", "brier", 2.0)):
        one = getattr(d.evidence.scores[d.evidence.scale], measure)[0]
        wholes = [getattr(scores, measure)[-1] for scores in by_way]
        table.append(
            line(name, [mean_of(values, L, high=high, events=measure == "error") for values in (one, *wholes)])
        )
    chance = [(by_way[0].ece[0], by_way[0].ece_if_calibrated[0])]
    chance += [(scores.ece[-1], scores.ece_if_calibrated[-1]) for scores in by_way]
    table.append(("ECE (if calibrated)", *(f"{ece:.4f} ({by_chance:.4f})" for ece, by_chance in chance)))
    scaled = d.evidence.scaled
    if scaled is not None:
        values = [str(mean_of(part, L, high=math.inf, events=False)) for part in (scaled.nll_one, scaled.nll_all)]
        whole = [values[1] if way == d.evidence.scale else "-" for way in WAYS]
        table.append(("NLL at fitted temperatures", values[0], *whole))
    return table


def frame(d: Diagnosis) -> DataFrame:
    """Return all numbers as a table of pandas."""
    from pandas import DataFrame

    L, found = len(d.errors), []
    for name, value, seeds, _ in rows(d):
        ends = [math.nan] * 2 if seeds is None else [seeds.low, seeds.high]
        numbers = [math.nan] * 3 if value is None else [value.value, value.low, value.high]
        found.append((name, math.nan, "as given", *numbers, *ends))
    for way in WAYS:
        scores = d.evidence.scores[way]
        for name, values in (("error", scores.error), ("NLL", scores.nll), ("Brier score", scores.brier)):
            for size in range(1, L + 1):
                e = mean_of(values[size - 1], L, high=math.inf, events=name == "error")
                found.append((name, size, way, e.value, e.low, e.high, math.nan, math.nan))
        for name, eces in (("ECE", scores.ece), ("ECE if calibrated", scores.ece_if_calibrated)):
            found += [(name, size, way, value, *[math.nan] * 4) for size, value in enumerate(eces, 1)]
    columns = ["measure", "nets", "averaged", "value", "low", "high", "low over seeds", "high over seeds"]
    return DataFrame(found, columns=columns)


def as_dict(d: Diagnosis) -> dict[str, Any]:
    """Return verdicts, sentences and numbers in a form that JSON can hold; what is undefined is None."""

    def plain(value: float) -> float | None:
        return float(value) if math.isfinite(value) else None

    table = frame(d)
    return {
        "verdict": d.verdict,
        "seeds_verdict": d.seeds_verdict,
        "student_verdict": d.student_verdict,
        "words": sentences(d),
        "nets": list(d.evidence.names),
        "inputs": d.n,
        "scale": d.evidence.scale,
        "numbers": [
            {key: plain(value) if isinstance(value, float) else value for key, value in row.items()}
            for row in table.to_dict("records")
        ],
    }


def sampled(d: Diagnosis) -> str:
    """Say how sure a sample of subsets is, where there is one: its standard error is part of the intervals."""
    most = d.evidence.subsets.sampling.max()
    return f"; a sample of all averages, of a standard error of at most {most:.2g}" if most else ""


def text(d: Diagnosis) -> str:
    """Return tables and sentences for a terminal."""
    lines = [f"{len(d.errors)} nets, {d.n} test inputs; 95% intervals{sampled(d)}"]
    lines.append(f"{'':43}{'over inputs':26}{'over inputs and seeds':24}")
    for name, value, seeds, note in rows(d):
        cells = ["undefined" if value is None else str(value), "" if seeds is None else seeds.interval_text]
        lines.append(f"{name:43}{cells[0]:26}{cells[1]:24}{note}")
    lines.append(f"{'':27}{'one net':24}{'logits averaged':24}{'probabilities averaged':24}")
    lines += ["".join([f"{name:27}", *(f"{cell:24}" for cell in cells)]) for name, *cells in scores_table(d)]
    return "\n".join([line.rstrip() for line in lines] + sentences(d))
