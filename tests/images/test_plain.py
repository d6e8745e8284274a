"""Pictures as they are: which ones, how they are scaled, and what a mask leaves."""

import pytest
import torch

from mvtheory.images.fashion import load
from mvtheory.images.plain import masked, plain_subset


def test_a_subset_holds_as_many_pictures_of_each_class_and_other_seeds_hold_others():
    train, test = plain_subset(3, per_class=7)
    assert torch.equal(train.y.bincount(), torch.full((10,), 7))
    assert (len(test), tuple(train.x.shape)) == (10_000, (70, 1, 28, 28))
    assert torch.equal(plain_subset(3, per_class=7)[0].x, train.x)
    assert not torch.equal(plain_subset(4, per_class=7)[0].x, train.x)


def test_training_pictures_have_mean_zero_and_mean_square_one_and_tests_follow_them():
    train, test = plain_subset(1, per_class=20)
    assert float(train.x.mean(0).abs().max()) < 1e-5
    assert float(train.x.square().mean()) == pytest.approx(1, rel=1e-5)
    data = load()
    # Both are the same affine function of the pixels: it can be read off two test pictures of one pixel.
    pixel = data.test_images[:, 14, 14].double()
    ours = test.x[:, 0, 14, 14].double()
    slope = (ours - ours[0])[pixel != pixel[0]] / (pixel - pixel[0])[pixel != pixel[0]]
    assert float(slope.std() / slope.mean()) < 1e-4
    assert float(test.x.square().mean()) == pytest.approx(1, rel=0.25)  # like the training pictures


def test_fourteen_pixels_are_averages_of_four():
    fine, coarse = plain_subset(2, per_class=5)[1], plain_subset(2, per_class=5, side=14)[1]
    pooled = fine.x.unflatten(-1, (14, 2)).unflatten(-3, (14, 2)).mean((-1, -3))
    ratio = coarse.x[pooled.abs() > 0.1] / pooled[pooled.abs() > 0.1]  # the root of the mean square differs
    assert float(ratio.std() / ratio.mean()) < 1e-3


def test_a_mask_takes_one_half():
    _, test = plain_subset(1, per_class=2)
    left = masked(test, "left")
    assert not left.x[..., :14].any()
    assert torch.equal(left.x[..., 14:], test.x[..., 14:])
    assert torch.equal(masked(test, "right").x + left.x, test.x)
    assert torch.equal(left.y, test.y)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: plain_subset(1, per_class=6001), "per_class"),
        (lambda: plain_subset(1, per_class=2, side=20), "side"),
        (lambda: plain_subset(-1, per_class=2), "seed"),
        (lambda: masked(plain_subset(1, per_class=2)[0], "top"), "half"),
    ],
)
def test_bad_arguments_are_named(call, name):
    with pytest.raises(ValueError, match=f"^{name} "):
        call()
