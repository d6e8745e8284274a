"""Say whether an ensemble is worth it, from a file with the outputs of nets.

    python -m mvtheory diagnose predictions.npz --labels y.csv --save report.html

The file is an array of shape [nets, n, k] in .npy, an .npz with an array for each net, a .csv or .parquet with a column
`net` and a column for each class, or a folder with a file for each net. The labels are in the file, as `y`, or in
their own. Tables may name the inputs in a column `input` or `id`: rows are then matched by these names.

The exit status is 0 if the ensemble pays, 3 if it does not, 4 if these inputs do not tell, and 2 if the command could
not be carried out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from mvtheory.decision.files import needs_pyarrow, read_file_labels, read_file_outputs
from mvtheory.diagnose import Diagnosis, diagnose

__all__ = ["STATUS", "main"]

#: The exit status of each verdict.
STATUS = {"pays": 0, "does not pay": 3, "inconclusive": 4}

_TABLES = (".csv", ".parquet")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows ``diagnose`` on the command line.
    """
    options = _parser().parse_args(arguments)
    try:
        found = _diagnosed(options)
        print(json.dumps(found.to_dict()) if options.json else found)
        if options.save:
            _save(found, options.save)
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"mvtheory diagnose: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return STATUS[found.verdict]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m mvtheory diagnose", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("outputs", type=Path, help="outputs of the nets: .npy, .npz, .csv, .parquet, or a folder")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="true classes: .npy, .npz, .csv or .parquet")
    parser.add_argument("--students", type=Path, metavar="FILE", help="outputs of distilled nets")
    parser.add_argument("--larger", type=Path, metavar="FILE", help="outputs of single nets that cost as much as all")
    parser.add_argument("--worth", type=float, default=0.1, help="fraction of the errors that must go (default: 0.1)")
    parser.add_argument(
        "--least", type=float, default=0.02, help="fraction that one more net must remove (default: 0.02)"
    )
    parser.add_argument(
        "--scale", choices=("logits", "probabilities"), help="what the outputs are (default: found from their values)"
    )
    parser.add_argument(
        "--held-out", type=float, default=0.0, metavar="FRACTION", help="inputs on which temperatures are fitted"
    )
    parser.add_argument("--save", type=Path, metavar="REPORT", help="save a report (.html) or a table (.csv, .parquet)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _diagnosed(options: argparse.Namespace) -> Diagnosis:
    if options.save and options.save.suffix not in (".html", *_TABLES):
        raise ValueError(f"--save must end in .html, .csv or .parquet; got {options.save}")
    outputs, labels = read_file_outputs(options.outputs)
    if options.labels:
        labels = read_file_labels(options.labels)
        inputs = outputs.shape[1] if hasattr(outputs, "shape") else len(next(iter(outputs.values())))
        if options.labels.suffix == ".csv" and len(labels) == inputs - 1:
            raise ValueError(f"{options.labels} must begin with the name of its column; got one label less than inputs")
    if labels is None:
        raise ValueError(f"--labels must be given: {options.outputs} has no y")
    others = {
        name: read_file_outputs(getattr(options, name))[0]
        for name in ("students", "larger")
        if getattr(options, name) is not None
    }
    return diagnose(
        outputs, labels, others.get("students"), larger=others.get("larger"), worth=options.worth,
        least=options.least, scale=options.scale, held_out=options.held_out,
    )  # fmt: skip


def _save(found: Diagnosis, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".html":
        found.save(path)
    elif path.suffix == ".csv":
        found.to_frame().to_csv(path, index=False)
    else:
        with needs_pyarrow():
            found.to_frame().to_parquet(path, index=False)
