"""Pictures of clothes as they are: nothing is planted, and every class is there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as nnf
from jaxtyping import Float, Int
from torch import Tensor

from mvtheory._check import check_choice, check_int, check_seed
from mvtheory.images.fashion import CLASSES, load

__all__ = ["Pictures", "masked", "plain_subset"]


@dataclass(frozen=True)
class Pictures:
    """Inputs of one picture each.

    Attributes
    ----------
    x : Tensor, shape [n, 1, side, side]
        Pictures.
    y : Tensor of int, shape [n]
        Classes, 0 to 9, see :data:`mvtheory.images.fashion.CLASSES`.
    """

    x: Float[Tensor, "n 1 side side"]
    y: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.y)


def plain_subset(seed: int, *, per_class: int, side: int = 28) -> tuple[Pictures, Pictures]:
    """Draw training pictures of each class; the test pictures are all of the data set's test part.

    The mean training picture is subtracted, and all are divided by the root of their mean square.

    Parameters
    ----------
    seed : int, >= 0
        Determines the training pictures.
    per_class : int, 1 to 6000
        Training pictures of a class.
    side : {28, 14}
        Pixels on a side; 14 averages squares of four.

    Returns
    -------
    train, test : Pictures
        ``10 per_class`` and 10,000.
    """
    check_int("per_class", per_class, 1, 6000)
    check_choice("side", side, (28, 14))
    data, rng = load(), torch.Generator().manual_seed(check_seed("seed", seed))
    of_class = [(data.train_y == c).nonzero()[:, 0] for c in range(len(CLASSES))]
    chosen = torch.cat([index[torch.randperm(len(index), generator=rng)[:per_class]] for index in of_class])
    train, test = (
        nnf.avg_pool2d(images[:, None].float(), 28 // side) for images in (data.train_images[chosen], data.test_images)
    )
    mean = train.mean(0)
    scale = (train - mean).square().mean().sqrt()
    return (
        Pictures((train - mean) / scale, data.train_y[chosen]),
        Pictures((test - mean) / scale, data.test_y),
    )


def masked(pictures: Pictures, half: str) -> Pictures:
    """Return the pictures with one half replaced by that of the mean picture.

    Parameters
    ----------
    pictures : Pictures
        See `plain_subset`.
    half : {"left", "right"}
        The half that is lost.

    Returns
    -------
    Pictures
    """
    x, middle = pictures.x.clone(), pictures.x.shape[-1] // 2
    lost = slice(None, middle) if check_choice("half", half, ("left", "right")) == "left" else slice(middle, None)
    x[..., lost] = 0
    return replace(pictures, x=x)
