"""Cross-entropy of outputs that are mostly zero, against the whole of them and autograd."""

import pytest
import torch
import torch.nn.functional as nnf

from mvtheory.engine import backend
from mvtheory.engine.sparse import sparse_cross_entropy


def problem(k: int, n: int, share: float, seed: int):
    """Draw views of random classes for each input: those of a class follow each other, some labels have none."""
    rng = torch.Generator().manual_seed(seed)
    kind_class = torch.arange(k).repeat_interleave(2)
    value = 2 * torch.rand(2 * k, 3, generator=rng, dtype=torch.float64)
    present = torch.rand(n, 2 * k, generator=rng) < share
    y = torch.randint(k, (n,), generator=rng)
    row, entry = present.nonzero(as_tuple=True)
    start = nnf.pad(present.sum(1).cumsum(0), (1, 0))
    return value, start, entry, kind_class[entry] == y[row], kind_class, y, present


@pytest.mark.parametrize("name", ["torch", "compiled"])
@pytest.mark.parametrize(("k", "share"), [(2, 0.5), (4, 0.9), (5, 1.0), (7, 0.3), (50, 0.05), (6, 0.0)])
def test_it_is_the_cross_entropy_of_all_outputs(k, share, name):
    value, start, entry, own, kind_class, y, present = problem(k, 40, share, seed=k)
    value.requires_grad_()
    by_class = nnf.one_hot(kind_class, k).double()  # [kinds, k]
    F = torch.einsum("ne,el,ek->lnk", present.double(), value, by_class)
    expected = torch.stack([nnf.cross_entropy(f, y) for f in F])
    gradient = torch.autograd.grad(expected.sum(), value)[0]
    others = F.scatter(-1, y.expand(3, -1)[..., None], -torch.inf)
    wrong = (others.amax(-1) >= F.gather(-1, y.expand(3, -1)[..., None])[..., 0]).double().mean(1)
    with backend(name):
        loss, error, output_grad = sparse_cross_entropy(value.detach(), start, entry, own, kind_class, k)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(error, wrong, rtol=0, atol=0)
    torch.testing.assert_close(output_grad, gradient, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", ["torch", "compiled"])
def test_large_outputs_of_either_sign_do_not_overflow(name):
    value, start, entry, own, kind_class, *_ = problem(3, 20, 1.0, seed=0)
    for scale in (-1e3, 1e3):
        with backend(name):
            loss, _, gradient = sparse_cross_entropy(scale * (1 + value), start, entry, own, kind_class, 3)
        assert loss.isfinite().all()
        assert gradient.isfinite().all()
