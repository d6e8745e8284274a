"""What chapters do with claims and numbers: show them, and glue them for the prose of any page to quote."""

from __future__ import annotations

from typing import Any

from mvtheory.claims import CLAIM_MIME, Claim, Ledger

__all__ = ["glue_values", "record"]


def record(*claims: Claim) -> None:
    """Show measured claims in a notebook as one table, and glue their numbers for other pages to quote.

    The glued keys are ``<id>-measured``, ``-interval``, ``-predicted``, ``-verdict``, ``-nets`` and ``-draws``, all
    formatted strings; where the value was adjusted, also ``-raw``, the value before adjustment with its interval.

    Parameters
    ----------
    *claims : Claim
        Measured claims; each id is recorded once in a book.

    Raises
    ------
    ValueError, ImportError
        If a claim is not measured yet; if IPython or myst-nb is not installed.
    """
    ledger = Ledger(claims)
    _display(ledger)
    for claim in ledger:
        _display({CLAIM_MIME: claim.as_dict()}, raw=True)  # for the book, which gathers all claims; nothing is seen
        assert claim.measured is not None  # a ledger holds measured claims only
        texts = {
            "measured": claim.measured.value_text,
            "interval": claim.measured.interval_text,
            "predicted": claim.predicted_text,
            "verdict": claim.verdict,
            "nets": claim.measured.nets,
            "draws": claim.measured.draws,
        }
        raw = {} if claim.raw is None else {"raw": claim.raw}
        glue_values({f"{claim.id}-{key}": text for key, text in (texts | raw).items()})


def glue_values(values: dict[str, Any]) -> None:
    """Glue numbers and texts, so that the prose can quote them by name; nothing is shown.

    Parameters
    ----------
    values : dict of str to object
        By name, what `str` turns into the text to quote: an estimate, an integer, a formatted number.
    """
    try:
        from myst_nb import glue
    except ImportError as error:
        raise ImportError("gluing needs myst-nb: pip install 'mvtheory[book]'") from error
    for name, value in values.items():
        glue(name, str(value), display=False)


def _display(thing: Any, **how: Any) -> None:
    try:
        from IPython.display import display
    except ImportError as error:
        raise ImportError("showing claims needs IPython: pip install 'mvtheory[book]'") from error
    display(thing, **how)
