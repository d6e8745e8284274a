"""Small settings, and nets that were not trained: their weights, or their outputs, are written by the test."""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as nnf
import xarray as xr

from mvtheory import MultiView, PatchNets, SReLU
from mvtheory.experiments.base import labelled
from mvtheory.experiments.nets import Nets
from mvtheory.experiments.settings import SETTING, Setting
from mvtheory.run import History
from mvtheory.training import Schedule

#: Five members and two students on three classes; inputs hold views and nothing else, weak ones of strength 0.3.
EXACT = replace(
    SETTING,
    task=MultiView(
        k=3, P=8, d=12, s=1.5, weak=(0.3, 0.3), rho=0.0, Gamma=0.1, noise_signal=0.0, noise_background=0.0, frame="axes"
    ),
    n_multi_view=60,
    n_single_view=2,
    activation=SReLU(q=3, varrho=12.0),
    m=2,
    members=5,
    students=2,
    test_single_view=60,
    test_multi_view=90,
)


def small(setting: Setting, **change) -> Setting:
    """Return a setting of the book on three classes, whose nets train in a moment."""
    few = {
        "task": MultiView(k=3, P=6, d=12, s=1.0, noise_background=0.2), "n_multi_view": 40, "n_single_view": 1, "m": 3,
        "members": 5, "students": 2, "schedule": Schedule(steps=30, stop_loss=0.5, warn=False),
        "distillation_schedule": Schedule(steps=5, warn=False), "test_single_view": 60, "test_multi_view": 20,
    }  # fmt: skip
    return replace(setting, **few | change)


def readers(draw, held, size=9.0):
    """Nets with a neuron of length `size` for each view that they hold: a list over nets, classes, views of 0 or 1."""
    views = draw.task.views  # [k, M, d]
    W = size * torch.tensor(held, dtype=torch.float)[..., None] * views
    return of(draw, PatchNets(W, draw.setting.activation))


def of(draw, nets, **outputs):
    """Nets of a data set with their outputs, or with those that are given: ``single_view=F``."""
    data = {"train": draw.train, "single-view": draw.test_single_view, "multi-view": draw.test_multi_view}
    outputs = {where: outputs.get(where.replace("-", "_"), nets(sample.x)) for where, sample in data.items()}
    L, k, M = len(nets), draw.setting.task.k, draw.setting.task.M
    flat = torch.zeros(1, L)
    history = History(torch.zeros(1, dtype=torch.int64), flat, flat, flat, flat, torch.zeros(1, L, k, M))
    return Nets(draw, nets, outputs, {where: sample.y for where, sample in data.items()}, history, 1.5)


def answering(draw, wrong):
    """Nets that misclassify those single-view test inputs that are marked: bool, shape [L, n]."""
    y, k = draw.test_single_view.y, draw.setting.task.k
    answers = torch.where(wrong, (y + 1) % k, y)
    nets = PatchNets(torch.zeros(len(wrong), k, 1, draw.setting.task.d), draw.setting.activation)
    return of(draw, nets, single_view=nnf.one_hot(answers, k).float())


def use(monkeypatch, module, **by_study):
    """Let an estimator's module find these nets, by the name of the study: lists over data sets."""

    def each_draw(study, draws, setting, *args):
        return by_study[study.__name__]

    monkeypatch.setattr(module, "each_draw", each_draw)


def photographs(errors: dict[str, float], sizes=(0.5, 0.3, 0.2, 0.15), contrast: float = 0.3) -> xr.Dataset:
    """Results on pairs of photographs with errors that are the same for all classes and halves, on two splits."""
    shape = {"net": 3, "reference_net": 2, "": 1}
    axes = {"single": "net", "shared": "net", "reference": "reference_net"}
    variables = {"by size": ("draw size half", np.broadcast_to(np.array(sizes)[None, :, None], (2, len(sizes), 2)))}
    for name, value in errors.items():
        axis = axes.get(name, "")
        values = np.full((2, 1, 2, *([shape[axis]] if axis else []), 8), value)
        variables[name] = (f"draw contrast half {axis} class", values)
    variables = {name: (axes, np.array(values)) for name, (axes, values) in variables.items()}  # to be changed
    return labelled(variables, draw=[1, 2], contrast=[contrast], half=["left", "right"], size=range(1, len(sizes) + 1))
