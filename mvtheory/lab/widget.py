"""The lab in a notebook: the page's own script, with the setting and the results as traits."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import anywidget
import pandas as pd
import traitlets

from mvtheory.lab.script import FOLDER, script
from mvtheory.lab.setting import LabSetting, page

__all__ = ["Lab"]


class Lab(anywidget.AnyWidget):
    """A lab to train nets in: shown at the end of a cell.

    Parameters
    ----------
    setting : LabSetting
        Where it begins.

    Attributes
    ----------
    values : dict
        The setting as it is now; another one that is put here changes the lab.
    rows : list of dict
        The results, see `results`.
    """

    _esm = f"{script()}export default {{ render: multiViewLab.render }};\n"
    _css = (FOLDER / "lab.css").read_text(encoding="utf-8")

    config = traitlets.Dict().tag(sync=True)
    values = traitlets.Dict().tag(sync=True)
    rows: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)

    def __init__(self, setting: LabSetting = LabSetting()) -> None:
        super().__init__(config=page(setting), values=asdict(setting))

    @traitlets.validate("values")
    def _check_values(self, proposal: traitlets.Bunch) -> dict[str, Any]:
        given: dict[str, Any] = {  # in the page 12.0 is 12
            name: float(value) if isinstance(getattr(LabSetting, name, None), float) else value
            for name, value in proposal["value"].items()
        }
        return asdict(LabSetting(**given))

    @property
    def setting(self) -> LabSetting:
        """The setting as it is now."""
        return LabSetting(**self.values)

    @property
    def results(self) -> pd.DataFrame:
        """What was measured so far: the rows of :meth:`mvtheory.lab.reference.Experiment.results`."""
        columns = ["method", "error", "predicted", "loss", "train_error", "steps"]
        return pd.DataFrame(self.rows, columns=columns).astype(dict.fromkeys(columns[1:], float))
