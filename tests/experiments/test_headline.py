"""The five errors of the index: each is its claim's own, and so is its range."""

from mvtheory.experiments import headline
from mvtheory.experiments.predictions import CLAIMS
from mvtheory.measurement import Estimate
from mvtheory.plotting import COLOURS


def test_errors_and_ranges_are_those_of_the_claims(monkeypatch):
    def measure(id, draws):
        return CLAIMS[id].measure(Estimate(0.1, 0.0, len(id) / 10, len(draws), 2), seconds=1)

    monkeypatch.setattr(headline, "measure", measure)
    monkeypatch.setattr(headline, "trained_average_error", lambda draws: Estimate(0.4, 0.3, 0.5, len(draws), 2))
    found = headline.headline(draws=[1, 2])
    ids = {"single": "single", "ensemble": "ensemble", "distilled": "distill", "self-distilled": "self-distill"}
    assert list(found) == [*ids, "trained average"]
    assert set(found) <= set(COLOURS)
    for name, id in ids.items():
        assert found[name] == (measure(id, [1, 2]).measured, CLAIMS[id].predicted)
    assert found["trained average"] == (Estimate(0.4, 0.3, 0.5, 2, 2), CLAIMS["single"].predicted)


def test_each_claim_has_its_own_data_sets(monkeypatch):
    given, some = [], Estimate(0.4, 0.3, 0.5, 2, 2)
    monkeypatch.setattr(headline, "measure", lambda id, **options: given.append(options) or CLAIMS[id])
    monkeypatch.setattr(headline, "trained_average_error", lambda **options: given.append(options) or some)
    headline.headline()
    assert given == [{}] * 5
