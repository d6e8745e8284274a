/* A box with the text of HOVER beside a link to the glossary or the bibliography: while the mouse is on the link or on
 * the box, or the keyboard on the link. Escape closes it. Screen readers hear it as the link's description. */
(function () {
  "use strict";
  const WAIT = 150; // milliseconds: a mouse that passes by opens nothing, and has time to reach the box
  const box = document.createElement("div");
  box.id = "hover-text";
  box.setAttribute("role", "tooltip");
  box.hidden = true;
  /** @type {HTMLAnchorElement | null} */
  let owner = null;
  let timer = 0;

  /** @param {HTMLAnchorElement} link */
  function textOf(link) {
    const { pathname, hash } = new URL(link.href);
    return HOVER[(pathname.split("/").pop() ?? "") + decodeURIComponent(hash)];
  }

  /** @param {HTMLAnchorElement} link */
  function open(link) {
    close();
    owner = link;
    box.textContent = textOf(link) ?? "";
    link.setAttribute("aria-describedby", box.id);
    box.hidden = false;
    place();
  }

  function place() {
    const at = owner?.getClientRects()[0];
    if (!at) return;
    const { width, height } = box.getBoundingClientRect();
    const room = document.documentElement.clientWidth - width - 8;
    const below = at.bottom + 4;
    box.style.left = `${Math.max(8, Math.min(at.left, room))}px`;
    box.style.top = `${below + height > innerHeight ? Math.max(8, at.top - height - 4) : below}px`;
  }

  function close() {
    clearTimeout(timer);
    owner?.removeAttribute("aria-describedby");
    owner = null;
    box.hidden = true;
  }

  /** @param {() => void} act */
  function soon(act) {
    clearTimeout(timer);
    timer = setTimeout(act, WAIT);
  }

  /** @param {HTMLAnchorElement} link */
  function attach(link) {
    link.addEventListener("mouseenter", () => soon(() => open(link)));
    link.addEventListener("mouseleave", () => soon(close));
    link.addEventListener("focus", () => link.matches(":focus-visible") && open(link));
    link.addEventListener("blur", close);
  }

  const article = document.querySelector("article.bd-article");
  const links = /** @type {NodeListOf<HTMLAnchorElement>} */ (
    document.querySelectorAll("article.bd-article a[href*='#']:not(.headerlink)")
  );
  for (const link of links) {
    if (textOf(link)) attach(link);
  }
  box.addEventListener("mouseenter", () => clearTimeout(timer));
  box.addEventListener("mouseleave", () => soon(close));
  document.addEventListener("keydown", (event) => event.key === "Escape" && close());
  // The box goes with its link: whoever comes to a link by keyboard lets the page scroll after it has opened.
  document.addEventListener("scroll", () => owner && place(), { passive: true });
  article?.append(box);
})();
