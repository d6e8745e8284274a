"""Claims: the verdict follows from the numbers, and tables, JSON and glued texts say the same."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jaxtyping
import pytest
from reference import refused

import mvtheory.claims
from mvtheory.claims import CLAIM_MIME, Claim, Ledger
from mvtheory.measurement import Estimate


def predicted(id="a", low=0.0, high=1.0, statement="A claim.", **more):
    return Claim(id, statement, (low, high), **{"chapter": "02", "source": "derived", "setting": "all"} | more)


HALF = predicted("single", 0.49, 0.51, "A single net errs on half of the inputs.")


def measured(id="single", low=0.0, high=1.0, interval=(0.4, 0.6), statement="A claim.", raw=None):
    estimate = Estimate(sum(interval) / 2, *interval, nets=50, draws=5)
    return predicted(id, low, high, statement).measure(estimate, seconds=12.5, raw=raw)


# Claim


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((0.495, 0.505), "holds"),
        ((0.49, 0.51), "holds"),  # the ends belong to the range
        ((0.48, 0.50), "inconclusive"),
        ((0.50, 0.52), "inconclusive"),
        ((0.40, 0.60), "inconclusive"),
        ((0.51, 0.52), "inconclusive"),
        ((0.48, 0.49), "inconclusive"),
        ((0.40, 0.48), "fails"),
        ((0.52, 0.60), "fails"),
    ],
)
def test_verdict(interval, verdict):
    assert measured(low=0.49, high=0.51, interval=interval).verdict == verdict


def test_open_ends():
    assert measured(low=0.1, high=math.inf).verdict == "holds"
    assert measured(low=-math.inf, high=0.1).verdict == "fails"


def test_measuring_leaves_the_prediction_as_it_was():
    claim = HALF.measure(Estimate(0.5, 0.495, 0.505, 50, 5), seconds=2.0)
    assert HALF.measured is None
    assert (claim.predicted, claim.id, claim.statement) == (HALF.predicted, HALF.id, HALF.statement)
    assert (claim.measured.value, claim.seconds) == (0.5, 2)
    with pytest.raises(AttributeError):
        claim.predicted = (0.0, 1.0)


def test_no_verdict_before_the_run():
    for use in (lambda: HALF.verdict, HALF.as_dict, lambda: Ledger([HALF])):
        with pytest.raises(ValueError, match="claim 'single' must be measured first"):
            use()


@pytest.mark.parametrize("id", ["", "Single", "two words", "a_b", "é", "a\n"])
def test_ids_are_lower_case(id):
    with pytest.raises(ValueError, match="id must be lower-case"):
        predicted(id)


@pytest.mark.parametrize("ends", [(1, 0), (math.nan, 1), (0, math.nan), (math.inf, math.inf), (-math.inf, -math.inf)])
def test_empty_ranges_are_refused(ends):
    with pytest.raises(ValueError, match=r"predicted must be \(low, high\), two numbers with low <= high; got"):
        predicted("a", *ends)


@pytest.mark.parametrize("ends", ["01", (0,), (0, 1, 2), ("0", 1), None, (True, 1), {0, 1}, {0: 0, 1: 1}])
def test_ranges_are_two_numbers(ends):
    with pytest.raises((ValueError, jaxtyping.TypeCheckError), match=r"predicted must be|Type-check"):
        Claim("a", "A claim.", ends, "02", "derived", "all")


def test_other_bad_claims_are_refused():
    with pytest.raises(ValueError, match="statement must not be empty"):
        predicted(statement=" ")
    with pytest.raises(ValueError, match="chapter must not be empty"):
        predicted(chapter="")
    with pytest.raises(ValueError, match="source must be one of 'theorem', 'derived', 'our tolerance'; got 'a guess'"):
        predicted(source="a guess")
    with pytest.raises(ValueError, match="kind must be one of 'claim', 'check'; got 'hope'"):
        predicted(kind="hope")
    with pytest.raises(ValueError, match="seconds must be a finite number"):
        HALF.measure(Estimate(0.5, 0.4, 0.6, 1, 1), seconds=-1)
    with pytest.raises(ValueError, match="measured and seconds must be given together"):
        predicted(seconds=1.0)
    with pytest.raises(ValueError, match="raw must be given together with measured"):
        predicted(raw=Estimate(0.5, 0.4, 0.6, 1, 1))
    for change, match in [
        ({"id": 3}, "id must be of type str; got 3"),
        ({"statement": None}, "statement must be of type str; got None"),
        ({"measured": (0.5, 0.4, 0.6), "seconds": 1.0}, r"measured must be of type Estimate; got \(0"),
        (
            {"measured": Estimate(0.5, 0.4, 0.6, 1, 1), "seconds": 1.0, "raw": 0.5},
            "raw must be of type Estimate; got 0.5",
        ),
    ]:
        with refused(TypeError, match):
            replace(HALF, **change)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0, 0.01, "≤ 0.01"),
        (-math.inf, 0.01, "≤ 0.01"),
        (0.97, 1, "≥ 0.97"),
        (0.97, math.inf, "≥ 0.97"),
        (0, math.inf, "≥ 0"),
        (0.49, 0.51, "0.49 to 0.51"),
        (-0.01, 0.01, "-0.01 to 0.01"),
        (-0.5, 1, "-0.5 to 1"),
        (0, 3, "0 to 3"),
        (0, 1, "0 to 1"),
        (0.25, 0.25, "0.25"),
        (-math.inf, math.inf, "any"),
    ],
)
def test_ranges_read_well(low, high, text):
    assert predicted("a", low, high).predicted_text == text


# JSON


def test_the_schema():
    assert measured(low=-math.inf, high=0.5).as_dict() == {
        "id": "single",
        "chapter": "02",
        "statement": "A claim.",
        "predicted": [None, 0.5],
        "measured": 0.5,
        "interval": [0.4, 0.6],
        "nets": 50,
        "draws": 5,
        "verdict": "inconclusive",
        "seconds": 12.5,
        "setting": "all",
        "source": "derived",
        "kind": "claim",
        "unit": "data set",
        "raw": None,
    }
    assert measured(raw=Estimate(0.45, 0.3, 0.6, 50, 5)).as_dict()["raw"] == [0.45, 0.3, 0.6]


def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


def test_json_is_strict_and_comes_back(tmp_path):
    claims = [
        measured("b", 0.3, math.inf, raw=Estimate(0.4, 0.3, 0.5, 50, 5)),
        measured("a", -math.inf, 0.1, statement='2 < 3 & "é" ≤ 4'),
    ]
    path = tmp_path / "new" / "claims.json"
    Ledger(claims).to_json(path)
    content = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert [fields["id"] for fields in content["claims"]] == ["b", "a"]
    assert list(Ledger.from_json(path)) == claims
    assert list(path.parent.iterdir()) == [path]  # no temporary file stays


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "claims.json"
    Ledger([measured()]).to_json(path)
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: refuse("a full disk"))
    with pytest.raises(AssertionError):
        Ledger([measured("other")]).to_json(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"verdict": "holds"}, "verdict of 'single' must be 'inconclusive'; got 'holds'"),
        ({"measured": "0.5"}, "must be"),
        ({"nets": 0}, "nets must be an integer >= 1; got 0"),
        ({"interval": [0.4]}, "not enough values"),
        ({"source": "a guess"}, "source must be one of"),
        ({"raw": [0.4]}, "not enough values"),
        ({"predicted": None}, "fields must be those of a measured claim"),
        ({"statement": 3}, "fields must be those of a measured claim"),
        ({"id": "Not An Id"}, "id must be lower-case"),
    ],
)
def test_files_of_other_content_are_refused(tmp_path, change, match):
    path = tmp_path / "claims.json"
    fields = measured(low=0.49, high=0.51).as_dict()
    path.write_text(json.dumps({"claims": [fields]}))
    assert len(Ledger.from_json(path)) == 1
    path.write_text(json.dumps({"claims": [fields | change]}))
    with pytest.raises(ValueError, match=match) as error:
        Ledger.from_json(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"claims": 3}', '{"claims": [{}]}', "not json", "[" * 100_000], ids=len
)
def test_files_of_other_formats_are_refused(tmp_path, text):
    path = tmp_path / "claims.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"claims\.json is not a ledger of claims"):
        Ledger.from_json(path)


# Ledger and tables


class Table(HTMLParser):
    """Rows of cell texts and the attributes of every tag."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.tags, self.open = [], [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


HEAD = ["claim", "predicted", "measured [95% interval]", "nets", "data sets", "verdict"]


def test_ledger_keeps_order_and_finds_by_id():
    ledger = Ledger([measured("b"), measured("a")])
    ledger.add(measured("c"))
    assert [claim.id for claim in ledger] == ["b", "a", "c"]
    assert len(ledger) == 3
    assert ledger["a"] == measured("a")
    with pytest.raises(ValueError, match="id must be new in the ledger; got 'a' twice"):
        ledger.add(measured("a"))


def test_tables_say_everything_in_words():
    raw = Estimate(0.45, 0.35, 0.55, 50, 5)
    claims = [measured("b", 0, 0.01, statement="<b> & co"), measured("a", 0.3, 0.7, raw=raw)]
    bundle = Ledger(claims)._repr_mimebundle_()
    table = Table(bundle["text/html"])
    assert table.rows == [
        HEAD,
        ["<b> & co", "≤ 0.01", "0.50 [0.40, 0.60]", "50", "5", "fails"],
        ["A claim.", "0.3 to 0.7", "0.50 [0.40, 0.60]; raw 0.45 [0.35, 0.55]", "50", "5", "holds"],
    ]
    scopes = [attrs.get("scope") for tag, attrs in table.tags if tag == "th"]
    assert scopes == ["col"] * 6 + ["row"] * 2
    assert "caption" in dict(table.tags)
    lines = bundle["text/plain"].splitlines()
    assert [line.split()[0] for line in lines] == ["claim", "b", "a"]
    assert len({line.index("50   ") for line in lines[1:]}) == 1  # columns are aligned
    assert lines[1].endswith("fails")
    assert str(Ledger(claims)) == bundle["text/plain"]


def test_a_claim_shows_itself_before_and_after_the_run():
    before = HALF._repr_mimebundle_()
    assert Table(before["text/html"]).rows[1] == [HALF.statement, "0.49 to 0.51", "not measured", "", "", ""]
    assert CLAIM_MIME not in before
    after = measured()._repr_mimebundle_()
    assert set(after) == {"text/plain", "text/html", CLAIM_MIME}
    assert after[CLAIM_MIME] == measured().as_dict()
    assert str(measured()) == after["text/plain"]


def test_importing_claims_loads_nothing_heavy():
    """The module by itself, whatever else the package's `__init__` offers."""
    code = f"""
import sys, types
package = sys.modules["mvtheory"] = types.ModuleType("mvtheory")
package.__path__ = [{str(Path(mvtheory.claims.__file__).parent)!r}]
import mvtheory.claims
print([name for name in ("torch", "scipy.stats", "IPython", "myst_nb") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
