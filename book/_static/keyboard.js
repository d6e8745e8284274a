/* Where the keyboard is, and what it can reach. */
(function () {
  "use strict";
  const WIDE = "div.math, div.math mjx-container, .text_html, p:has(mjx-container), li:has(mjx-container)";

  /** A box takes the keyboard while it scrolls, and only then: dozens of formulas are no stops of the Tab key. */
  function reachBoxesThatScroll() {
    for (const box of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(WIDE))) {
      const scrolls = box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX === "auto";
      if (scrolls) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }

  /** The theme takes the focus off these buttons when they are pressed: the keyboard would start over at the top of the
   * page, and a sidebar that closes would not know which button to return to. So they keep it. */
  function keepFocus() {
    for (const name of ["theme-switch-button", "search-button", "primary-toggle", "secondary-toggle"]) {
      for (const button of document.getElementsByClassName(name)) Object.assign(button, { blur() {} });
    }
  }

  document.addEventListener("DOMContentLoaded", async () => {
    keepFocus();
    await window.MathJax?.startup?.promise;
    reachBoxesThatScroll();
    document.fonts.addEventListener("loadingdone", reachBoxesThatScroll); // letters of another width
    window.addEventListener("resize", reachBoxesThatScroll);
  });
})();
