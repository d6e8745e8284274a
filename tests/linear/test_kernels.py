"""Arc-cosine kernels against Gaussian averages and known values, and the limits of finite widths."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import Tensor

from mvtheory import MultiView, PatchNets, SReLU
from mvtheory.linear.feature_maps import gaussian_weights, relu_features, tangent_features
from mvtheory.linear.kernels import arc_cosine, kernel_ridge, patch_kernel
from mvtheory.linear.ridge import RIDGES, Ridge, choose_ridge, every_fifth

TASK = MultiView(k=2, P=6, d=6, s=1.0)


@pytest.fixture(scope="module")
def x() -> Tensor:
    return TASK.sample(4, seed=0).x.double()


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("theta", [0.0, 0.4, math.pi / 2, 2.5, math.pi])
def test_arc_cosine_is_twice_a_gaussian_average(order: int, theta: float) -> None:
    """E over the plane of the two vectors, by numerical integration over the angle of w."""
    a, b = 1.3, 0.6
    x = torch.tensor([[a, 0.0]], dtype=torch.float64)
    y = b * torch.tensor([[math.cos(theta), math.sin(theta)]], dtype=torch.float64)

    def integrand(phi: float) -> float:
        first, second = a * math.cos(phi), b * math.cos(phi - theta)
        return (first * second) ** order if first > 0 and second > 0 else 0.0

    # E |w|^(2 order) in the plane is 2^order order!, and the angle is uniform.
    points = [theta - math.pi / 2, math.pi / 2]
    mean = integrate.quad(integrand, -math.pi / 2, math.pi / 2, points=points)[0] / (2 * math.pi)
    expected = 2 * 2**order * math.factorial(order) * mean
    assert float(arc_cosine(x, y, order)) == pytest.approx(expected, abs=1e-7)


def test_arc_cosine_of_a_vector_with_itself() -> None:
    """2 E[z_+^(2n)] = E[z^(2n)] for a Gaussian z: 1, s^2, 3 s^4, 15 s^6."""
    x = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    values = [float(arc_cosine(x, x, order)) for order in (0, 1, 2, 3)]
    np.testing.assert_allclose(values, [1.0, 25.0, 3 * 625.0, 15 * 15625.0], rtol=1e-6)


def mean_of(kernels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of independent kernels [L, n, n], and its standard error."""
    return kernels.mean(0), kernels.std(0) / len(kernels) ** 0.5


def test_relu_features_have_the_closed_limit(x: Tensor) -> None:
    phi = relu_features(gaussian_weights(400, 50, TASK.d, seed=0).double(), x)[:, 0]
    mean, error = mean_of(phi @ phi.mT / 50)
    assert ((mean - patch_kernel(x, x, 1)).abs() < 4.5 * error).all()


@pytest.mark.parametrize("q", [1, 2, 3, 4])
def test_tangent_features_have_the_closed_limit(x: Tensor, q: int) -> None:
    sigma_0, varrho, m = 1e-3, 4.0, 50
    activation = SReLU(q=q, varrho=varrho)
    nets = PatchNets.init(200, k=2, m=m, d=TASK.d, sigma_0=sigma_0, seed=0, activation=activation)
    phi = tangent_features(nets.to(torch.float64), x)[:, 0]
    mean, error = mean_of(phi @ phi.mT / m * (varrho / sigma_0) ** (2 * (q - 1)))
    assert ((mean - patch_kernel(x, x, q - 1, tangent=True)).abs() < 4.5 * error).all()


def test_other_inputs_and_other_numbers_of_patches(x: Tensor) -> None:
    y = x[:3, :2]
    both = patch_kernel(x, y, 1)
    assert both.shape == (4, 3)
    torch.testing.assert_close(both, patch_kernel(y, x, 1).T)
    torch.testing.assert_close(both[1, 2], arc_cosine(x[1], y[2], 1).sum() / 2)


def test_kernel_ridge_is_ridge_regression_on_features() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(30, 40, generator=generator, dtype=torch.float64)
    targets = torch.randn(30, 2, generator=generator, dtype=torch.float64)
    held = every_fifth(30)
    alpha, ridge = kernel_ridge(features @ features.T, targets, held)
    stacked, aims = features[None, None], targets[None, None]
    assert [ridge] == choose_ridge(stacked, [aims], aims, held, RIDGES)
    weights = Ridge(stacked).solve(aims, ridge)[0, 0]
    torch.testing.assert_close(features.T @ alpha, weights, rtol=1e-6, atol=1e-9)


def test_faulty_inputs_are_refused(x: Tensor) -> None:
    with pytest.raises(ValueError, match="order must be one of 0, 1, 2, 3; got 4"):
        arc_cosine(x[0], x[0], 4)
    with pytest.raises(ValueError, match="x must be finite"):
        patch_kernel(x / 0, x, 1)
    with pytest.raises(ValueError, match="number of held-out inputs must be"):
        kernel_ridge(torch.eye(4), torch.ones(4, 1), torch.zeros(4, dtype=torch.bool))
