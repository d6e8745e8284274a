/* Slides: arrow keys, Page Up and Down, Home, End, the space bar, swiping. N shows notes, S opens a window with the notes
 * that follows this one, D changes the colours. The address holds the slide's number. */
(function () {
  "use strict";
  const root = document.documentElement;
  const slides = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("main > section")]);
  const get = (/** @type {string} */ id) => /** @type {HTMLButtonElement} */ (document.getElementById(id));
  let other = window.opener; // the window that shows the same slide

  function current() {
    return Math.min(Math.max(Number(location.hash.slice(1)) || 1, 1), slides.length) - 1;
  }

  function show() {
    const at = current();
    slides.forEach((slide, i) => {
      slide.classList.toggle("current", i === at);
      slide.inert = i !== at;
      // A slide that is larger than its window scrolls by keys.
      if (i === at && slide.scrollHeight > slide.clientHeight) slide.tabIndex = 0;
      else slide.removeAttribute("tabindex");
    });
    get("place").textContent = `${at + 1} of ${slides.length}`;
    get("back").disabled = at === 0;
    get("next").disabled = at === slides.length - 1;
    other?.postMessage({ slide: at + 1 }, "*"); // from the disk a page has no origin to name
  }

  /** @param {number} number */
  function go(number) {
    const to = Math.min(Math.max(number, 0), slides.length - 1) + 1;
    if (to - 1 !== current() || !location.hash) location.replace(`#${to}`);
  }

  /** @param {boolean} on */
  function showNotes(on) {
    root.toggleAttribute("data-notes", on);
    get("notes").setAttribute("aria-pressed", String(on));
    show();
  }

  function openSpeaker() {
    other = window.open(`${location.pathname}?notes#${current() + 1}`, "speaker", "width=900,height=700");
  }

  function changeColours() {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  }

  /** @type {{[key: string]: () => void}} */
  const KEYS = {
    ArrowRight: () => go(current() + 1),
    PageDown: () => go(current() + 1),
    ArrowLeft: () => go(current() - 1),
    PageUp: () => go(current() - 1),
    Home: () => go(0),
    End: () => go(slides.length - 1),
    n: () => showNotes(!root.hasAttribute("data-notes")),
    s: openSpeaker,
    d: changeColours,
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const space = event.key === " " && !(/** @type {Element} */ (event.target).closest("button, a")); // which it presses
    const act = space ? KEYS[event.shiftKey ? "ArrowLeft" : "ArrowRight"] : KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  /** @type {Touch | null} */
  let start = null;
  document.addEventListener("touchstart", ({ touches }) => (start = touches.length === 1 ? touches[0] : null));
  document.addEventListener("touchend", ({ changedTouches: [end] }) => {
    const across = start ? end.clientX - start.clientX : 0;
    if (start && Math.abs(across) > 50 && Math.abs(across) > 2 * Math.abs(end.clientY - start.clientY)) {
      go(current() - Math.sign(across));
    }
  });

  window.addEventListener("message", ({ source, data }) => {
    if (source === other && Number.isInteger(data.slide)) go(data.slide - 1);
  });
  window.addEventListener("hashchange", show);
  window.addEventListener("resize", show);
  get("back").addEventListener("click", KEYS.ArrowLeft);
  get("next").addEventListener("click", KEYS.ArrowRight);
  get("notes").addEventListener("click", KEYS.n);
  get("speaker").addEventListener("click", KEYS.s);
  get("colours").addEventListener("click", KEYS.d);

  root.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  root.classList.add("deck");
  showNotes(location.search === "?notes");
})();
