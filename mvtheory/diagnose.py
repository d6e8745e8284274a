"""Does an ensemble pay on your own data? A diagnosis of any predictors that differ by seed, and what follows from it.

There is one test set, so the unit of an interval is the *test input*; a second interval covers other seeds, too. How
both are made is said in :mod:`mvtheory.decision.intervals`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mvtheory._check import check_number, check_shape
from mvtheory.decision import charts, page, tables, words
from mvtheory.decision.estimates import estimates
from mvtheory.decision.evidence import Evidence, gather
from mvtheory.decision.inputs import Stack, check_sizes, read_labels, read_stack
from mvtheory.decision.intervals import side
from mvtheory.decision.laws import Laws, fit_laws
from mvtheory.measurement import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

__all__ = ["Diagnosis", "diagnose"]


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found; print it for a table and the decisions.

    Fractions of errors are `None` where there are no errors.

    Attributes
    ----------
    n : int
        Test inputs.
    errors : tuple of Estimate
        Error of one net, of an average of 2 nets, ..., of the average of all L; means over subsets of a size.
    gain : Estimate
        Error of one net minus error of the average of all.
    removed : Estimate or None
        The gain as a fraction of one net's error: 1 if the average never errs, 0 if it errs as often as one net.
    corrected : Estimate or None
        Fraction of one net's errors that another net gets right, averaged over pairs; 0 if all nets make the same
        errors.
    corrected_if_independent : float or None
        The same if the nets erred independently: about 1 minus the error of one net.
    resolved : Estimate or None
        Of the inputs that exactly one of two nets gets right (disagreements), the fraction that the average of the
        two gets right.
    factor : Estimate or None
        Factor by which one more net multiplies the error: (e_2 + ... + e_L) / (e_1 + ... + e_(L-1)).
    floor : Estimate
        Fraction of the inputs that all nets misclassify: the error of one net if all nets make the same errors.
    floor_if_independent : float
        The same if the nets erred independently: the product of their errors.
    nll_gain : Estimate
        NLL of one net minus NLL of the average, where the outputs are averaged as they are.
    student : Estimate or None
        Error of one student, where students were given.
    retained : Estimate or None
        Fraction of the gain that a student retains, where the interval of the gain lies above 0.
    students_corrected : Estimate or None
        `corrected` among the students, where there are at least two.
    larger_gain : Estimate or None
        Error of a larger net minus error of the average, where larger nets were given.
    larger_nll_gain : Estimate or None
        The same of the NLL.
    over_seeds : dict of str to Estimate or None
        Intervals over inputs *and* seeds, by the name of the attribute; ``"one"`` and ``"all"`` are the errors of one
        net and of the average. None with fewer than three nets.
    worth : float
        Fraction of the errors that must be removed for an ensemble to pay.
    least : float
        Fraction of one net's errors that one more net must remove.
    evidence : Evidence
        What was counted, by input.
    """

    n: int
    errors: tuple[Estimate, ...]
    gain: Estimate
    removed: Estimate | None
    corrected: Estimate | None
    corrected_if_independent: float | None
    resolved: Estimate | None
    factor: Estimate | None
    floor: Estimate
    floor_if_independent: float
    nll_gain: Estimate
    student: Estimate | None
    retained: Estimate | None
    students_corrected: Estimate | None
    larger_gain: Estimate | None
    larger_nll_gain: Estimate | None
    over_seeds: Mapping[str, Estimate | None]
    worth: float
    least: float
    evidence: Evidence = field(repr=False, compare=False)

    @property
    def verdict(self) -> str:
        """``"pays"``, ``"does not pay"`` or ``"inconclusive"``: `removed`, over inputs, against `worth`."""
        return side(self.removed, self.worth, "pays", "does not pay")

    @property
    def seeds_verdict(self) -> str:
        """The same for the interval over inputs and seeds; ``"inconclusive"`` with fewer than three nets."""
        return side(self.over_seeds["removed"], self.worth, "pays", "does not pay")

    @property
    def student_verdict(self) -> str | None:
        """``"retains most of the gain"``, ``"loses most of the gain"`` or ``"inconclusive"``; None without students."""
        if self.student is None:
            return None
        return side(self.retained, 0.5, "retains most of the gain", "loses most of the gain")

    @cached_property
    def laws(self) -> Laws | None:
        """The laws of the error by number of nets; None with fewer than 4 nets, or without errors."""
        return fit_laws(self.evidence.subsets.by_size, self.evidence.subsets.without, self.resolved)

    @property
    def words(self) -> str:
        """The decisions as sentences, one per line."""
        return "\n".join(words.sentences(self))

    def __str__(self) -> str:
        return tables.text(self)

    def _repr_html_(self) -> str:
        return page.fragment(self)

    def to_frame(self) -> DataFrame:
        """Return all numbers as a table: measure, nets, way of averaging, value, and the ends of both intervals."""
        return tables.frame(self)

    def to_dict(self) -> dict[str, Any]:
        """Return verdicts, sentences and numbers in a form that JSON can hold."""
        return tables.as_dict(self)

    def plot(self) -> Figure:
        """Draw the error by number of nets, the agreement of the nets, and the reliability diagram."""
        return charts.overview(self)

    def save(self, path: str | Path) -> None:
        """Write a report as one HTML file that is read without a network.

        Parameters
        ----------
        path : str or Path
            The file; it is replaced if it exists.
        """
        Path(path).write_text(page.report(self), encoding="utf-8")


def diagnose(
    logits: Any,
    y: Any,
    students: Any = None,
    *,
    worth: float | int = 0.1,
    least: float | int = 0.02,
    larger: Any = None,
    scale: str | None = None,
    classes: Sequence[Any] | None = None,
    held_out: float | int = 0.0,
) -> Diagnosis:
    r"""Diagnose whether averaging nets that differ by seed pays on these data, and why.

    The intervals cover other *test inputs* of the same distribution, for the given nets; those of `over_seeds` also
    cover nets of other seeds. None covers other training sets: for these, repeat the whole procedure and use
    :func:`mvtheory.measurement.over_draws`. The inputs must be independent of each other, and must not have been
    used for training or for choosing the nets.

    In simulations with 3 to 1000 expected errors of one net, each interval over inputs covers at least 94%; with few
    errors the intervals are wide and cover more. The page for practice has a table for both kinds.

    Parameters
    ----------
    logits : array or tensor of shape [L, n, k], list, or dict by name
        Outputs of at least 2 nets on n >= 2 inputs for k >= 2 classes: logits, log-probabilities or probabilities; -inf
        masks a class. They are averaged as they are. A list or dict holds arrays, tensors or data frames [n, k], a
        column for each class. Rows and columns of data frames, and of a series `y` beside them, are matched by name.
        Up to 12 nets, all subsets are averaged, of more a sample.
    y : array of shape [n]
        True classes: integers from 0 to ``k - 1``, strings, categories, or rows with a one at the class. As in
        :func:`mvtheory.measurement.wrong`, a tie is an error.
    students : as logits, optional
        Outputs of nets distilled from the average.
    worth : float, in [0, 1)
        Fraction of the errors that must be removed for an ensemble to pay.
    least : float, in (0, 1)
        Fraction of one net's errors that one more net must remove to be worth it.
    larger : as logits, or one array of shape [n, k], optional
        Outputs of one or more single nets that cost as much as the whole ensemble.
    scale : {"logits", "probabilities"}, optional
        What the outputs are. If not given, they are probabilities where all are >= 0 and sum to 1.
    classes : sequence, optional
        The class of each output, as named in `y`.
    held_out : float, in [0, 1)
        Fraction of the inputs on which temperatures are fitted, for the NLL after temperature scaling; none if 0.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ValueError, TypeError
        If an argument is not as above.

    Examples
    --------
    Three nets. On each of the first 300 inputs exactly one of them is right, and its margin is the largest.

    >>> y = np.arange(600) % 2
    >>> margin = 5.0 * (np.arange(600) % 3 == np.arange(3)[:, None]) - 1
    >>> margin[:, 300:] = 1
    >>> logits = np.stack([-margin, margin], -1) * (2 * y - 1)[:, None]
    >>> found = diagnose(logits, y)
    >>> found.verdict, found.errors[0].value, found.errors[2].value
    ('pays', 0.3333333333333333, 0.0)
    >>> print(found.corrected)
    0.500 [0.488, 0.512]
    """
    nets = read_stack("logits", logits)
    check_sizes(nets, low=2)
    _, n, k = nets.shape
    named, inputs = nets.classes if classes is None else tuple(classes), nets.axes and nets.axes[0]
    labels = read_labels("y", y, n, k, named, inputs)
    check_number("worth", worth, 0, 1, open_high=True)
    check_number("least", least, 0, 1, open_low=True, open_high=True)
    check_number("held_out", held_out, 0, 1, open_high=True)
    found = gather(
        nets, labels, scale, _beside("students", students, "S", nets), _beside("larger", larger, "S", nets), held_out
    )
    return Diagnosis(**estimates(found), worth=float(worth), least=float(least))


def _beside(name: str, outputs: Any, axis: str, nets: Stack) -> Stack | None:
    """Read the outputs of other nets on the same inputs; one array [n, k] is one net."""
    if outputs is None:
        return None
    if name == "larger" and (hasattr(outputs, "columns") or len(getattr(outputs, "shape", ())) == 2):
        outputs = [outputs]
    stack = read_stack(name, outputs, nets)
    _, n, k = nets.shape
    check_shape(name, np.broadcast_to(np.zeros(1), stack.shape), (axis, n, k))
    return stack
