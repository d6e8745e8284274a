"""Fashion-MNIST: 70,000 pictures of clothes in ten classes, read from wherever they are.

The pictures (Xiao, Rasul, Vollgraf, arXiv:1708.07747; MIT licence) are four files. They are looked for in the folder
that the environment variable ``MVTHEORY_FASHION_MNIST`` names, in that of the Debian package
``dataset-fashion-mnist``, and in the user's cache; else they are downloaded into the cache, from the authors'
repository or, where that cannot be reached, from Debian's archive. Their content is checked whatever the source, so no
result depends on it.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tempfile
import zlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import platformdirs
import torch
from jaxtyping import Int
from torch import Tensor

__all__ = ["CLASSES", "FashionMNIST", "load"]

#: The names of the classes, in the order of their labels.
CLASSES = (
    "T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"
)  # fmt: skip

FOLDER = "MVTHEORY_FASHION_MNIST"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
ADDRESS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/b2617bb6d3ffa2e429640350f613e3291e10b141/"
    "data/fashion/"
)

# The SHA-256 of the decompressed files: compressed, they differ between the sources.
FILES = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


class FashionMNIST(NamedTuple):
    """The pictures and their labels.

    Attributes
    ----------
    train_images, test_images : Tensor of uint8, shapes [60000, 28, 28] and [10000, 28, 28]
        Pixels, 0 (background) to 255.
    train_y, test_y : Tensor of int64, shapes [60000] and [10000]
        Labels, 0 to 9, see `CLASSES`.
    """

    train_images: Int[Tensor, "60000 28 28"]
    train_y: Int[Tensor, " 60000"]
    test_images: Int[Tensor, "10000 28 28"]
    test_y: Int[Tensor, " 10000"]


@cache
def load() -> FashionMNIST:
    """Return the pictures.

    Returns
    -------
    FashionMNIST

    Raises
    ------
    FileNotFoundError
        If they are nowhere, and cannot be downloaded.
    ValueError
        If a file is not what it should be; the message names it.
    """
    folder = find()
    images, y, test_images, test_y = (_read(folder / name) for name in FILES)
    return FashionMNIST(images, y.long(), test_images, test_y.long())


def find() -> Path:
    """Return the folder that holds the files; download them first where there is none."""
    if named := os.environ.get(FOLDER):
        folder = Path(named).expanduser()
        if missing := [name for name in FILES if not (folder / name).is_file()]:
            raise FileNotFoundError(f"environment variable {FOLDER} must name a folder that holds {', '.join(FILES)}; "
                                    f"{folder} lacks {', '.join(missing)}")  # fmt: skip
        return folder
    cached = Path(platformdirs.user_cache_dir("mvtheory")) / "fashion-mnist"
    for folder in (DEBIAN, cached):
        if all((folder / name).is_file() for name in FILES):
            return folder
    reasons = []
    for download in (_from_authors, _from_debian):
        try:
            download(cached)
            return cached
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reasons.append(f"{type(error).__name__}: {error}")
    raise FileNotFoundError(
        f"the pictures of Fashion-MNIST are not in {DEBIAN} or {cached}, and could not be downloaded "
        f"({'; '.join(reasons)}). Run `apt-get install dataset-fashion-mnist` as root, or let the environment variable "
        f"{FOLDER} name a folder that holds {', '.join(FILES)}"
    )


def _from_authors(folder: Path) -> None:
    """Download the files from the authors' repository."""
    import pooch  # takes a while to import

    for name in FILES:
        if not (folder / name).is_file():
            with tempfile.TemporaryDirectory() as temporary:
                pooch.retrieve(ADDRESS + name, known_hash=None, fname=name, path=temporary)
                _keep(Path(temporary) / name, folder)


def _from_debian(folder: Path) -> None:
    """Download Debian's package and unpack it, which needs no root."""
    with tempfile.TemporaryDirectory() as temporary:
        for command in (["apt-get", "download", "dataset-fashion-mnist"], ["dpkg-deb", "-x", "{}", "unpacked"]):
            package = next(Path(temporary).glob("*.deb"), Path("no package"))
            filled = [part.format(package) for part in command]
            subprocess.run(filled, cwd=temporary, check=True, capture_output=True, timeout=600)
        for name in FILES:
            _keep(Path(temporary) / "unpacked" / DEBIAN.relative_to("/") / name, folder)


def _keep(path: Path, folder: Path) -> None:
    """Put a file into the cache, whole or not at all, if it is what it should be."""
    _content(path)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        os.replace(shutil.copy(path, temporary), folder / path.name)


def _content(path: Path) -> bytes:
    """Return what a compressed file holds, checked."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} must be a gzip file; it is damaged ({error}). Delete it to get it anew") from None
    if hashlib.sha256(content).hexdigest() != FILES[path.name]:
        raise ValueError(
            f"{path} must hold the published {path.name}; its content is another. Delete it to get it anew"
        )
    return content


def _read(path: Path) -> Tensor:
    """Return the array of a file in the IDX format: two zeros, a type, the number of axes, their lengths, the data."""
    content = _content(path)
    axes = content[3]
    shape = np.frombuffer(content, ">i4", axes, offset=4).tolist()
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape).copy())
