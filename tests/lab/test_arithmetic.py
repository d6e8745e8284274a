"""The lab's own arithmetic against numpy's."""

import numpy as np

from mvtheory.lab.arithmetic import Random, exp, log


def test_the_exponential_is_good_to_the_last_digits():
    x = -np.random.default_rng(0).uniform(0, 700, 10_000)
    np.testing.assert_allclose(exp(x), np.exp(x), rtol=1e-15)
    assert exp(np.array([0.0, -1e-300])).tolist() == [1.0, 1.0]
    assert exp(np.array([-1e6]))[0] == exp(np.array([-700.0]))[0] > 0


def test_the_logarithm_is_good_to_the_last_digits():
    x = 10.0 ** np.random.default_rng(0).uniform(-300, 300, 10_000)
    np.testing.assert_allclose(log(x), np.log(x), rtol=1e-15)
    near = 1 + np.linspace(-0.3, 0.4, 1001)
    np.testing.assert_allclose(log(near), np.log(near), rtol=1e-15, atol=0)
    assert log(np.array([1.0]))[0] == 0.0


def test_random_bits_are_those_of_sfc32():
    """The generator of its author, written anew, with the seed and 12 rounds of PractRand."""
    seed, stream, mask = 7, 11, 2**32 - 1
    a, b, c, count = 0, seed, stream, 1
    expected = []
    for _ in range(20):
        result = (a + b + count) % 2**32
        count += 1
        a = b ^ (b >> 9)
        b = (c + c * 8) % 2**32
        c = (((c << 21) & mask) + (c >> 11) + result) % 2**32
        expected.append(result)
    rng = Random(seed, stream)
    assert [rng.bits() for _ in range(8)] == expected[12:]


def test_numbers_have_their_distributions():
    rng, n = Random(1, 2), 20_000
    uniform = np.array([rng.uniform() for _ in range(n)])
    normal = np.array([rng.normal() for _ in range(n)])
    assert 0 <= uniform.min() < uniform.max() < 1
    for sample, power, expected, variance in [
        (uniform, 1, 1 / 2, 1 / 12),
        (uniform, 2, 1 / 3, 4 / 45),
        (normal, 1, 0, 1),
        (normal, 2, 1, 2),
        (normal, 4, 3, 96),
    ]:
        assert abs((sample**power).mean() - expected) < 4 * (variance / n) ** 0.5
    assert abs(np.corrcoef(normal[::2], normal[1::2])[0, 1]) < 4 * (2 / n) ** 0.5


def test_streams_differ():
    draws = {Random(seed, stream).uniform() for seed in range(10) for stream in range(10)}
    assert len(draws) == 100
