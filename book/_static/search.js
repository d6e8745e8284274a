/* Search by section (the book's own ranking and excerpts), and the searched words on the page that was found.
 *
 * Sphinx takes the query apart (stop words, stems), looks up the names of the API, and shows the page around the results.
 */
(function () {
  "use strict";
  const RESULTS = 30;
  const GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu " +
    "nu xi omicron pi rho sigma sigma tau upsilon phi chi psi omega"
  ).split(" ");

  /** Write symbols in one way: sigma_0, σ_0 and σ₀ are all sigma0. @param {string} text */
  function normalise(text) {
    const plain = text.normalize("NFKC").toLowerCase().replaceAll("_", "");
    return plain.replace(/[α-ω]/g, (letter) => GREEK[letter.charCodeAt(0) - 945]);
  }

  /** @param {string} text @returns {string[]} */
  function split(text) {
    return normalise(text).match(/[\p{Letter}\p{Number}]+/gu) ?? [];
  }

  /** The stems of a text's words. @param {string} text */
  function stems(text) {
    return split(text).map(stem);
  }

  /** @type {Map<string, string>} */
  const known = new Map();
  /** @type {Stemmer | null} */
  let stemmer = null;

  /** @param {string} word */
  function stem(word) {
    stemmer ??= new Stemmer();
    if (!known.has(word)) known.set(word, stemmer.stemWord(word));
    return known.get(word) ?? word;
  }

  /**
   * How often a stem begins one of the words; short ones must be whole words.
   * @param {string} term @param {string[]} words
   */
  function count(term, words) {
    return words.filter((word) => (term.length > 2 ? word.startsWith(term) : word === term)).length;
  }

  /**
   * The sections that hold most of the words, as Sphinx writes results; titles and keywords outweigh the text.
   * @param {string[]} terms @returns {SearchResult[]}
   */
  function findSections(terms) {
    const found = SECTIONS.map(([page, anchor, title, keywords, text]) => {
      const heads = stems(`${title.split(" > ").pop()} ${keywords}`);
      const words = stems(text);
      const hits = terms.map((term) => {
        const times = count(term, words);
        return (count(term, heads) ? 15 : 0) + (5 * times) / (times + 1);
      });
      const score = hits.reduce((sum, hit) => sum + hit, 0) / terms.length;
      /** @type {SearchResult} */
      const result = [page, title, anchor, null, score, text];
      return { covered: hits.filter((hit) => hit).length, result };
    });
    const most = Math.max(...found.map(({ covered }) => covered));
    return most ? found.filter(({ covered }) => covered === most).map(({ result }) => result) : [];
  }

  /** The words around the first hit. @param {string} text @param {string[]} terms */
  function excerpt(text, terms) {
    const words = text.split(" ");
    const found = words.findIndex((word) => terms.some((term) => count(term, stems(word))));
    const hit = Math.max(0, found);
    const start = Math.max(0, hit - 12);
    return `${start ? "… " : ""}${words.slice(start, start + 40).join(" ")}${start + 40 < words.length ? " …" : ""}`;
  }

  /** @param {SearchResult} result @param {string[]} terms @param {string[]} marked */
  function show([page, title, anchor, description, , text], terms, marked) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    const words = encodeURIComponent(marked.join(" "));
    link.href = `${page}${DOCUMENTATION_OPTIONS.LINK_SUFFIX}?highlight=${words}${anchor}`;
    link.textContent = title;
    const context = document.createElement("p");
    context.className = "context";
    context.textContent = description ?? excerpt(text, terms);
    marked.forEach((term) => _highlightText(context, term, "highlighted"));
    item.append(link, context);
    Search.output.append(item);
  }

  /** @param {string} text */
  function query(text) {
    const [, terms] = Search._parseQuery(normalise(text)).map((part) => [...part]);
    const [, , , marked, names] = Search._parseQuery(text);
    const objects = [...names].flatMap((name) => Search.performObjectSearch(name, names));
    const results = [...(terms.length ? findSections(terms) : []), ...objects];
    const best = results.sort(_orderResultsByScoreThenName).reverse().slice(0, RESULTS);
    best.forEach((result) => show(result, terms, [...marked]));
    _finishSearch(best.length);
  }

  /** Mark the searched words of ?highlight=, and go to the first one: in the section asked for, or on the page. */
  async function highlight() {
    const text = new URLSearchParams(location.search).get("highlight");
    if (!text) return;
    await window.MathJax?.startup?.promise; // marks inside a formula would break it
    if (document.readyState !== "complete") await new Promise((done) => addEventListener("load", done, { once: true }));
    const article = document.querySelector("article.bd-article");
    if (!article) return;
    const words = text.toLowerCase().split(/\s+/).filter((word) => word);
    words.forEach((word) => _highlightText(article, word, "highlighted"));
    const symbols = words.flatMap(split);
    for (const { math, typesetRoot } of window.MathJax?.startup?.document?.math ?? []) {
      typesetRoot.classList.toggle("highlighted", split(math).some((symbol) => symbols.includes(symbol)));
    }
    const section = location.hash && document.getElementById(location.hash.slice(1));
    const marks = [section, article].flatMap((part) => (part ? [...part.querySelectorAll(".highlighted")] : []));
    const first = marks.find((mark) => mark.checkVisibility()) ?? marks[0];
    if (!first) return;
    unfold(first);
    first.scrollIntoView({ block: "center" });
  }

  /** Open the folded parts around an element. @param {Element} element */
  function unfold(element) {
    for (let part = element.parentElement; part; part = part.parentElement) {
      if (part instanceof HTMLDetailsElement) part.open = true;
      const button = /** @type {HTMLElement | null} */ (part.querySelector(".toggle-button"));
      if (part.classList.contains("toggle-hidden")) button?.click();
    }
  }

  if (typeof SECTIONS === "undefined") _ready(highlight);
  else _ready(() => (Search.query = query));
})();
