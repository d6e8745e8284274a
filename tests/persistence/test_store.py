"""The store: what comes back is what was written, or the file is refused; nothing is computed twice."""

import errno
import hashlib
import json
import math
import os
import pickle
import subprocess
import sys
import threading
import warnings

import pytest
import safetensors.torch
import torch

from mvtheory import MultiView
from mvtheory.persistence import store
from mvtheory.persistence.store import LockedError, StoreError, cached, load, save

TENSORS = {"W": torch.arange(24.0).reshape(2, 3, 4), "kept": torch.tensor([True, False]), "y": torch.tensor(7)}
META = {"seed": 3, "settings": {"q": 4, "names": ["é", '"', "\\"]}}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "nets.safetensors"
    save(path, TENSORS, META)
    return path


def same(first, second):
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and torch.equal(first[name], second[name]) for name in first
    )


# save and load


def test_everything_comes_back(path):
    tensors, meta = load(path)
    assert same(tensors, TENSORS)
    assert meta == META


@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).T,  # not contiguous
        torch.zeros(0, 3),
        torch.tensor([math.nan, math.inf, -0.0], dtype=torch.float64),
        torch.ones(2, requires_grad=True),
        torch.ones(2, dtype=torch.bfloat16),
    ],
)
def test_every_kind_of_tensor_comes_back_bit_for_bit(tmp_path, tensor):
    save(tmp_path / "x", {"x": tensor, "view": tensor[:1]}, {})
    back = load(tmp_path / "x")[0]["x"]
    assert (back.shape, back.dtype, back.requires_grad) == (tensor.shape, tensor.dtype, False)
    assert back.contiguous().view(torch.uint8).tolist() == tensor.detach().contiguous().view(torch.uint8).tolist()


def test_folders_are_made_and_no_temporary_file_stays(tmp_path):
    save(tmp_path / "a" / "b" / "x", TENSORS, META)
    assert os.listdir(tmp_path / "a" / "b") == ["x"]


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space"):
        save(path, {"other": torch.zeros(1)}, {})
    monkeypatch.undo()
    assert same(load(path)[0], TENSORS)
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("meta", [{"x": math.nan}, {"x": math.inf}])
def test_meta_must_be_strict_json(tmp_path, meta):
    with pytest.raises(ValueError, match="meta must hold JSON values only"):
        save(tmp_path / "x", TENSORS, meta)


def test_other_bad_input_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError, match="meta must hold JSON values only"):
        save(tmp_path / "x", TENSORS, {"x": torch.zeros(1)})
    with pytest.raises(TypeError, match=r"tensors\['W'\] must be a torch tensor|Type-check"):
        save(tmp_path / "x", {"W": [1.0]}, {})
    assert not os.listdir(tmp_path)


# damage


def test_truncation_is_refused(path):
    data = path.read_bytes()
    for size in [*range(0, len(data), 64), len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(StoreError, match="damaged"):
            load(path)
    path.write_bytes(data)
    assert load(path)[1] == META


def test_every_flipped_bit_is_refused(path):
    data = path.read_bytes()
    for byte in range(len(data)):
        for bit in (byte % 8, (byte + 3) % 8):
            path.write_bytes(data[:byte] + bytes([data[byte] ^ 1 << bit]) + data[byte + 1 :])
            with pytest.raises(StoreError):
                load(path)


def test_added_bytes_are_refused(path):
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(StoreError, match="checksum"):
        load(path)


class Trap:
    def __reduce__(self):
        return os.mkdir, ("trapped",)


def test_other_formats_are_refused_and_run_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x"
    others = {
        "pickle": pickle.dumps(Trap()),
        "foreign safetensors": safetensors.torch.save({"W": torch.zeros(2)}),
        "foreign metadata": safetensors.torch.save({"W": torch.zeros(2)}, {"format": "pt"}),
        "text": b"not a file of tensors",
        "list": (2).to_bytes(8, "little") + b"[]",
    }
    for content in others.values():
        path.write_bytes(content)
        with pytest.raises(StoreError, match="not a file of this package") as error:
            load(path)
        assert str(path) in str(error.value)
    torch.save(Trap(), path)
    with pytest.raises(StoreError):
        load(path)
    assert not (tmp_path / "trapped").exists()


def test_a_later_format_is_refused_by_name(path, monkeypatch):
    monkeypatch.setattr(store, "_FORMAT", "mvtheory-2")
    with pytest.raises(StoreError, match="format must be 'mvtheory-2'; got 'mvtheory-1'"):
        load(path)


def test_a_missing_file_is_just_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "x")


# shapes


def test_expected_shapes(path):
    load(path, expect={"W": (None, 3, 4), "y": ()})
    for shape in [(2, 3, 5), (2, 3), (None, 2, 3, 4), ()]:
        with pytest.raises(StoreError, match=r"tensor 'W' must have shape \[.*\]; got \(2, 3, 4\)"):
            load(path, expect={"W": shape})
    with pytest.raises(StoreError, match=r"must hold tensor 'V'; got \['W', 'kept', 'y'\]"):
        load(path, expect={"V": (2,)})


# cached


class Study:
    """Counts its runs, which do not count as part of it."""

    def __init__(self):
        self.runs = 0
        self.checkpoints = []

    def __reduce__(self):
        return type(self), ()

    def __call__(self):
        self.runs += 1
        return TENSORS, {"names": ("a", "b")}


KEY = {"study": "lottery", "q": 4, "seeds": [0, 1]}


def test_a_study_is_computed_once(tmp_path):
    study = Study()
    first, second = cached(KEY, study, tmp_path), cached(dict(reversed(KEY.items())), study, tmp_path)
    assert study.runs == 1
    assert same(first[0], TENSORS)
    assert same(first[0], second[0])
    assert first[1] == second[1]
    assert first[1]["names"] == ["a", "b"]
    assert first[1]["key"] == KEY
    assert 0 <= first[1]["seconds"] < 10


def test_another_key_or_other_code_is_another_study(tmp_path, monkeypatch):
    study = Study()
    cached(KEY, study, tmp_path)
    cached({**KEY, "q": 3}, study, tmp_path)
    assert study.runs == 2
    monkeypatch.setattr("mvtheory.persistence.store.torch.__version__", "9.9")
    cached(KEY, study, tmp_path)
    assert study.runs == 3


def test_of_two_functions_none_gets_the_results_of_the_other(tmp_path):
    for factor in (1.0, 10.0, 1.0):
        tensors, _ = cached(KEY, lambda: ({"x": factor * torch.ones(1)}, {}), tmp_path)  # noqa: B023
        assert tensors["x"] == factor
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_a_subclass_without_fields_does_not_get_the_results_of_its_parent(tmp_path):
    class Other(MultiView):
        """The same fields, other views."""

    for kind, value in [(MultiView, 0), (Other, 1), (MultiView, 0), (Other, 1)]:
        key = {"task": kind(k=3, P=6, d=12, s=1)}
        assert cached(key, lambda: ({"x": torch.tensor(value)}, {}), tmp_path)[0]["x"] == value  # noqa: B023
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_a_function_that_changes_what_it_depends_on_is_told_of(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return TENSORS, {}

    for _ in range(2):
        with pytest.warns(UserWarning, match="compute changes a value that it depends on: it will be computed again"):
            cached(KEY, compute, tmp_path)
    assert len(calls) == 2


def test_a_file_under_the_name_of_another_result_is_not_believed(tmp_path):
    cached(KEY, Study(), tmp_path)
    (file,) = tmp_path.glob("*.safetensors")
    tensors, meta = load(file)
    save(file, {"W": torch.zeros(1)}, meta | {"identity": "0" * 64})
    with pytest.warns(UserWarning, match="computing again: .*holds another result"):
        assert same(cached(KEY, Study(), tmp_path)[0], tensors)


def test_a_file_with_a_true_checksum_of_nonsense_is_refused_and_computed_again(tmp_path):
    cached(KEY, Study(), tmp_path)
    (file,) = tmp_path.glob("*.safetensors")
    data = file.read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    checksum = json.loads(data[8:size])["__metadata__"]["sha256"]
    cut = data[: size + 8].replace(checksum.encode(), b"0" * 64)
    file.write_bytes(cut.replace(b"0" * 64, hashlib.sha256(cut).hexdigest().encode()))
    with pytest.raises(StoreError, match="its content is not what its checksum was made of"):
        load(file)
    with pytest.warns(UserWarning, match="computing again"):
        assert same(cached(KEY, Study(), tmp_path)[0], TENSORS)


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["x"].update(dtype="F3"),
        lambda header: header["x"].update(shape=[2**40, 2**40]),
        lambda header: header["__metadata__"].update(meta="[1]"),
        lambda header: header["__metadata__"].update(meta="[" * 100_000),
        lambda header: header["__metadata__"].update(meta="{}"),
        lambda header: header.update(__metadata__=[]),
    ],
    ids=["type", "shape", "list", "depth", "empty", "no header"],
)
def test_a_file_made_by_hand_with_a_true_checksum_is_computed_again(tmp_path, change):
    cached(KEY, Study(), tmp_path)
    (file,) = tmp_path.glob("*.safetensors")
    data = file.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["x"] = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    change(header)
    if header["__metadata__"]:
        header["__metadata__"]["sha256"] = "0" * 64
    text = json.dumps(header, separators=(",", ":")).encode()
    blank = len(text).to_bytes(8, "little") + text + data[end:]
    file.write_bytes(blank.replace(b"0" * 64, hashlib.sha256(blank).hexdigest().encode()))
    with pytest.warns(UserWarning, match="computing again"):
        assert same(cached(KEY, Study(), tmp_path)[0], TENSORS)


def test_a_folder_that_is_a_link_to_nowhere_is_named(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(OSError, match=r"No such folder: .*gone, to which the link leads: cannot write"):
        save(tmp_path / "link" / "nets", TENSORS, META)
    with pytest.warns(UserWarning, match="computed, but not kept: .*gone, to which the link leads"):
        assert same(cached(KEY, Study(), tmp_path / "link")[0], TENSORS)


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save("~/nets", TENSORS, META)
    assert same(load("~/nets")[0], TENSORS)
    cached(KEY, Study(), "~/cache")
    monkeypatch.setenv("MVTHEORY_CACHE", "~/other")
    cached(KEY, Study())
    assert {"nets", "cache", "other"} <= set(os.listdir(tmp_path))


def test_who_will_not_wait_is_told_that_the_result_is_being_computed(tmp_path):
    def compute():
        with pytest.raises(LockedError, match="another process"):
            cached(KEY, compute, tmp_path, wait=False)
        return {"x": torch.ones(1)}, {}

    cached(KEY, compute, tmp_path, wait=False)
    assert cached(KEY, compute, tmp_path, wait=False)[0]["x"] == 1


def test_a_damaged_file_is_computed_again(tmp_path):
    study = Study()
    cached(KEY, study, tmp_path)
    (path,) = tmp_path.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.warns(UserWarning, match="computing again: .*damaged or truncated"):
        tensors, _ = cached(KEY, study, tmp_path)
    assert study.runs == 2
    assert same(tensors, TENSORS)
    with warnings.catch_warnings(action="error"):
        cached(KEY, study, tmp_path)


def test_a_failed_study_leaves_nothing_behind(tmp_path):
    def fail():
        raise RuntimeError("diverged")

    with pytest.raises(RuntimeError, match="diverged"):
        cached(KEY, fail, tmp_path)
    study = Study()
    cached(KEY, study, tmp_path)
    assert study.runs == 1


def fail_to_write(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_on_a_full_disk_the_result_is_returned_all_the_same(tmp_path, monkeypatch):
    study = Study()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail_to_write)
        with pytest.warns(UserWarning, match="computed, but not kept: .*No space left"):
            first = cached(KEY, study, tmp_path)
    assert [file.suffix for file in tmp_path.iterdir()] == [".lock"]
    second = cached(KEY, study, tmp_path)
    assert study.runs == 2
    assert same(first[0], second[0])
    assert {**first[1], "seconds": 0} == {**second[1], "seconds": 0}


def test_in_a_folder_that_cannot_be_made_the_result_is_returned_all_the_same(tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="computed, but not kept: .*file"):
        _, meta = cached(KEY, lambda checkpoint: (TENSORS, {"given": checkpoint}), tmp_path / "file", checkpoint=True)
    assert meta["given"] is None


def test_what_is_kept_can_be_read_where_nothing_can_be_written(tmp_path, monkeypatch):
    study = Study()
    cached(KEY, study, tmp_path)
    for name in ("acquired", "write_atomic"):
        monkeypatch.setattr(store, name, None)  # a call would fail
    assert same(cached(KEY, study, tmp_path)[0], TENSORS)
    assert study.runs == 1


def test_a_checkpoint_is_beside_the_file_until_the_result_is_stored(tmp_path, monkeypatch):
    class Long(Study):
        def __call__(self, checkpoint):
            self.checkpoints.append(checkpoint)
            for name in ("", ".previous", ".lock"):
                checkpoint.with_name(checkpoint.name + name).touch()
            checkpoint.with_name(f".{checkpoint.name}.abcdefgh.tmp").touch()
            if len(self.checkpoints) == 1:
                raise KeyboardInterrupt
            return super().__call__()

    compute = Long()
    with pytest.raises(KeyboardInterrupt):
        cached(KEY, compute, tmp_path, checkpoint=True)
    assert len(list(tmp_path.glob("*checkpoint*"))) == 4
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail_to_write)
        with pytest.warns(UserWarning, match="not kept"):
            cached(KEY, compute, tmp_path, checkpoint=True)
    assert len(list(tmp_path.glob("*checkpoint*"))) == 4
    cached(KEY, compute, tmp_path, checkpoint=True)
    (file,) = tmp_path.glob("*.safetensors")
    assert compute.checkpoints == [file.with_suffix(".checkpoint")] * 3
    assert not list(tmp_path.glob("*checkpoint*"))


def test_left_overs_of_a_killed_process_are_removed(tmp_path):
    cached(KEY, Study(), tmp_path)
    (file,) = tmp_path.glob("*.safetensors")
    file.rename(tmp_path / f".{file.name}.abcdefgh.tmp")
    cached(KEY, Study(), tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([file.name, f"{file.name}.lock"])


def test_a_key_may_hold_whatever_can_be_compared(tmp_path):
    keys = [{"x": math.nan}, {"x": {1, 2}}, {"x": torch.zeros(1)}, {"x": torch.ones(1)}]
    for key in [*keys, *keys]:
        cached(key, Study(), tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) == len(keys)
    with pytest.raises(TypeError, match="cannot be compared between processes"):
        cached({"x": threading.Lock()}, Study(), tmp_path)


RACER = """
import os, pathlib, sys, time, torch
from mvtheory.persistence.store import cached

folder = pathlib.Path(sys.argv[1])
other = os.fork()  # two processes go on from here

def compute():
    with open(folder / "runs", "a") as file:
        file.write("run\\n")
    time.sleep(1)
    return {"x": torch.arange(100_000.0, dtype=torch.float64)}, {}

tensors, meta = cached({"study": "race"}, compute, folder)
print(tensors["x"].sum().item(), meta["seconds"], flush=True)
assert not other or os.waitpid(other, 0)[1] == 0
"""


@pytest.mark.slow
def test_of_two_processes_one_computes_and_the_other_waits(tmp_path):
    racers = subprocess.run(
        [sys.executable, "-c", RACER, tmp_path], stdout=subprocess.PIPE, text=True, check=True, timeout=120
    )
    first, second = racers.stdout.splitlines()
    assert first == second  # the very same run, to its seconds
    assert float(first.split()[0]) == sum(range(100_000))
    assert (tmp_path / "runs").read_text() == "run\n"


def test_default_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("MVTHEORY_CACHE", str(tmp_path / "chosen"))
    cached(KEY, Study())
    assert list((tmp_path / "chosen").glob("*.safetensors"))
    monkeypatch.delenv("MVTHEORY_CACHE")
    monkeypatch.setattr(store, "__file__", str(tmp_path / "checkout" / "mvtheory" / "persistence" / "store.py"))
    assert "checkout" not in str(store.default_folder())
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "pyproject.toml").touch()
    assert store.default_folder() == tmp_path / "checkout" / "_build" / "studies"
