"""axe-core finds nothing on any page, in a wide, light window and in a dark one as narrow as a phone."""

from axe_playwright_python.sync_playwright import Axe

from .conftest import Visit

# Style sheets are not fetched a second time, which a browser refuses from the disk, after ten seconds.
AXE = {"preload": False, "resultTypes": ["violations"]}

# axe looks at the contrast of each text anew, which takes minutes on a page of ten thousand names. Here it looks at
# three of each kind that are seen: of the same colour, size and weight, before the same backgrounds, in boxes that are
# placed in the same way. What else an element is or is in, such as a transparent box, changes no contrast.
CONTRAST_OF_EACH_KIND = """() => {
  const kinds = {}, known = new Map([[null, ""]]);
  const behind = e => {
    if (!known.has(e)) {
      const s = getComputedStyle(e);
      const own = [s.backgroundColor, s.backgroundImage, s.opacity, s.filter, s.position].join();
      known.set(e, behind(e.parentElement) + (own === "rgba(0, 0, 0, 0),none,1,none,static" ? "" : `|${own}`));
    }
    return known.get(e);
  };
  for (const e of document.body.querySelectorAll("*")) {
    const control = e.matches("input, select, textarea, button");
    const text = [...e.childNodes].some(child => child.nodeType === Node.TEXT_NODE && child.data.trim());
    if (!control && !(text && e.checkVisibility({ visibilityProperty: true }))) continue;
    const s = getComputedStyle(e);
    const kind = [control && e.type, s.color, s.fontSize, s.fontWeight, s.textShadow, behind(e)].join();
    kinds[kind] = (kinds[kind] ?? 0) + 1;
    e.toggleAttribute("data-contrast", kinds[kind] <= 3);
  }
  axe.configure({ rules: [{ id: "color-contrast", selector: "[data-contrast]" }] });
}"""


def test_axe_finds_nothing(visit: Visit) -> None:
    visit.rest()
    axe = Axe()
    visit.page.evaluate(axe.axe_script)
    visit.page.evaluate(CONTRAST_OF_EACH_KIND)
    found = visit.page.evaluate("options => axe.run(options)", AXE)["violations"]
    assert not [(rule["id"], node["html"][:200], node["failureSummary"]) for rule in found for node in rule["nodes"]]
