/* Bring the widgets of a page to life from the state that was saved when the chapter ran: no kernel, no network.
 *
 * The classes come from bundle.js, which was made for the classic notebook: it is an AMD module and talks to the
 * notebook's own objects. `notebook` answers all of that with nothing. What the notebook would do with the classes, keep
 * the models and make their views, StaticManager does, so links between models (jslink) work and Python callbacks do not.
 */
(function () {
  "use strict";
  const STATE = 'script[type="application/vnd.jupyter.widget-state+json"]';
  const VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]';
  const here = /** @type {HTMLScriptElement} */ (document.currentScript);
  const bundle = new URL("bundle.js", here.src).href;

  /** @type {any} */
  const notebook = new Proxy(function () {}, { get: () => notebook, apply: () => notebook });

  /**
   * The classes of the bundle, by name; a model and its view, which are of them; and a model as it was saved.
   * @typedef {{[name: string]: any}} Classes
   * @typedef {any} Model
   * @typedef {any} View
   * @typedef {{model_name: string, model_module: string, state: any, buffers?: {data: string, path: string[]}[]}} Saved
   */

  /** Load the bundle and give its classes by name. @returns {Promise<Classes>} */
  function loadClasses() {
    return new Promise((resolve, reject) => {
      window.Jupyter = { version: "6.5.0" };
      window.requirejs = Object.assign(
        (/** @type {string[]} */ names, /** @type {(...modules: unknown[]) => void} */ ready) =>
          ready(...names.map(() => notebook)),
        { config() {} },
      );
      window.define = (_needs, factory) => resolve(factory({ uri: bundle }));
      const script = document.createElement("script");
      script.src = bundle;
      script.onload = () => delete window.define;
      script.onerror = () => reject(new Error(`cannot load ${bundle}`));
      document.head.append(script);
    });
  }

  /** Keeps the models of a page and makes their views. */
  class StaticManager {
    /** @param {Classes} classes @param {{[id: string]: Saved}} state */
    constructor(classes, state) {
      this.classes = classes;
      this.state = state;
      /** @type {{[id: string]: Promise<Model>}} */
      this.models = {};
      this._rendermime = { latexTypesetter: { typeset } }; // where the views look for it
    }

    /** @param {string} id */
    get_model(id) {
      return (this.models[id] ??= this.make_model(id));
    }

    /** @param {string} id @returns {Promise<Model>} */
    async make_model(id) {
      const { model_name, model_module, state, buffers = [] } = this.state[id];
      const views = buffers.map(({ data }) => new DataView(bytes(data).buffer));
      this.classes.put_buffers(state, buffers.map(({ path }) => path), views);
      const Model = this.find(model_name, model_module);
      return new Model(await Model._deserialize_state(state, this), { widget_manager: this, model_id: id });
    }

    /** @param {Model} model @returns {Promise<View>} */
    async create_view(model, options = {}) {
      const View = this.find(model.get("_view_name"), model.get("_view_module"));
      const view = new View({ model, options });
      view.listenTo(model, "destroy", view.remove);
      await view.render();
      for (const handle of view.el.querySelectorAll('[role="slider"]')) {
        handle.setAttribute("aria-label", model.get("description") || "slider");
      }
      return view;
    }

    /** @param {string} name @param {string} module */
    find(name, module) {
      if (!this.classes[name]) throw new Error(`the widget ${name} of ${module} cannot live without a kernel`);
      return this.classes[name];
    }

    callbacks() {
      return {};
    }

    /** @param {string} text */
    inline_sanitize(text) {
      return text; // the book's own descriptions, written by its authors
    }
  }

  /** @param {Element} element */
  function typeset(element) {
    window.MathJax?.startup?.promise?.then(() => window.MathJax?.typesetPromise([element]));
  }

  /** @param {string} base64 */
  function bytes(base64) {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  }

  /** Name the buttons of a player for screen readers, with the state of its first one. @param {Classes} classes */
  function namePlayButtons({ PlayView }) {
    PlayView.prototype.updatePlaying = function () {
      const playing = this.model.get("playing");
      this.playPauseButton.innerHTML = `<i class="fa fa-${playing ? "pause" : "play"}" aria-hidden="true"></i>`;
      this.playPauseButton.setAttribute("aria-label", playing ? "Pause" : "Play");
      this.stopButton.setAttribute("aria-label", "Stop");
      this.repeatButton.setAttribute("aria-label", "Repeat");
    };
  }

  /** Tell screen readers the label of the frame that a slider shows, in place of the frame's number.
   *
   * On the handle it is the slider's value. Elsewhere, with the player at work, the label itself reports each change.
   * @param {Element} host
   */
  function announceFrames(host) {
    const tell = () => {
      for (const handle of host.querySelectorAll('[role="slider"]')) {
        const box = handle.closest(".widget-hbox");
        const label = /** @type {HTMLElement | undefined} */ (box?.querySelector(".widget-box:has(.widget-html)"));
        if (!label) continue; // its view comes later
        const text = label.innerText.trim();
        if (handle.getAttribute("aria-valuetext") !== text) handle.setAttribute("aria-valuetext", text);
        label.setAttribute("role", "status");
        label.setAttribute("aria-live", handle.matches(":focus") ? "off" : "polite"); // not twice
      }
    };
    // The slider itself writes its number into the attribute.
    new MutationObserver(tell).observe(host, { subtree: true, childList: true, attributeFilter: ["aria-valuetext"] });
    host.addEventListener("focusin", tell);
    host.addEventListener("focusout", tell);
    tell();
  }

  /**
   * On paper a slider stands at its last position; afterwards it is where it was.
   * @param {Model[]} models
   */
  function printLastFrames(models) {
    const sliders = models.filter((model) => model?.get("_model_name") === "IntSliderModel");
    /** @type {number[]} */
    let kept = [];
    window.addEventListener("beforeprint", () => {
      kept = sliders.map((model) => model.get("value"));
      for (const model of sliders) model.set("value", model.get("max"));
    });
    window.addEventListener("afterprint", () => sliders.forEach((model, i) => model.set("value", kept[i])));
  }

  async function start() {
    const saved = document.querySelector(STATE);
    if (!saved) return;
    const classes = await loadClasses();
    namePlayButtons(classes);
    await classes.load_ipython_extension(); // adds the styles
    const manager = new StaticManager(classes, JSON.parse(saved.textContent ?? "").state);
    // Links are in no view. What cannot live is told, and the others do.
    printLastFrames(await Promise.all(Object.keys(manager.state).map((id) => manager.get_model(id).catch(report))));
    for (const place of document.querySelectorAll(VIEW)) {
      await show(place, manager).catch(report);
    }
    document.documentElement.dataset.widgets = "alive";
  }

  /** @param {Element} place @param {StaticManager} manager */
  async function show(place, manager) {
    const model = await manager.get_model(JSON.parse(place.textContent ?? "").model_id);
    const view = await manager.create_view(model);
    const host = document.createElement("div");
    host.className = "widget-host";
    place.after(host);
    manager.classes.JupyterLuminoWidget.attach(view.luminoWidget, host);
    announceFrames(host);
  }

  /** @param {unknown} error */
  function report(error) {
    console.error(error);
  }

  start().catch(report);
})();
