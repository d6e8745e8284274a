/* A page is printed on white, with everything unfolded and wide formulas shrunk; afterwards it is as it was. */
(function () {
  "use strict";
  const WIDTH = 560; // pixels of a box in a box on A4, between usual margins
  const root = document.documentElement;
  /** @type {(() => void)[]} */
  let restore = [];

  /**
   * Set a property until the page is printed.
   * @param {any} object @param {string} name @param {unknown} value
   */
  function lend(object, name, value) {
    const own = object[name];
    object[name] = value;
    restore.push(() => (object[name] = own));
  }

  window.addEventListener("beforeprint", () => {
    lend(root.dataset, "theme", "light");
    for (const part of document.querySelectorAll("details:not([open])")) lend(part, "open", true);
    for (const inner of document.querySelectorAll("mjx-container[display] mjx-math")) {
      const formula = /** @type {HTMLElement} */ (inner.closest("mjx-container"));
      const { width } = inner.getBoundingClientRect();
      if (width > WIDTH) lend(formula.style, "zoom", WIDTH / width);
    }
  });

  window.addEventListener("afterprint", () => {
    for (const back of restore.reverse()) back();
    restore = [];
  });
})();
