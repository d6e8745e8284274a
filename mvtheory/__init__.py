"""Why ensembles and distillation work: multi-view data, nets, training, ensembles, distillation and claims.

Examples
--------
>>> from mvtheory import MultiView, PatchNets, train
>>> task = MultiView(k=3, P=6, d=24, s=1)
>>> nets = PatchNets.init(2, k=3, m=4, d=24, sigma_0=0.1, seed=0)
>>> nets(task.sample(multi=5, seed=0).x).shape
torch.Size([2, 5, 3])
"""

from mvtheory.claims import Claim, Ledger, predict, record
from mvtheory.controls.no_views import GaussianMixture
from mvtheory.data import MultiView, Sample
from mvtheory.diagnose import Diagnosis, diagnose
from mvtheory.distillation import Distillation, OneSided, OnOff, Temperature
from mvtheory.ensemble import (
    AverageCrossEntropy,
    average,
    groups,
    learned_views,
    main_strength,
    predict_lottery,
    view_outputs,
)
from mvtheory.measurement import Estimate, difference_over_draws, error_rate, over_draws, stratified, wilson
from mvtheory.model import PatchNets, SReLU
from mvtheory.persistence.store import StoreError, cached, load, save
from mvtheory.reduced.reduction import reduce_to_all_views, reduce_to_own_views
from mvtheory.run import History, Run
from mvtheory.sweeps.sweep import Sweep
from mvtheory.training import CrossEntropy, Diverged, Interrupted, Schedule, train

__all__ = [
    "AverageCrossEntropy",
    "Claim",
    "CrossEntropy",
    "Diagnosis",
    "Distillation",
    "Diverged",
    "Estimate",
    "GaussianMixture",
    "History",
    "Interrupted",
    "Ledger",
    "MultiView",
    "OnOff",
    "OneSided",
    "PatchNets",
    "Run",
    "SReLU",
    "Sample",
    "Schedule",
    "StoreError",
    "Sweep",
    "Temperature",
    "average",
    "cached",
    "diagnose",
    "difference_over_draws",
    "error_rate",
    "groups",
    "learned_views",
    "load",
    "main_strength",
    "over_draws",
    "predict",
    "predict_lottery",
    "record",
    "reduce_to_all_views",
    "reduce_to_own_views",
    "save",
    "stratified",
    "train",
    "view_outputs",
    "wilson",
]
