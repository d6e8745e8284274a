"""The photographs: found where they are, checked wherever they come from, and never taken from a wrong file."""

import functools
import gzip
import http.server
import threading

import pytest
import torch

from mvtheory.images import fashion


@pytest.fixture(scope="module")
def folder():
    """Return where the files are on this machine."""
    return fashion.find()


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Take away all places but an empty cache."""
    monkeypatch.delenv(fashion.FOLDER, raising=False)
    monkeypatch.setattr(fashion, "DEBIAN", tmp_path / "no package")
    monkeypatch.setattr(fashion.platformdirs, "user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    return tmp_path / "cache/mvtheory/fashion-mnist"


def test_the_pictures_are_the_published_ones():
    data = fashion.load()
    assert data.train_images.shape == (60000, 28, 28)
    assert data.test_images.shape == (10000, 28, 28)
    assert data.train_images.dtype == torch.uint8
    assert data.train_y.bincount().tolist() == [6000] * 10
    assert data.test_y.bincount().tolist() == [1000] * 10
    assert data.train_y[:6].tolist() == [9, 0, 0, 3, 0, 2]  # as in the authors' description
    assert int(data.train_images.max()) == 255
    assert len(fashion.CLASSES) == 10


def test_a_named_folder_comes_first(folder, nowhere, tmp_path, monkeypatch):
    monkeypatch.setenv(fashion.FOLDER, str(folder))
    assert fashion.find() == folder
    monkeypatch.setenv(fashion.FOLDER, str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"{fashion.FOLDER} must name a folder.*lacks train-images"):
        fashion.find()


def test_they_are_downloaded_into_the_cache_once(folder, nowhere, monkeypatch):
    served = []

    class Server(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            served.append(self.path)

    handler = functools.partial(Server, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setattr(fashion, "ADDRESS", f"http://127.0.0.1:{server.server_port}/")
        assert fashion.find() == fashion.find() == nowhere
        server.shutdown()
    assert len(served) == 4
    assert sorted(path.name for path in nowhere.iterdir()) == sorted(fashion.FILES)
    for name in fashion.FILES:
        assert (nowhere / name).read_bytes() == (folder / name).read_bytes()


def test_without_any_source_the_error_says_what_to_do(nowhere, monkeypatch):
    monkeypatch.setattr(fashion, "ADDRESS", "http://127.0.0.1:9/")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match=r"apt-get install dataset-fashion-mnist.*MVTHEORY_FASHION_MNIST"):
        fashion.find()
    assert not list(nowhere.parent.rglob("*.gz"))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no gzip", "must be a gzip file"), (gzip.compress(b"another"), "its content is another")],
    ids=["no gzip", "another content"],  # the time is in compressed bytes, and names of tests must not change with it
)
def test_a_wrong_file_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path.name} must.*{message.split('must ')[-1]}"):
        fashion._read(path)


def test_a_truncated_file_is_refused(tmp_path, folder):
    path = tmp_path / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes((folder / path.name).read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"damaged.*Delete it"):
        fashion._read(path)
