"""Why ensembles and distillation work: multi-view data, nets, training, ensembles, distillation and claims.

These are the primitives. What stands on them is reached by its folder, such as ``from mvtheory.sweeps import Sweep`` or
``from mvtheory.reduced.reduction import reduce_to_own_views``.

Examples
--------
>>> from mvtheory import MultiView, PatchNets, train
>>> task = MultiView(k=3, P=6, d=24, s=1)
>>> nets = PatchNets.init(2, k=3, m=4, d=24, sigma_0=0.1, seed=0)
>>> nets(task.sample(n_multi_view=5, seed=0).x).shape
torch.Size([2, 5, 3])
"""

from mvtheory.claims import Claim, Ledger
from mvtheory.data import MultiView, Sample
from mvtheory.diagnose import diagnose
from mvtheory.distillation import Distillation, OneSided, OnOff, Temperature
from mvtheory.ensemble import AverageCrossEntropy, average, learned_views, predict_lottery, view_outputs
from mvtheory.measurement import Estimate, difference_over_draws, error_rate, over_draws
from mvtheory.model import PatchNets, SReLU
from mvtheory.persistence.store import load, save
from mvtheory.training import CrossEntropy, Schedule, train

__all__ = [
    "AverageCrossEntropy",
    "Claim",
    "CrossEntropy",
    "Distillation",
    "Estimate",
    "Ledger",
    "MultiView",
    "OnOff",
    "OneSided",
    "PatchNets",
    "SReLU",
    "Sample",
    "Schedule",
    "Temperature",
    "average",
    "diagnose",
    "difference_over_draws",
    "error_rate",
    "learned_views",
    "load",
    "over_draws",
    "predict_lottery",
    "save",
    "train",
    "view_outputs",
]
