"""Claims: a prediction stated before the run, its measurement after it, and the verdict.

>>> from mvtheory.measurement import Estimate
>>> claim = Claim("single", "A single net errs on half of the single-view inputs.", (0.49, 0.51),
...               chapter="02-single-model", source="theorem", setting="single nets")
>>> claim = claim.measure(Estimate(0.502, 0.495, 0.509, nets=50, draws=5), seconds=12.3)
>>> claim.verdict
'holds'
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from tabulate import tabulate

from mvtheory._check import check_choice, check_number, check_range, check_type
from mvtheory.measurement import Estimate
from mvtheory.persistence.files import read_file, write_atomic

__all__ = ["CLAIM_MIME", "COLUMNS", "KINDS", "SOURCES", "Claim", "Ledger", "table_cells"]

CLAIM_MIME = "application/vnd.mvtheory.claim+json"
#: Where a predicted range comes from: a statement of the paper, a derivation of ours, or a tolerance that we chose.
SOURCES = ("theorem", "derived", "our tolerance")
#: A claim may fail; a check has a range that can hardly be missed, and shows that an experiment does what it says.
KINDS = ("claim", "check")
#: Column heads of the table of claims.
COLUMNS = ("claim", "predicted", "measured [95% interval]", "nets", "data sets", "verdict")

_TEXTS = ("id", "chapter", "statement", "setting", "source", "kind", "unit")  # fields that are texts


@dataclass(frozen=True)
class Claim:
    """One statement of the theory with its predicted range and, after the run, its measurement.

    Attributes
    ----------
    id, statement : str
        Short name of lower-case letters, digits and hyphens; the claim in a sentence.
    predicted : (float, float)
        Range that the theory allows, ends included; an end may be infinite.
    chapter : str
        The chapter whose run measures it.
    source : {"theorem", "derived", "our tolerance"}
        Where the range comes from.
    setting : str
        Name of the setting in which it is measured.
    kind : {"claim", "check"}
        Whether it may fail, or has a range that can hardly be missed.
    unit : str
        What the interval takes as independent repetitions.
    measured : Estimate, optional
        The measured value with its interval; `None` before the run.
    seconds : float, optional
        Wall time of the run.
    raw : Estimate, optional
        The value before adjustment, where `measured` was adjusted by a control variate.
    """

    id: str
    statement: str
    predicted: tuple[float, float]
    chapter: str
    source: str
    setting: str
    kind: str = "claim"
    unit: str = "data set"
    measured: Estimate | None = None
    seconds: float | None = None
    raw: Estimate | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch("[a-z0-9-]+", check_type("id", self.id, str)):
            raise ValueError(f"id must be lower-case letters, digits and hyphens; got {self.id!r}")
        for name in ("statement", "chapter", "setting", "unit"):
            if not check_type(name, getattr(self, name), str).strip():
                raise ValueError(f"{name} must not be empty; got {getattr(self, name)!r}")
        check_choice("source", self.source, SOURCES)
        check_choice("kind", self.kind, KINDS)
        object.__setattr__(self, "predicted", check_range("predicted", self.predicted))
        if (self.measured is None) != (self.seconds is None):
            raise ValueError("measured and seconds must be given together")
        if self.raw is not None and self.measured is None:
            raise ValueError("raw must be given together with measured")
        for name in ("measured", "raw"):
            if getattr(self, name) is not None:
                check_type(name, getattr(self, name), Estimate)
        if self.seconds is not None:
            check_number("seconds", self.seconds, 0)

    def measure(self, estimate: Estimate, *, seconds: float | int, raw: Estimate | None = None) -> Claim:
        """Return this claim with its measurement, its wall time, and, if it was adjusted, the raw value."""
        return replace(self, measured=estimate, seconds=float(seconds), raw=raw)

    @property
    def verdict(self) -> str:
        """``holds`` (interval inside the range), ``fails`` (outside) or ``inconclusive``."""
        low, high = self.predicted
        estimate = self._estimate
        if low <= estimate.low and estimate.high <= high:
            return "holds"
        return "fails" if estimate.high < low or estimate.low > high else "inconclusive"

    @property
    def predicted_text(self) -> str:
        """The predicted range as text; the end 0 or 1 of a range of fractions is left out.

        Examples
        --------
        >>> for low, high in [(0, 0.01), (0.97, 1), (0.49, 0.51), (0, math.inf)]:
        ...     print(Claim("x", "X.", (low, high), "c", "derived", "all").predicted_text)
        ≤ 0.01
        ≥ 0.97
        0.49 to 0.51
        ≥ 0
        """
        low, high = self.predicted
        if low == high:
            return f"{low:g}"
        if high == math.inf:
            return "any" if low == -math.inf else f"≥ {low:g}"
        if low == -math.inf or (low == 0 and high < 1):
            return f"≤ {high:g}"
        if high == 1 and low > 0:
            return f"≥ {low:g}"
        return f"{low:g} to {high:g}"

    def as_dict(self) -> dict[str, Any]:
        """Return the measured claim as strict JSON values; an infinite end is `None`."""
        estimate = self._estimate
        return {name: getattr(self, name) for name in _TEXTS} | {
            "predicted": [end if math.isfinite(end) else None for end in self.predicted],
            "measured": estimate.value,
            "interval": [estimate.low, estimate.high],
            "nets": estimate.nets,
            "draws": estimate.draws,
            "verdict": self.verdict,
            "seconds": self.seconds,
            "raw": None if self.raw is None else [self.raw.value, self.raw.low, self.raw.high],
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Claim:
        """Return the claim that `as_dict` wrote.

        Raises
        ------
        ValueError
            If a field is missing or of the wrong type, or the verdict does not follow from the
            numbers.
        """
        try:
            (bottom, top), counts = fields["predicted"], (fields["nets"], fields["draws"])
            predicted = -math.inf if bottom is None else bottom, math.inf if top is None else top
            claim = cls(predicted=predicted, **{name: fields[name] for name in _TEXTS})
            numbers = [(fields["measured"], *fields["interval"])] + [fields["raw"]] * (fields["raw"] is not None)
            estimate, *raw = (Estimate(value, low, high, *counts) for value, low, high in numbers)
            claim = claim.measure(estimate, seconds=fields["seconds"], raw=raw[0] if raw else None)
            stated = fields["verdict"]
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"fields must be those of a measured claim; got {fields!r}") from error
        if stated != claim.verdict:
            raise ValueError(f"verdict of {claim.id!r} must be {claim.verdict!r}; got {stated!r}")
        return claim

    def __str__(self) -> str:
        return _plain([self])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/plain": _plain([self]), "text/html": _html([self])}
        if self.measured is not None:
            bundle[CLAIM_MIME] = self.as_dict()
        return bundle

    @property
    def _estimate(self) -> Estimate:
        if self.measured is None:
            raise ValueError(f"claim {self.id!r} must be measured first: claim.measure(...)")
        return self.measured


class Ledger:
    """Measured claims in order, with unique ids, shown as a table.

    Examples
    --------
    >>> claim = Claim("gain", "Averaging nets lowers the error.", (0.1, math.inf), "c", "derived", "all")
    >>> ledger = Ledger([claim.measure(Estimate(0.48, 0.47, 0.49, 20, 5), seconds=1)])
    >>> [claim.verdict for claim in ledger]
    ['holds']
    """

    def __init__(self, claims: Iterable[Claim] = ()) -> None:
        self._claims: dict[str, Claim] = {}
        for claim in claims:
            self.add(claim)

    def add(self, claim: Claim) -> None:
        """Append a measured claim, whose id must be new."""
        claim._estimate  # noqa: B018 -- raises an error if the claim is not measured
        if claim.id in self._claims:
            raise ValueError(f"id must be new in the ledger; got {claim.id!r} twice")
        self._claims[claim.id] = claim

    def __iter__(self) -> Iterator[Claim]:
        return iter(self._claims.values())

    def __len__(self) -> int:
        return len(self._claims)

    def __getitem__(self, id: str) -> Claim:
        return self._claims[id]

    def to_json(self, path: str | Path) -> None:
        """Write the claims as ``{"claims": [...]}``, atomically."""
        content = {"claims": [claim.as_dict() for claim in self]}
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        write_atomic(path, (text + "\n").encode())

    @classmethod
    def from_json(cls, path: str | Path) -> Ledger:
        """Read what `to_json` wrote; any other content raises a `ValueError` that names the file."""
        try:
            content = json.loads(read_file(path))
            return cls(Claim.from_dict(fields) for fields in content["claims"])
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{path} is not a ledger of claims: {error}") from error

    def __str__(self) -> str:
        return _plain(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/plain": _plain(self), "text/html": _html(self)}


def table_cells(claim: Claim) -> tuple[str, ...]:
    """Return the table cells of a claim beside its name, as texts in the order of `COLUMNS`."""
    if claim.measured is None:
        return claim.predicted_text, "not measured", "", "", ""
    nets, draws = str(claim.measured.nets), str(claim.measured.draws)
    raw = "" if claim.raw is None else f"; raw {claim.raw}"
    return claim.predicted_text, f"{claim.measured}{raw}", nets, draws, claim.verdict


def _plain(claims: Iterable[Claim]) -> str:
    rows = [(claim.id, *table_cells(claim)) for claim in claims]
    return tabulate(rows, COLUMNS, tablefmt="plain", disable_numparse=True)


def _html(claims: Iterable[Claim]) -> str:
    head = "".join(f'<th scope="col">{column}</th>' for column in COLUMNS)
    body = ""
    for claim in claims:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in table_cells(claim))
        statement = f'<th scope="row">{escape(claim.statement)}</th>'
        body += f'<tr data-claim="{claim.id}">{statement}{cells}</tr>'
    return (
        '<table class="mvtheory-claims"><caption>Predicted and measured</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
