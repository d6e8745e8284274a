"""Files, the command and its exit status, the report."""

import html.parser
import json
import re
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from mvtheory import diagnose
from mvtheory.__main__ import main
from mvtheory.decision.page import MAX_SIZE
from mvtheory.decision.worlds import sample

WORLD = sample("views", L=4, n=300, seed=0)
NETS = {f"net{i}": F for i, F in enumerate(WORLD.F)}
NAMES = np.array(["cat", "dog"])


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def table(nets):
    parts = [pd.DataFrame(F, columns=NAMES).assign(net=name, y=NAMES[WORLD.y]) for name, F in nets.items()]
    return pd.concat(parts)


@pytest.fixture
def files(tmp_path):
    np.save(tmp_path / "F.npy", WORLD.F)
    np.savez(tmp_path / "F.npz", **NETS)
    np.savez(tmp_path / "all.npz", **NETS, y=WORLD.y)
    np.save(tmp_path / "y.npy", WORLD.y)
    pd.DataFrame({"y": WORLD.y}).to_csv(tmp_path / "y.csv")
    pd.DataFrame(WORLD.y).to_csv(tmp_path / "bare.csv", header=False, index=False)
    table(NETS).to_csv(tmp_path / "F.csv")
    table(NETS).reset_index(drop=True).to_parquet(tmp_path / "F.parquet")
    (tmp_path / "nets").mkdir()
    for name, F in NETS.items():
        np.save(tmp_path / "nets" / f"{name}.npy", F)
    return tmp_path


@pytest.mark.parametrize(
    "given",
    [
        ("F.npy", "y.npy"),
        ("F.npz", "y.csv"),
        ("all.npz", None),
        ("F.csv", None),
        ("F.parquet", None),
        ("nets", "y.csv"),
    ],
)
def test_all_files_say_the_same(files, capsys, given):
    outputs, labels = given
    options = ["--labels", str(files / labels)] if labels else []
    assert main(["diagnose", str(files / outputs), *options, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    expected = diagnose(WORLD.F, WORLD.y)
    assert said["verdict"] == "pays"
    assert said["words"] == expected.words.splitlines()
    assert said["numbers"][0]["value"] == pytest.approx(expected.errors[0].value)


@pytest.mark.parametrize("name", ["input", "id"])
def test_rows_of_tables_are_matched_by_the_names_of_inputs(tmp_path, capsys, name):
    """The column is no class, and programs that list the inputs in other orders are averaged input by input."""
    rng = np.random.default_rng(0)
    parts = [part.assign(**{name: np.arange(1000, 1300)}) for _, part in table(NETS).groupby("net")]
    whole = pd.concat([parts[0], *(part.sample(frac=1, random_state=rng) for part in parts[1:])])
    labels = pd.DataFrame({name: np.arange(1000, 1300), "y": NAMES[WORLD.y]}).sample(frac=1, random_state=rng)
    whole.to_csv(tmp_path / "all.csv", index=False)
    whole.drop(columns="y").to_csv(tmp_path / "F.csv", index=False)
    labels.to_csv(tmp_path / "y.csv", index=False)
    (tmp_path / "nets").mkdir()
    for net, part in whole.drop(columns="y").groupby("net"):
        part.drop(columns="net").to_csv(tmp_path / "nets" / f"{net}.csv", index=False)
    for given in (["all.csv"], ["F.csv", "--labels", "y.csv"], ["nets", "--labels", "y.csv"]):
        arguments = [str(tmp_path / part) if part.endswith(("csv", "nets")) else part for part in given]
        assert main(["diagnose", *arguments]) == 0
        assert capsys.readouterr().out == f"{diagnose(WORLD.F, WORLD.y)}\n"


def test_the_text_and_options(files, capsys):
    options = ["--worth", "0.2", "--least", "0.3", "--students", str(files / "F.npz"), "--held-out", "0.2"]
    assert main(["diagnose", str(files / "all.npz"), *options]) == 0
    expected = diagnose(WORLD.F, WORLD.y, WORLD.F, worth=0.2, least=0.3, held_out=0.2)
    assert capsys.readouterr().out == f"{expected}\n"


def test_exit_status(tmp_path):
    same = sample("one optimum", L=4, n=2000, seed=0)
    for name, F, y, status in (
        ("not", same.F, same.y, 3),
        ("unsure", same.F[:, :40], same.y[:40], 4),
        ("pays", WORLD.F, WORLD.y, 0),
    ):
        np.savez(tmp_path / f"{name}.npz", F=F, y=y)
        assert main(["diagnose", str(tmp_path / f"{name}.npz")]) == status


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["F.npy"], "--labels must be given: .* has no y"),
        (["F.txt"], "files must end in .npy, .npz, .csv, .parquet; got"),
        (["none.npy", "--labels", "y.npy"], "No such file"),
        (["F.npy", "--labels", "F.npz"], "must hold one array, or one named y or labels; got net0"),
        (["F.npz", "--labels", "bare.csv"], "bare.csv must begin with the name of its column; got one label less"),
        (["F.npy", "--labels", "bare.csv"], "bare.csv must begin with the name of its column; got one label less"),
        (["F.npy", "--labels", "y.npy", "--save", "r.pdf"], "--save must end in .html, .csv or .parquet"),
        (["F.npy", "--labels", "y.npy", "--worth", "2"], "worth must be a finite number"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(files, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(files)
    assert main(["diagnose", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)


def test_pickles_are_not_loaded(tmp_path, capsys):
    np.save(tmp_path / "F.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert main(["diagnose", str(tmp_path / "F.npy")]) == 2
    assert "Python objects" in capsys.readouterr().err


class Page(html.parser.HTMLParser):
    """Collects what a page loads, its headings, and whether each table names its rows and columns."""

    def __init__(self):
        super().__init__()
        self.loaded, self.heads, self.scopes, self.images = [], [], set(), []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.loaded += [value for name, value in attributes.items() if name in ("src", "href", "xlink:href") and value]
        self.heads += [tag] * (tag in ("h1", "h2", "title", "html"))
        self.scopes |= {attributes.get("scope")} - {None}
        self.images += [attributes.get("aria-label")] * (attributes.get("role") == "img")


def test_the_report_is_one_small_file(tmp_path):
    found = diagnose(NETS, WORLD.y, WORLD.F[:3], held_out=0.2, larger=WORLD.F[0])
    found.save(tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert len(text) < MAX_SIZE
    assert all(target.startswith(("#", "data:image/png")) for target in page.loaded)  # nothing from elsewhere
    assert page.heads == ["html", "title", "h1", "h2"]
    assert page.scopes == {"col", "row"}
    assert len(page.images) == 1
    assert "Three pictures" in page.images[0]
    assert found._repr_html_() in text


def test_names_are_escaped(tmp_path):
    found = diagnose({"<script>": WORLD.F[0], "b&b $x^$": WORLD.F[1]}, WORLD.y)
    assert "<script>" not in found._repr_html_()
    found.save(tmp_path / "r.html")
    assert "<script" not in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".html"])
def test_what_is_saved(files, suffix):
    path = files / "deep" / f"r{suffix}"
    assert main(["diagnose", str(files / "all.npz"), "--save", str(path)]) == 0
    if suffix != ".html":
        saved = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
        pd.testing.assert_frame_equal(saved, diagnose(NETS, WORLD.y).to_frame(), check_dtype=False)


@pytest.mark.parametrize("arguments", [["F.parquet"], ["all.npz", "--save", "r.parquet"]])
def test_without_pyarrow_it_is_said_what_to_install(files, capsys, monkeypatch, arguments):
    monkeypatch.chdir(files)
    for name in ("pyarrow", "fastparquet"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["diagnose", *arguments]) == 2
    message = "mvtheory diagnose: files that end in .parquet need pyarrow: pip install 'mvtheory[parquet]'\n"
    assert capsys.readouterr().err == message


def test_the_pictures_show_the_numbers():
    found = diagnose(NETS, WORLD.y)
    axes = found.plot().axes
    points = axes[0].containers[0].lines[0]
    assert list(points.get_ydata()) == [e.value for e in found.errors]
    errs = found.evidence.subsets.errs
    shares = axes[1].images[0].get_array()
    assert shares[0, 1] == pytest.approx((errs[0] & ~errs[1]).sum() / errs[0].sum())
    assert len(axes[2].collections) == 2
