"""Questions that a reader answers by playing: what to press, and between which bounds the answer lies.

The page of the lab lists them, and a test presses what they say.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QUESTIONS", "Question", "Seen"]


@dataclass(frozen=True)
class Seen:
    """A share in the lab's tables, and its bounds.

    Parameters
    ----------
    what : str
        A method of the table of results, whose error it is; or else nets of which the grid is shown.
    low, high : float
        Least and largest share.
    cells : str
        Of the grid, the share of the cells that hold this: "1", "1+2", or "–" for no view.
    """

    what: str
    low: float
    high: float
    cells: str = ""

    def __str__(self) -> str:
        low, high = (f"{100 * share:g}%" for share in (self.low, self.high))
        span = f"at least {low}" if self.high == 1 else f"{low} to {high}" if self.low else f"at most {high}"
        if not self.cells:
            return f"*{self.what}* errs on {span}"
        holds = {"–": "are empty", "1": "hold view 1", "1+2": "hold both views"}[self.cells]
        return f"in the grid, {span} of the cells {holds}"


@dataclass(frozen=True)
class Question:
    """A question, how to answer it, and the answer.

    Parameters
    ----------
    text : str
        The question.
    preset : str
        Where to begin.
    steps : tuple of str
        What follows: a button (one of :data:`mvtheory.lab.setting.PHASES`), or a number such as ``weak = 0``.
    seen : tuple of Seen
        What the lab shows then.
    why : str
        The reason.
    """

    text: str
    preset: str
    steps: tuple[str, ...]
    seen: tuple[Seen, ...]
    why: str

    def __str__(self) -> str:
        """Tell all but the question, in Markdown."""
        acts = [f"Set `{step}`." if "=" in step else f"Press *{step.capitalize()}*." for step in self.steps]
        shown = [f"Choose *{seen.what}* under *Show*." for seen in self.seen if seen.cells]
        steps = "\n".join(f"1. {act}" for act in [f"Choose the preset *{self.preset}*.", *acts, *shown])
        return f"{steps}\n\nYou see: {'; '.join(map(str, self.seen))}.\n\n{self.why}"


#: The questions of the page, in order.
QUESTIONS = (
    Question(
        "How many nets until the average errs on less than one input in a hundred?",
        "two views",
        ("train", "average"),
        (Seen("single net", 0.45, 0.51), Seen("average of 3", 0.05, 0.2), Seen("average of 10", 0.0, 0.01)),
        "An average errs where all of its nets lack the view, and each net more halves that: seven should do, since "
        "$2^{-7} < 0.01$. The table says how many it takes here.",
    ),
    Question(
        "What does the power 2 do, in place of 3?",
        "q = 2",
        ("train",),
        (Seen("single net", 0.0, 0.1), Seen("nets", 0.7, 1.0, "1+2")),
        "With $q = 2$ the lead of a view stays what it was at the start. Only from $q = 3$ on does it explode.",
    ),
    Question(
        "Why does it not help to train the average as one net?",
        "two views",
        ("train the average",),
        (Seen("trained average", 0.35, 0.51), Seen("nets of the trained average", 0.75, 1.0, "–")),
        "The first of its nets that answers a class leaves nothing to learn for the others: most of the grid is empty, "
        "and together they hold hardly more than one net.",
    ),
    Question(
        "Does a larger start end the lottery?",
        "large start",
        ("train",),
        (Seen("single net", 0.0, 0.1), Seen("nets", 0.6, 1.0, "1+2")),
        "All views are answered before the race begins: training takes a step or two.",
    ),
    Question(
        "What if a class has three views?",
        "three views",
        ("train", "average"),
        (Seen("single net", 0.6, 0.68), Seen("average of 2", 0.38, 0.47)),
        "A net holds one of three, and so lacks the view that is left with probability 2/3; two nets lack it with 4/9.",
    ),
    Question(
        "What does the lottery cost where no view is missing?",
        "views never missing",
        ("train",),
        (Seen("single net", 0.0, 0.001), Seen("nets", 0.0, 0.05, "1+2")),
        "Nothing: nets hold one view, as before, and find it in every test input.",
    ),
    Question(
        "What if the data favour one of the views?",
        "strong favourite",
        ("train", "average"),
        (Seen("single net", 0.45, 0.51), Seen("average of 10", 0.2, 0.51), Seen("nets", 0.9, 1.0, "1")),
        "The stronger view wins in nearly every net, whatever the seed. An average repairs what chance decides, not "
        "what the data decide.",
    ),
    Question(
        "What does a student of the average hold?",
        "two views",
        ("train", "distil"),
        (Seen("distilled net", 0.0, 0.02), Seen("distilled nets", 0.95, 1.0, "1+2")),
        "Both views of nearly every class: it keeps in one net what the average keeps in ten.",
    ),
    Question(
        "From which inputs does it learn the view that labels do not teach?",
        "two views",
        ("weak = 0", "train", "distil"),
        (Seen("distilled net", 0.45, 0.51),),
        "From those of other classes, which show its views weakly. Where they do not, it errs like a net without a "
        "teacher.",
    ),
    Question(
        "What does a student of one net gain, and a student of such a student?",
        "two views",
        ("train", "self-distil", "next generation", "self-distil"),
        (Seen("single net", 0.2, 0.32), Seen("self-distilled net", 0.08, 0.2)),
        "A student holds its own lottery's view and its teacher's: a half becomes a quarter (*single net*, now the "
        "teacher), then an eighth. The lab's students miss some.",
    ),
)
