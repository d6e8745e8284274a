"""Files are whole or not there, at whatever moment the writer dies."""

import errno
import os
import resource

import pytest

from mvtheory.persistence import files
from mvtheory.persistence.files import clean, write_atomic
from mvtheory.persistence.store import StoreError, load, pack


class Dead(BaseException):
    """The process is killed: nothing that it would have done happens."""


CALLS = [(os, name) for name in ("open", "fsync", "link", "replace", "unlink")]


def dying(monkeypatch, at: int, after: bool) -> list[str]:
    """Let the process die before or after its call number `at` of the system; return the names of the calls."""
    told: list[str] = []
    dead = False

    def mortal(name, real):
        def call(*args, **kwargs):
            nonlocal dead
            if dead or (len(told) == at and not after):
                dead = True
                raise Dead
            told.append(name)
            result = real(*args, **kwargs)
            if len(told) == at + 1 and after:
                dead = True
                raise Dead
            return result

        return call

    for module, name in CALLS:
        monkeypatch.setattr(module, name, mortal(name, getattr(module, name)))
    return told


def whole(path):
    try:
        return load(path)[1]["n"]
    except (FileNotFoundError, StoreError) as error:
        return type(error)


ORDER = ["open", "fsync", "unlink", "link", "replace", "open", "fsync"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(len(ORDER)))
def test_whatever_the_moment_of_death_a_whole_file_stays(tmp_path, monkeypatch, at, after):
    path, previous = tmp_path / "run", tmp_path / "run.previous"
    for n in (0, 1):
        write_atomic(path, pack({}, {"n": n}), previous)
    with monkeypatch.context() as patch:
        dying(patch, at, after)
        with pytest.raises(Dead):
            write_atomic(path, pack({}, {"n": 2}), previous)
    found = whole(path), whole(previous)
    assert found in [(1, 0), (1, FileNotFoundError), (1, 1), (2, 1)]
    assert (found == (2, 1)) == (at + after > 4)  # renamed
    clean(path)
    assert all(name.startswith("run") for name in os.listdir(tmp_path))


@pytest.mark.parametrize("at", range(4))
def test_the_one_before_stays_where_it_is_all_there_is(tmp_path, monkeypatch, at):
    path, previous = tmp_path / "run", tmp_path / "run.previous"
    write_atomic(previous, pack({}, {"n": 1}))
    dying(monkeypatch, at, after=False)
    with pytest.raises(Dead):
        write_atomic(path, pack({}, {"n": 2}), previous)
    assert (whole(path), whole(previous)) == (2 if at > 2 else FileNotFoundError, 1)


@pytest.mark.parametrize(("at", "found"), [(4, (1, FileNotFoundError)), (5, (FileNotFoundError, 1)), (6, (2, 1))])
def test_on_a_drive_without_hard_links_one_of_the_two_stays(tmp_path, monkeypatch, at, found):
    def refuse(*names):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    path, previous = tmp_path / "run", tmp_path / "run.previous"
    monkeypatch.setattr(os, "link", refuse)
    for n in (0, 1):
        write_atomic(path, pack({}, {"n": n}), previous)
    assert (whole(path), whole(previous)) == (1, 0)
    dying(monkeypatch, at, after=False)
    with pytest.raises(Dead):
        write_atomic(path, pack({}, {"n": 2}), previous)
    assert (whole(path), whole(previous)) == found


def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    write_atomic(tmp_path / "run", b"old")
    told = dying(monkeypatch, 99, False)
    write_atomic(tmp_path / "run", b"new", tmp_path / "old")
    assert told == ORDER
    assert (tmp_path / "run").read_bytes() == b"new"
    assert (tmp_path / "old").read_bytes() == b"old"


def test_only_left_overs_of_this_very_file_are_removed(tmp_path):
    keep = ["run", ".run", ".run.previous", "run.previous.abcdefgh.tmp", ".run.previous.abcdefgh.tmp", ".run.ab.tmp"]
    for name in [*keep, ".run.abcdefgh.tmp", ".run.ab_d3fgh.tmp"]:
        (tmp_path / name).touch()
    clean(tmp_path / "run")
    assert sorted(os.listdir(tmp_path)) == sorted(keep)


def test_a_folder_that_cannot_be_synced_is_no_error_but_a_broken_disk_is(tmp_path, monkeypatch):
    sync = os.fsync

    def failing(number):
        def fsync(handle):
            if os.path.isdir(f"/proc/self/fd/{handle}"):
                raise OSError(number, os.strerror(number))
            sync(handle)

        return fsync

    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    write_atomic(tmp_path / "run", b"new")
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        write_atomic(tmp_path / "run", b"newer")


def test_the_error_of_a_full_disk_says_what_is_kept(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / "run"
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # no file may grow beyond
        with pytest.raises(OSError, match=r"File too large: cannot write \S+run; nothing was written") as first:
            write_atomic(path, bytes(1001))
        write_atomic(path, b"old")
        with pytest.raises(OSError, match=r"cannot write \S+run; the file that was there before is unharmed"):
            write_atomic(path, bytes(1001), tmp_path / "previous")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert first.value.errno == errno.EFBIG
    assert os.listdir(tmp_path) == ["run"]
    assert path.read_bytes() == b"old"


def test_what_the_system_calls_a_kind_of_error_stays_one(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="cannot write"):
        write_atomic(tmp_path / "file" / "run", b"")
    with pytest.raises(IsADirectoryError, match=r"cannot write \S+; nothing was written"):
        write_atomic(tmp_path, b"")
    assert not list(tmp_path.parent.glob(".*.tmp"))
    assert not files._is_file(tmp_path)


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o002, 0o664), (0o022, 0o644)])
def test_files_and_locks_are_as_open_as_the_umask_allows(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_atomic(tmp_path / "run", b"")
        files.acquired(tmp_path / "run", timeout=0).release()
    finally:
        os.umask(before)
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {mode}


def test_a_pipe_is_refused_before_anything_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=r"Not a regular file: .*pipe"):
        load(tmp_path / "pipe")
