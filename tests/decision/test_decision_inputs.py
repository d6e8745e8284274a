"""Inputs of any kind give the numbers of a plain array; what is missing is named."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from reference import refused

from mvtheory import diagnose
from mvtheory.decision.inputs import MASKED, read_labels, read_stack

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 3, 90)
F = np.round(8 * (2 * RNG.normal(size=(4, 90, 3)) + 2 * np.eye(3)[Y])) / 8  # so few digits that bfloat16 has them
NAMES = np.array(["cat", "dog", "eel"])


def frames(F, columns=NAMES):
    return {f"net {i}": pd.DataFrame(part, columns=columns) for i, part in enumerate(F)}


def values(found):
    return [*(e.value for e in found.errors), found.removed.value, found.nll_gain.value, found.corrected.value]


@pytest.mark.parametrize(
    "given",
    [
        list(F),
        tuple(F),
        dict(zip("abcd", F, strict=True)),
        F.tolist(),
        F.astype("float32"),
        np.asfortranarray(F),
        torch.tensor(F, requires_grad=True),
        torch.tensor(F).permute(2, 1, 0).contiguous().permute(2, 1, 0),
        [torch.tensor(part, dtype=torch.float32) for part in F],
        frames(F),
        list(frames(F).values()),
    ],
)
def test_any_container(given):
    first = next(iter(given.values() if isinstance(given, dict) else given))
    y = NAMES[Y] if hasattr(first, "columns") else Y
    assert values(diagnose(given, y)) == pytest.approx(values(diagnose(F, Y)), rel=1e-5)


def test_a_generator_is_a_list():
    assert values(diagnose((part for part in F), Y)) == values(diagnose(F, Y))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    half = torch.tensor(F, dtype=dtype)
    assert values(diagnose(half, Y)) == pytest.approx(values(diagnose(half.double(), Y)))


def test_a_memory_map(tmp_path):
    np.save(tmp_path / "F.npy", F)
    nets = np.load(tmp_path / "F.npy", mmap_mode="r")
    assert values(diagnose(nets, Y)) == values(diagnose(F, Y))
    assert np.shares_memory(read_stack("logits", nets).nets[0], nets)  # not copied


@pytest.mark.parametrize(
    "y",
    [
        Y.astype("uint8"),
        Y.astype("int16"),
        torch.tensor(Y, dtype=torch.int32),
        Y.tolist(),
        pd.Series(Y, dtype="Int64"),
        np.eye(3)[Y],
        np.eye(3, dtype=bool)[Y],
        NAMES[Y],
        NAMES[Y].tolist(),
        pd.Series(NAMES[Y]),
        pd.Categorical(NAMES[Y], categories=NAMES),
        pd.Series(NAMES[Y], dtype="category"),
        pd.Categorical.from_codes(Y, categories=[7, 3, 5]),
        Y[:, None],
        NAMES[Y][:, None],
        pd.DataFrame({"label": NAMES[Y]}),
        pd.DataFrame({"label": pd.Categorical.from_codes(Y, categories=[7, 3, 5])}),
    ],
)
def test_any_labels(y):
    assert np.array_equal(read_labels("y", y, 90, 3), Y)


def test_labels_are_found_among_the_columns():
    assert np.array_equal(read_labels("y", NAMES[Y], 90, 3, tuple(NAMES[::-1])), 2 - Y)
    assert np.array_equal(read_labels("y", Y + 1, 90, 3, ("1", "2", "3")), Y)  # as a file of text names them
    shuffled = {name: part.sample(frac=1, random_state=1)[["eel", "cat", "dog"]] for name, part in frames(F).items()}
    shuffled["net 0"] = frames(F)["net 0"]  # which sets the order
    assert values(diagnose(shuffled, NAMES[Y])) == values(diagnose(F, Y))


def test_rows_are_matched_by_their_names_as_pandas_does():
    """Predictions of several programs come in several orders, as submissions to a contest do."""
    ids = [f"id{i}" for i in RNG.permutation(90)]
    nets = {name: part.set_axis(ids) for name, part in frames(F).items()}
    y, order = pd.Series(NAMES[Y], ids), RNG.permutation(90)
    students, larger = [part.iloc[order, ::-1] for part in nets.values()], nets["net 3"].iloc[order]
    expected = diagnose(nets, NAMES[Y], list(nets.values()), larger=nets["net 3"])
    found = diagnose(nets, y.iloc[order], students, larger=larger)
    assert str(found) == str(expected)
    assert values(found) == values(diagnose(F, Y))
    dummies = pd.get_dummies(y)[["eel", "cat", "dog"]].iloc[order]
    assert values(diagnose(nets, dummies)) == values(found)


@pytest.mark.parametrize(
    "rows",
    [
        RNG.permutation(90),  # numbers: of this order, or of the order before?
        np.arange(100, 190),
        [f"id{i}" for i in range(90)],
    ],
)
def test_labels_whose_rows_have_other_names_are_refused(rows):
    with refused(ValueError, r"y must name its rows as the data frames of outputs do; .* give y.to_numpy\(\)"):
        diagnose(frames(F), pd.Series(NAMES[Y], rows))
    assert diagnose(frames(F), pd.Series(NAMES[Y], rows).to_numpy())
    assert diagnose(F, pd.Series(Y, rows)), "arrays have no names"


def test_students_that_miss_an_input_are_refused():
    nets = frames(F)
    with refused(ValueError, "students must hold the same inputs for all nets, those of logits; net '0' lacks 7"):
        diagnose(nets, NAMES[Y], [nets["net 0"].drop(index=7)])
    with refused(ValueError, "y must have the columns"):
        diagnose(nets, pd.get_dummies(pd.Series(np.where(Y == 1, "ox", NAMES[Y]))))


def test_masked_values_are_not_read_as_if_they_were_not():
    masked = np.ma.masked_array(F, np.arange(90)[:, None] + np.zeros(F.shape) < 5)
    for given, y, name in ((masked, Y, "logits"), ([*masked], Y, "logits"), (F, masked[0, :, 0] < 0, "y")):
        with refused(ValueError, f"{name} must have no masked values; got "):
            diagnose(given, y)
    assert values(diagnose(np.ma.masked_array(F), Y)) == values(diagnose(F, Y))
    labels = pd.Series(Y, dtype="Int64").mask(Y == 2)
    outputs = {name: table.astype("Float64").mask(table > 2) for name, table in frames(F).items()}
    for given, y, name in ((F, labels, "y"), (outputs, NAMES[Y], "logits")):
        with refused(ValueError, f"{name} must have no missing values; got .* pandas.NA"):
            diagnose(given, y)


def test_a_masked_class_is_never_chosen():
    masked = F.copy()
    masked[:, Y != 2, 2] = -np.inf
    low = np.where(np.isinf(masked), -1e6, masked)
    assert values(diagnose(masked, Y)) == pytest.approx(values(diagnose(low, Y)))
    assert read_stack("logits", masked).block(slice(0, 90)).min() == MASKED
    one = F.copy()
    one[0, :, 0] = -np.inf  # a veto in the average of logits
    assert diagnose(one, Y).evidence.subsets.average_errs[Y == 0].all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": F[0], "b": F[1, :80]}, "same inputs for all nets, 90 as of net 'a'; got 80 of net 'b'"),
        ({"a": F[0], "b": F[1, :, :2]}, "same classes for all nets, 3 as of net 'a'; got 2 of net 'b'"),
        ({**frames(F[:2]), "c": frames(F)["net 0"].drop(columns="dog")}, "same classes .* net 'c' lacks 'dog'"),
        ({**frames(F[:2]), "c": frames(F)["net 0"].drop(index=7)}, "same inputs .* net 'c' lacks .*7"),
        ({**frames(F[:2]), "c": frames(F)["net 0"].assign(ox=1.0)}, "same classes .* net 'c' adds 'ox'"),
        (F[..., :1], "logits must have a column for each class; got one. Of two classes, .* 1 - p and p"),
        ([], "logits must hold at least one net; got none"),
        (np.where(np.arange(3) == 1, np.inf, F), "logits must be finite, .*; got 360 bad values, the first in net '0'"),
        ([F[0], np.full((90, 3), -np.inf)], "logits must have a finite value .* got 90 bad values, .* net '1'"),
    ],
)
def test_what_is_missing_is_named(given, message):
    with refused(ValueError, message):
        diagnose(given, NAMES[Y] if isinstance(given, dict) and "net 0" in given else Y)


@pytest.mark.parametrize(
    ("y", "classes", "message"),
    [
        (NAMES[np.minimum(Y, 1)], None, "y must name all 3 classes, .*; got 2 names"),
        (np.where(Y == 1, "ox", NAMES[Y]), tuple(NAMES), "y must hold classes, .*'cat', .*; got .*'ox'"),
        (NAMES[Y], ("cat", "dog"), "classes must be 3, one for each output; got 2"),
        (2 * np.eye(3)[Y], None, "y must have one 1 in each row"),
        (Y[:80], None, r"y must have shape \[90\]"),
        (np.stack([NAMES[Y]] * 2, -1), None, r"y must have shape \[90\] .*; got \(90, 2\)"),
        (pd.DataFrame({"id": Y, "label": NAMES[Y]}), None, r"y must be one column .*; got columns \['id', 'label'\]"),
    ],
)
def test_labels_that_are_none(y, classes, message):
    with refused(ValueError, message):
        read_labels("y", y, 90, 3, classes)


def test_the_scale_is_found_from_values():
    p = np.exp(F) / np.exp(F).sum(-1, keepdims=True)
    assert diagnose(p, Y).evidence.scale == "probabilities"
    assert diagnose(np.log(p), Y).evidence.scale == diagnose(F, Y).evidence.scale == "logits"
    assert diagnose(p, Y, scale="logits").evidence.scale == "logits"
    with refused(ValueError, "scale must be one of 'logits', 'probabilities'; got 'votes'"):
        diagnose(p, Y, scale="votes")


@pytest.mark.slow
def test_outputs_below_zero_are_no_probabilities():
    p = np.exp(F) / np.exp(F).sum(-1, keepdims=True)
    assert diagnose(p, Y, scale="probabilities").evidence.scale == "probabilities"
    for nets, students in ((F, None), (p, F[:1])):
        with refused(ValueError, "scale must be 'logits', or left out, where outputs are below 0; got 'probabilities'"):
            diagnose(nets, Y, students, scale="probabilities")
    assert values(diagnose(p, Y, F[:1])) == values(diagnose(p, Y))  # left out, each is read as what it is


def test_outputs_on_the_disk_are_not_taken_into_memory(tmp_path):
    """As doubles they would be 128 MB; what is kept by input is a few MB."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 200, 16_000)
    nets = np.lib.format.open_memmap(tmp_path / "F.npy", mode="w+", dtype=np.float32, shape=(5, 16_000, 200))
    for net in nets:
        net[:] = rng.standard_normal((16_000, 200), dtype=np.float32)
        net[np.arange(16_000), y] += 4
    nets.flush()
    tracemalloc.start()
    found = diagnose(np.load(tmp_path / "F.npy", mmap_mode="r"), y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.verdict == "pays"
    assert peak < 60e6
