/* The lab: what a reader changes, presses and reads. The numbers come from engine.js, the pictures from charts.js. */

/**
 * @typedef {InstanceType<typeof multiViewEngine.Experiment>} Experiment
 * @typedef {{label: string, low: number, high: number, step: number, whole: boolean}} Field
 * @typedef {{setting: Setting, fields: {[name: string]: Field}, presets: {[name: string]: Setting}, inputs: string[],
 *   panels: string[], phases: string[], address: boolean}} Config
 * @typedef {(setting: Setting, rows: Row[]) => void} Tell
 */

var multiViewLab = (function () {
  "use strict";

  const { Experiment, heldViews, mean } = multiViewEngine;
  const { html, drawRace, drawGrid, drawErrors, drawLoss, resultsTable, viewsTable, pathTable } = multiViewCharts;

  /** @type {{[name: string]: string}} */
  const NAMES = {
    nets: "nets",
    "trained average": "nets of the trained average",
    distilled: "distilled nets",
    "self-distilled": "self-distilled nets",
  };
  /** The run at which each phase works. @type {{[phase: string]: string}} */
  const RUNS = {
    train: "nets",
    average: "nets",
    "train the average": "trained average",
    distil: "distilled",
    "self-distil": "self-distilled",
    "next generation": "nets",
  };
  /** The run that a phase needs. @type {{[phase: string]: string}} */
  const NEEDS = { average: "nets", distil: "nets", "self-distil": "nets", "next generation": "self-distilled" };
  const OWN = "own setting";
  /** @type {{[name: string]: string}} */
  const CAPTIONS = {
    race: "The race of the views of one class: the largest overlap of each view with a neuron, against the step, net by net",
    grid: "What each net (row) holds of each class (column), by colour and number of the view; last row: what any of them holds",
    errors: "Error on inputs that keep one view: dots are measured, dashes are what the lottery predicts",
    loss: "Loss of each net (lines, logarithmic), against the step, and their mean training error (dashes)",
  };

  // ---------------------------------------------------------------------------------------------- words

  /** @param {number} share */
  const percent = (share) => `${(100 * share).toFixed(1)}%`;

  /** What happened, and how far it is from the prediction. @param {Experiment} experiment @param {string} phase */
  function sentence(experiment, phase) {
    const { runs, setting, generation } = experiment;
    const { nets, M } = setting;
    const rows = experiment.results();
    const beside = (/** @type {string} */ method) => {
      const { error, predicted } = /** @type {Row} */ (rows.find((row) => row.method === method));
      const gap = Math.abs(error - predicted);
      const size = `${(100 * gap).toFixed(1)} points ${error > predicted ? "more" : "less"} than predicted`;
      return (
        `${percent(error)} of the test inputs, each of which keeps one view; ` +
        `the lottery predicts ${percent(predicted)} (${gap < 0.0005 ? "as predicted" : size}).`
      );
    };
    const held = runs[RUNS[phase]] ? heldViews(setting, runs[RUNS[phase]].W) : [];
    const left = fit(experiment, phase);
    if (phase === "train") {
      const cases = held.flat();
      const alone = cases.filter((views) => views.filter(Boolean).length === 1).length / cases.length;
      const views = `In ${percent(alone)} of the cases a net holds one of a class's ${M} views.`;
      return `${left || "All training inputs are right. "}${views} A single net errs on ${beside("single net")}`;
    }
    if (phase === "average") {
      if (nets < 2) return "One net has no average.";
      return `The average of ${nets} nets errs on ${beside(`average of ${nets}`)}`;
    }
    if (phase === "train the average") {
      const holders = mean(held[0].map((_, j) => held.filter((classes) => classes[j].some(Boolean)).length));
      return (
        `${left}The average of ${nets} nets, trained as one, errs on ${beside("trained average")} The prediction is ` +
        `that of a single net: of a class, only ${holders.toFixed(1)} of the ${nets} nets have learned anything, on average.`
      );
    }
    if (phase === "distil") return `${left}A student of the average errs on ${beside("distilled net")}`;
    if (phase === "self-distil") {
      const whose = "It holds its own view and its teacher's.";
      return `${left}A student of a single net errs on ${beside("self-distilled net")} ${left ? "" : whose}`.trim();
    }
    return `Generation ${generation}: the self-distilled nets are the teachers now.`;
  }

  /** That training ended too early, if it did. @param {Experiment} experiment @param {string} phase */
  function fit({ runs, setting }, phase) {
    if (phase === "average" || phase === "next generation") return "";
    const { loss, error } = runs[RUNS[phase]];
    const labels = phase === "train" || phase === "train the average";
    const large = labels && loss.some((each) => each >= setting.stop_loss);
    if (!large && !mean(error)) return "";
    return (
      `Training ended at its limit of ${labels ? setting.steps : setting.student_steps} steps, with a loss of ` +
      `${mean(loss).toFixed(2)} and ${percent(mean(error))} of the training inputs wrong: the prediction, which is for ` +
      "nets that answer all of them, does not hold here. "
    );
  }

  /**
   * The call that prints the same table.
   * @param {Setting} setting @param {string[]} phases @param {Config} config
   */
  function inPython(setting, phases, { presets, fields }) {
    const base = Object.values(presets)[0];
    const given = Object.keys(base).filter((name) => setting[name] !== base[name]);
    const write = (/** @type {string} */ name) => {
      if (name === "from_start") return setting.from_start ? "True" : "False";
      const decimals = fields[name] && !fields[name].whole && Number.isInteger(setting[name]);
      return `${setting[name]}${decimals ? ".0" : ""}`;
    };
    const done = phases.map((phase) => `"${phase}"`).join(", ");
    return [
      "from mvtheory.lab.reference import run",
      "from mvtheory.lab.setting import LabSetting",
      "",
      `setting = LabSetting(${given.map((name) => `${name}=${write(name)}`).join(", ")})`,
      `print(run(setting, [${done || '"train"'}]).to_string(index=False))`,
    ].join("\n");
  }

  // ---------------------------------------------------------------------------------------------- the address

  /** The preset that a setting is, or that it differs from in the reader's numbers. @param {Setting} setting */
  function presetOf(setting, /** @type {Config} */ { presets, fields }, exactly = true) {
    const names = Object.keys(setting).filter((name) => exactly || !fields[name]);
    return Object.keys(presets).find((preset) => names.every((name) => presets[preset][name] === setting[name]));
  }

  /** @param {Setting} setting @param {Config} config */
  function toAddress(setting, config) {
    const base = presetOf(setting, config, false);
    const given = Object.keys(config.fields).map((name) => `${name}=${setting[name]}`);
    const first = Object.keys(config.presets)[0];
    return [...(base && base !== first ? [`preset=${encodeURIComponent(base)}`] : []), ...given].join("&");
  }

  /** The setting in the page's address, if all of it is allowed. @param {Config} config */
  function fromAddress({ address, setting, presets, fields }) {
    if (!address || !location.hash.startsWith("#lab?")) return null;
    const given = new URLSearchParams(location.hash.slice(5));
    const next = { ...(presets[given.get("preset") ?? ""] ?? setting) };
    for (const [name, { low, high, whole }] of Object.entries(fields)) {
      const value = given.has(name) ? Number(given.get(name)) : next[name];
      if (!(value >= low && value <= high) || (whole && !Number.isInteger(value))) return null;
      next[name] = value;
    }
    return next.s <= next.k ? next : null;
  }

  // ---------------------------------------------------------------------------------------------- work

  /** The moments of a training that charts show, thinned so that they stay few. */
  class Path {
    constructor() {
      /** @type {Moment[]} */
      this.moments = [];
      this.stride = 1;
    }

    /** @param {Run} run @param {Setting} setting */
    add(run, { k, M, m }) {
      if (run.step % this.stride) return;
      const overlap = run.W.map((W) => {
        const largest = new Float32Array(k * M);
        for (let view = 0; view < k * M; view++)
          for (let r = 0; r < m; r++) largest[view] = Math.max(largest[view], W[view * m + r]);
        return largest;
      });
      this.moments.push({ step: run.step, loss: run.loss.slice(), error: mean(run.error), overlap });
      if (this.moments.length < 300) return;
      this.stride *= 2;
      this.moments = this.moments.filter(({ step }) => step % this.stride === 0);
    }
  }

  /** Phases that are done one after the other, in slices, so that the page stays alive. */
  class Player {
    /**
     * @param {Setting} setting @param {boolean} calm whether nothing is to move
     * @param {{draw: () => void, done: (phase: string) => void}} page
     */
    constructor(setting, calm, page) {
      this.setting = setting;
      this.calm = calm;
      this.page = page;
      this.experiment = new Experiment(setting);
      /** @type {{[name: string]: Path}} */
      this.paths = {};
      /** @type {string[]} */
      this.queue = []; // phases to be done
      /** @type {Work<void> | null} */
      this.work = null; // the phase at work
      this.steps = 0; // of the phase at work
      /** @type {Work<number[]> | null} */
      this.look = null; // errors on test inputs, being measured during training
      this.playing = false;
      this.request = 0; // of the next frame
      this.nextDraw = 0;
    }

    get busy() {
      return Boolean(this.work || this.queue.length);
    }

    /** @param {string[]} phases */
    start(phases) {
      if (this.work) delete this.experiment.runs[RUNS[this.queue[0]]]; // not complete
      this.queue = [...phases];
      this.work = null;
      this.resume();
    }

    resume() {
      if (this.playing || !this.busy) return;
      this.playing = true;
      cancelAnimationFrame(this.request);
      this.request = requestAnimationFrame(() => this.frame());
    }

    /** Draw, or work for a few milliseconds; the longer a phase takes, the more steps are taken in a frame. */
    frame() {
      if (!this.playing) return;
      const begin = performance.now();
      if (!this.calm && begin >= this.nextDraw) {
        this.page.draw();
        this.nextDraw = begin + Math.max(40, 3 * (performance.now() - begin));
      } else {
        const until = this.steps + (this.calm ? Infinity : Math.max(1, Math.floor(this.steps / 60)));
        while (this.playing && this.steps < until && performance.now() - begin < 10) this.advance();
        while (this.playing && !this.calm && performance.now() - begin < 12) if (this.measure()) break;
      }
      this.request = requestAnimationFrame(() => this.frame());
    }

    /** Do one slice of work; tell whether it completed a step or a phase. */
    advance() {
      const phase = this.queue[0];
      const name = RUNS[phase];
      if (!this.work) {
        this.work = this.experiment.phase(phase);
        [this.steps, this.look] = [0, null];
        if (phase !== "average" && phase !== "next generation") this.paths[name] = new Path();
      }
      const { value, done } = this.work.next();
      if (value) {
        this.steps++;
        this.paths[name].add(this.experiment.runs[name], this.setting);
      }
      if (!done) return Boolean(value);
      this.queue.shift();
      this.work = null;
      this.playing &&= this.queue.length > 0;
      if (phase === "next generation") this.paths = { nets: this.paths["self-distilled"] };
      this.page.done(phase);
      return true;
    }

    /** Measure a bit of the errors of the nets in training; tell whether all is done. */
    measure() {
      const name = RUNS[this.queue[0]];
      const run = this.experiment.runs[name];
      if (!this.work || !run || run.W.length < this.setting.nets) return true;
      this.look ??= this.experiment.measure(name);
      const { value, done } = this.look.next();
      if (!done) return false;
      run.errors = value;
      this.look = null;
      return true;
    }

    /** Whether a run is there and complete. @param {string} name */
    ready(name) {
      return Boolean(this.experiment.runs[name]) && !(this.work && RUNS[this.queue[0]] === name);
    }
  }

  // ---------------------------------------------------------------------------------------------- the page

  let labs = 0; // on this page

  class Lab {
    /** @param {HTMLElement} host @param {Config} config @param {Tell} tell */
    constructor(host, config, tell) {
      this.host = host;
      this.config = config;
      this.tell = tell;
      this.id = `mv-lab-${++labs}`;
      this.calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      this.play = config.phases.filter((phase) => phase !== "next generation");
      this.shown = "nets"; // the run in race, grid and loss
      this.shownClass = 0;
      this.player = this.begin(fromAddress(config) ?? config.setting);
      const { presets, phases, panels } = config;
      this.preset = html("select", { id: `${this.id}-preset`, onchange: () => this.change(presets[this.preset.value]) });
      /** @type {{[name: string]: HTMLInputElement}} */
      this.inputs = Object.fromEntries(config.inputs.map((name) => [name, this.input(name)]));
      this.note = html("p", { class: "mv-note", role: "alert" });
      this.others = {
        all: this.button("play all", () => this.start(this.undone())),
        pause: this.button("pause", () => (this.player.playing ? this.pause() : this.start())),
        step: this.button("step", () => this.oneStep()),
      };
      this.buttons = Object.fromEntries(phases.map((phase) => [phase, this.button(phase, () => this.start([phase]))]));
      this.progress = html("span", { class: "mv-progress" });
      this.status = html("p", { class: "mv-status", role: "status" });
      this.show = html("select", { id: `${this.id}-show`, onchange: () => this.draw(this.show.value) });
      this.pick = html("select", { id: `${this.id}-class`, onchange: () => this.choose(Number(this.pick.value)) });
      /** @type {{[name: string]: HTMLElement}} */
      this.bodies = {};
      for (const name of panels)
        this.bodies[name] = html("div", { class: `mv-${name}`, role: "img", "aria-label": CAPTIONS[name] });
      this.tables = html("div", { class: "mv-tables" });
      this.python = html("code");
      this.copied = html("span", { role: "status" });
      this.root = this.compose();
      host.replaceChildren(this.root);
      this.remove = this.watch();
      this.refresh();
    }

    get setting() {
      return this.player.setting;
    }

    /** Nets of a setting, nothing of which is done. @param {Setting} setting */
    begin(setting) {
      return new Player(setting, this.calm, { draw: () => this.draw(), done: (phase) => this.finish(phase) });
    }

    // ------------------------------------------------ elements
    /** @param {string} name */
    input(name) {
      const { low, high, step } = this.config.fields[name];
      const range = { type: "number", min: low, max: high, step, inputmode: "decimal" };
      return html("input", { id: `${this.id}-${name}`, ...range, onchange: () => this.read(name) });
    }

    /** Put the elements together. */
    compose() {
      const { panels, presets, fields, address } = this.config;
      const names = Object.keys(presets).map((name) => html("option", {}, name));
      this.preset.append(...names, html("option", { hidden: true }, OWN));
      const form = html("div", { class: "mv-fields" }, this.labelled("preset", "Preset: what it shows", this.preset));
      for (const [name, input] of Object.entries(this.inputs))
        form.append(this.labelled(name, `${name}: ${fields[name].label}`, input));
      const seeds = fields.seed.high + 1;
      /** The same with other seeds, as far as it was done. */
      const anew = () => {
        const { log } = this.player.experiment;
        this.change({ ...this.setting, seed: (this.setting.seed + 1) % seeds });
        if (log.length) this.start(log);
      };
      const others = Object.values(this.others).slice(this.play.length > 1 ? 0 : 1);
      const bar = html("div", { class: "mv-buttons", role: "group", "aria-label": "What to do" });
      bar.append(...others, ...Object.values(this.buttons), this.button("new seeds", anew));
      const looks = html("div", { class: "mv-fields" });
      if (panels.some((name) => name !== "errors")) looks.append(this.labelled("show", "Show", this.show));
      if (panels.includes("race")) looks.append(this.labelled("class", "Class of the race", this.pick));
      const figures = Object.entries(this.bodies).map(([name, body]) =>
        html("figure", {}, body, html("figcaption", {}, CAPTIONS[name])),
      );
      const copies = [this.button("copy as Python", () => this.copy(this.python.textContent ?? ""))];
      if (address) copies.push(this.button("copy link", () => this.copy(location.href)));
      const folded = (/** @type {string} */ title, /** @type {Node[]} */ parts, open = false) =>
        html("details", { open }, html("summary", {}, title), ...parts);
      return html(
        "section",
        { class: "mv-lab", "aria-label": "Lab: train nets, their average and students" },
        folded("Setting", [form], matchMedia("(min-width: 600px)").matches),
        this.note,
        bar,
        html("p", {}, this.progress),
        this.status,
        looks,
        html("div", { class: "mv-panels" }, ...figures),
        folded("The numbers as tables", [this.tables]),
        folded("The same in Python", [html("pre", {}, this.python), ...copies, this.copied]),
      );
    }

    /** @param {string} name @param {string} text @param {Element} control */
    labelled(name, text, control) {
      return html("label", { for: `${this.id}-${name}` }, html("span", {}, text), control);
    }

    /** A button; one that is off keeps the keyboard's place. @param {string} text @param {() => void} act */
    button(text, act) {
      const element = html("button", { type: "button" }, text[0].toUpperCase() + text.slice(1));
      element.addEventListener("click", () => element.getAttribute("aria-disabled") === "true" || act());
      return element;
    }

    /** Draw anew in another width, take a new address, let a first run play when it is seen; return what stops it. */
    watch() {
      let width = 0; // the height changes with what is drawn
      const sized = new ResizeObserver(([{ contentRect }]) => {
        if (contentRect.width !== width) this.draw();
        width = contentRect.width;
      });
      sized.observe(this.root);
      const seen = new IntersectionObserver(([entry]) => {
        if (!entry.isIntersecting) return;
        seen.disconnect();
        if (!this.player.experiment.log.length && !this.player.busy) this.start(this.play);
      });
      if (!this.calm) seen.observe(this.status);
      const restore = () => {
        const next = fromAddress(this.config);
        if (next && toAddress(next, this.config) !== toAddress(this.setting, this.config)) this.change(next);
      };
      addEventListener("hashchange", restore);
      return () => {
        this.player.playing = false;
        sized.disconnect();
        seen.disconnect();
        removeEventListener("hashchange", restore);
      };
    }

    // ------------------------------------------------ what is changed
    /** Take a value from an input; one that is not allowed is moved to the nearest that is, and the reader is told. */
    read(/** @type {string} */ name) {
      const { fields } = this.config;
      const { low, whole } = fields[name];
      const high = name === "s" ? Math.min(this.setting.k, fields.s.high) : fields[name].high;
      const text = this.inputs[name].value;
      const given = text === "" ? NaN : Number(text);
      const near = Number.isFinite(given) ? (whole ? Math.round(given) : given) : this.setting[name];
      const value = Math.min(Math.max(near, low), high);
      const next = { ...this.setting, [name]: value };
      const range = `${whole ? "a whole number " : ""}from ${low} to ${high}`;
      const told = value === given ? [] : [`${name} must be ${range}: it was set to ${value}.`];
      if (next.s > next.k) {
        next.s = next.k;
        told.push(`s was set to ${next.k}: no more classes can show a view.`);
      }
      this.change(next);
      this.note.textContent = told.join(" ");
    }

    /** Begin anew with another setting. @param {Setting} setting */
    change(setting) {
      this.player.playing = false;
      this.player = this.begin(setting);
      this.shown = "nets";
      this.shownClass = Math.min(this.shownClass, setting.k - 1);
      this.note.textContent = "";
      this.copied.textContent = "";
      if (this.config.address && this.host.isConnected)
        history.replaceState(null, "", `#lab?${toAddress(setting, this.config)}`);
      this.refresh();
    }

    // ------------------------------------------------ what is done
    undone() {
      return this.play.filter((phase) => !this.player.experiment.log.includes(phase));
    }

    /** Do phases, or go on. @param {string[]} [phases] */
    start(phases) {
      if (phases) this.player.start(phases);
      else this.player.resume();
      this.refresh();
    }

    pause() {
      this.player.playing = false;
      this.refresh();
    }

    oneStep() {
      const { player } = this;
      if (!player.busy) player.queue = [this.undone()[0] ?? this.play[this.play.length - 1]];
      player.playing = false;
      while (!player.advance());
      while (!player.measure());
      this.refresh();
    }

    /** A phase is done. @param {string} phase */
    finish(phase) {
      this.shown = RUNS[phase];
      this.status.textContent = sentence(this.player.experiment, phase);
      this.refresh();
    }

    /** @param {number} j */
    choose(j) {
      this.shownClass = j;
      this.draw();
      if (!this.player.work) this.tabulate();
    }

    /** @param {string} text */
    copy(text) {
      const told = (/** @type {string} */ words) => (this.copied.textContent = ` ${words}`);
      const promise = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error("no clipboard"));
      const where = text === this.python.textContent ? "above" : text;
      promise.then(
        () => told("Copied."),
        () => told(`Copy it from here: ${where}`),
      );
    }

    // ------------------------------------------------ what is seen
    /** Bring everything up to date. */
    refresh() {
      const { player, setting } = this;
      const { experiment, playing, busy } = player;
      for (const [name, input] of Object.entries(this.inputs)) input.value = String(setting[name]);
      this.preset.value = presetOf(setting, this.config) ?? OWN;
      const turn = (/** @type {Element} */ element, /** @type {boolean} */ off) =>
        element.setAttribute("aria-disabled", String(off));
      for (const [phase, each] of Object.entries(this.buttons))
        turn(each, playing || (phase in NEEDS && !player.ready(NEEDS[phase])));
      this.others.pause.textContent = playing || !busy ? "Pause" : "Go on";
      turn(this.others.pause, !busy);
      turn(this.others.step, playing);
      turn(this.others.all, playing || !this.undone().length);
      if (!experiment.log.length) {
        const { nets, k, M } = setting;
        const many = `${nets} ${nets > 1 ? "nets that differ in their seeds alone" : "net"}`;
        this.status.textContent = `${many}, ${k} classes with ${M} views each.${busy ? "" : " Press Train."}`;
      }
      const classes = Array.from({ length: setting.k }, (_, j) => html("option", { value: j }, String(j + 1)));
      if (this.pick.length !== setting.k) this.pick.replaceChildren(...classes);
      this.python.textContent = inPython(setting, experiment.log, this.config);
      this.draw();
      if (player.work) return;
      this.tabulate();
      this.tell(setting, experiment.results());
    }

    tabulate() {
      const { experiment, paths } = this.player;
      this.tables.replaceChildren(resultsTable(experiment.results()));
      for (const [name, run] of Object.entries(experiment.runs)) {
        const errors = name === "trained average" ? [] : experiment.errors(name);
        this.tables.append(viewsTable(NAMES[name], heldViews(this.setting, run.W), errors));
        const { moments } = paths[name];
        if (moments.length) this.tables.append(pathTable(NAMES[name], this.setting, moments, this.shownClass));
      }
    }

    /** Draw the run that is at work, or else the one that is asked for. */
    draw(shown = this.shown) {
      if (!this.host.isConnected) return;
      this.shown = shown;
      const { player, setting, bodies, shownClass } = this;
      if (player.work) this.shown = RUNS[player.queue[0]];
      const run = player.experiment.runs[this.shown];
      const moments = player.paths[this.shown]?.moments ?? [];
      const runs = Object.keys(NAMES).filter((name) => player.experiment.runs[name]);
      if (runs.length !== this.show.length)
        this.show.replaceChildren(...runs.map((name) => html("option", { value: name }, NAMES[name])));
      this.show.value = this.shown;
      this.pick.value = String(shownClass);
      this.progress.textContent = player.work ? `${player.queue[0]}, step ${player.steps}` : "";
      const choose = (/** @type {number} */ j) => this.choose(j);
      const held = bodies.grid && run ? heldViews(setting, run.W) : [];
      if (bodies.race) drawRace(bodies.race, setting, moments, shownClass);
      if (bodies.grid) drawGrid(bodies.grid, setting, held, player.playing, shownClass, choose);
      if (bodies.errors) drawErrors(bodies.errors, player.experiment);
      if (bodies.loss) drawLoss(bodies.loss, setting, moments);
    }
  }

  /**
   * Put a lab into an element.
   * @param {HTMLElement} host @param {Config} config
   * @param {Tell} [tell] called after each change of the setting or the results
   */
  function mount(host, config, tell = () => {}) {
    return new Lab(host, config, tell);
  }

  /**
   * The same for a notebook: the traits of mvtheory.lab.widget.Lab are the setting and the results.
   * @param {{model: any, el: HTMLElement}} widget
   */
  function render({ model, el }) {
    let own = false; // a change that comes from here
    const lab = mount(el, { ...model.get("config"), setting: model.get("values") }, (setting, rows) => {
      own = true;
      const known = rows.map((row) =>
        Object.fromEntries(Object.entries(row).map(([key, value]) => [key, Number.isNaN(value) ? null : value])),
      );
      model.set("values", setting);
      model.set("rows", known);
      model.save_changes();
      own = false;
    });
    model.on("change:values", () => own || lab.change(model.get("values")));
    return lab.remove;
  }

  // In a page, labs wait in elements with their configuration; in a module there is no current script.
  if (typeof document !== "undefined" && document.currentScript) {
    addEventListener("DOMContentLoaded", () => {
      for (const host of document.querySelectorAll("[data-lab]"))
        mount(/** @type {HTMLElement} */ (host), JSON.parse(host.getAttribute("data-lab") ?? ""));
    });
  }

  return Object.assign(mount, { render });
})();
