"""Two photographs as two views: twins, distractors, coordinates, and no test picture in training."""

import pytest
import torch

from mvtheory.images.fashion import load
from mvtheory.images.planted import CLASSES, planted_split

PER_CLASS, TEST, P = 6, 4, 20


@pytest.fixture(scope="module")
def split():
    return planted_split(3, per_class=PER_CLASS, test_per_class=TEST, components=P)


def halves(part):
    """Return left and right half of each input, from their own coordinates."""
    return part.x[:, 0, :P], part.x[:, 1, P:]


def test_each_half_has_coordinates_of_its_own(split):
    for part in (split.train, split.two_view, split.left, split.right, split.halves):
        assert part.x.shape == (len(part), 2, 2 * P)
        assert not part.x[:, 0, P:].any()
        assert not part.x[:, 1, :P].any()


def test_counts_and_labels(split):
    k = len(CLASSES)
    assert len(split.train) == k * PER_CLASS
    assert len(split.two_view) == len(split.left) == len(split.right) == k * TEST // 2
    assert split.train.y.bincount().tolist() == [PER_CLASS] * k
    assert split.halves.y.bincount().tolist() == [2 * PER_CLASS] * k


def test_training_favours_no_half(split):
    left, right = halves(split.train)
    n = len(split.train) // 2
    torch.testing.assert_close(left[:n], right[n:])
    torch.testing.assert_close(right[:n], left[n:])


def test_one_half_stays_and_the_other_is_a_faint_one_of_another_class(split):
    two = halves(split.two_view)
    for kept, part in enumerate((split.left, split.right)):
        one = halves(part)
        assert torch.equal(one[kept], two[kept])
        matches = torch.cdist(one[1 - kept].double(), 0.3 * two[1 - kept].double()).argmin(1)
        torch.testing.assert_close(one[1 - kept], 0.3 * two[1 - kept][matches])
        assert (split.two_view.y[matches] != part.y).all()


def test_pictures_are_what_the_inputs_show(split):
    shown = split.shown
    assert shown["two-view"].shape == (len(split.two_view), 2, 28, 28)
    assert torch.equal(shown["left"][:, 0], shown["two-view"][:, 0])
    assert torch.equal(shown["right"][:, 1], shown["two-view"][:, 1])
    data = load()
    flat = (data.test_images.flatten(1).float() / 255).double()
    nearest = torch.cdist(shown["two-view"][:, 0].flatten(1).double(), flat).argmin(1)
    assert torch.equal(data.test_y[nearest], torch.tensor(CLASSES)[split.two_view.y])


def test_all_components_keep_all_angles():
    """A rotation of pictures of norm one, minus the mean: inner products are those of the pixels."""
    split = planted_split(5, per_class=2, test_per_class=2, components=784)
    assert split.variance == pytest.approx(1)
    x = torch.cat([split.train.x[:, 0, :784], split.train.x[:, 1, 784:]]).double()
    torch.testing.assert_close(x.norm(dim=1), torch.ones(len(x)).double(), rtol=1e-5, atol=0)
    few = planted_split(5, per_class=2, test_per_class=2, components=15)
    assert few.variance == pytest.approx(1)  # 16 pictures less their mean span 15 dimensions


def test_shared_coordinates_hold_the_same_pictures(split):
    shared = planted_split(3, per_class=PER_CLASS, test_per_class=TEST, components=P, form="shared")
    assert torch.equal(shared.train.x, torch.stack(halves(split.train), 1))


def test_a_split_is_its_seed(split):
    again = planted_split(3, per_class=PER_CLASS, test_per_class=TEST, components=P)
    other = planted_split(4, per_class=PER_CLASS, test_per_class=TEST, components=P)
    assert torch.equal(again.train.x, split.train.x)
    assert not torch.equal(other.train.x, split.train.x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"per_class": 7}, "per_class must be even.*7"),
        ({"test_per_class": 1002}, "test_per_class .*1002"),
        ({"components": 0}, "components .* got 0"),
        ({"contrast": 1.5}, "contrast .* got 1.5"),
        ({"shared": 1}, "shared"),
    ],
)
def test_bad_splits(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        planted_split(0, **arguments)
