"""Checks of tensors, of what type their numbers are and whether views fit nets; and what is read from one once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from mvtheory._check import check_finite, check_shape

T = TypeVar("T")

#: The types of numbers that nets may have, and those in which they may be trained: sums of steps need the digits.
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
TRAINED = (torch.float32, torch.float64)


def check_tensor(name: str, value: Any, dtypes: Sequence[torch.dtype] = ()) -> Tensor:
    """Return `value`, a torch tensor of one of `dtypes`; of any, if none is given."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch tensor; got {type(value).__name__}")
    if dtypes and value.dtype not in dtypes:
        raise TypeError(f"{name} must have a dtype among {', '.join(map(str, dtypes))}; got {value.dtype}")
    return value


def check_views(name: str, views: Any, W: Tensor, classes: int | str | None = None) -> Tensor:
    """Return finite views [k, M, d] of the classes of the weights `W` [L, k, m, d], in the dtype of these.

    `classes` stands for k where views of other classes may be given.
    """
    check_tensor(name, views, FLOATS)
    check_shape(name, views, (W.shape[1] if classes is None else classes, "M", W.shape[-1]))
    return check_finite(name, views).to(W.dtype)


def once_per_tensor(work: Callable[[Tensor], T]) -> Callable[[Tensor], T]:
    """Do `work` once for all steps on the same tensor, and again after a change in place."""
    done = WeakTensorKeyDictionary()  # forgotten with the tensor

    @wraps(work)
    def of(x: Tensor) -> T:
        if x.is_inference():  # such a tensor does not count its changes
            return work(x)
        version, result = done.get(x, (None, None))
        if version != x._version:
            result = work(x)
            done[x] = x._version, result
        return result

    return of
