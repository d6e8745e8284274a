/* What the lab draws: charts of a width in pixels, and tables with the same numbers. */

/**
 * What charts show of nets in training: largest overlap with each view [net][k M], loss of each net, mean error.
 * @typedef {{step: number, loss: Float64Array, error: number, overlap: Float32Array[]}} Moment
 */

var multiViewCharts = (function () {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";
  const VIEWS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"]; // after Okabe and Ito
  const DASHES = ["none", "6 3", "2 3", "8 2 2 2", "1 2"]; // of the views' lines
  const COLOURS = {
    single: "#0072b2",
    ensemble: "#d55e00",
    distilled: "#009e73",
    "self-distilled": "#cc79a7",
    "trained average": "#cc0033",
  };

  /** @typedef {{[name: string]: string | number | boolean | EventListener}} Attributes */
  /** @typedef {(Node | string)[]} Content */

  /**
   * Make an element of HTML.
   * @template {keyof HTMLElementTagNameMap} K
   * @param {K} tag @param {Attributes} [attributes] @param {Content} content
   */
  function html(tag, attributes = {}, ...content) {
    return fill(document.createElement(tag), attributes, content);
  }

  /**
   * Make an element of SVG.
   * @template {keyof SVGElementTagNameMap} K
   * @param {K} tag @param {Attributes} [attributes] @param {Content} content
   */
  function svg(tag, attributes = {}, ...content) {
    return fill(document.createElementNS(SVG, tag), attributes, content);
  }

  /** @template {Element} E @param {E} element @param {Attributes} attributes @param {Content} content */
  function fill(element, attributes, content) {
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name.slice(2), value);
      else if (value !== false) element.setAttribute(name, value === true ? "" : String(value));
    }
    element.append(...content);
    return element;
  }

  /** @param {number[]} xs @param {number[]} ys */
  const points = (xs, ys) => xs.map((x, i) => `${x.toFixed(1)},${ys[i].toFixed(1)}`).join(" ");

  /** @param {number} length */
  const upTo = (length) => Array.from({ length }, (_, index) => index);

  /** At most about 100 of many moments, the last among them. @param {Moment[]} moments */
  function thinned(moments) {
    const stride = Math.ceil(moments.length / 100);
    return moments.filter((_, index) => (moments.length - 1 - index) % stride === 0);
  }

  /** A chart with axes; x and y map data to pixels. */
  class Chart {
    /**
     * @param {Element} element @param {number} height
     * @param {{x: number[], y: number[], ticks: [number, string][], names: [number, string][], label: string}} axes
     */
    constructor(element, height, { x, y, ticks, names, label }) {
      const width = Math.max(element.clientWidth, 200);
      const [left, right, top, bottom] = [42, 14, 8, 34];
      /** @param {number} value */
      this.x = (value) => left + ((value - x[0]) / (x[1] - x[0])) * (width - left - right);
      /** @param {number} value */
      this.y = (value) => height - bottom - ((value - y[0]) / (y[1] - y[0])) * (height - top - bottom);
      this.root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
      for (const [value, text] of ticks) {
        const level = this.y(value);
        this.root.append(svg("line", { x1: left, x2: width - right, y1: level, y2: level, class: "mv-rule" }));
        this.write(left - 6, level + 4, text, "end");
      }
      for (const [value, text] of names) this.write(this.x(value), height - bottom + 14, text);
      this.write(left, height - 4, label, "start");
      element.replaceChildren(this.root);
    }

    /** @param {number} x @param {number} y @param {string} text */
    write(x, y, text, anchor = "middle") {
      this.root.append(svg("text", { x, y, "text-anchor": anchor }, text));
    }

    /** @param {number[]} xs @param {number[]} ys @param {Attributes} attributes */
    line(xs, ys, attributes) {
      this.root.append(svg("polyline", { points: points(xs.map(this.x), ys.map(this.y)), fill: "none", ...attributes }));
    }

    /** @param {number} x @param {number} y @param {number} r @param {string} fill */
    dot(x, y, r, fill) {
      this.root.append(svg("circle", { cx: this.x(x), cy: this.y(y), r, fill }));
    }
  }

  /**
   * The race of the views of a class, net by net.
   * @param {Element} element @param {Setting} setting @param {Moment[]} all @param {number} shownClass
   */
  function drawRace(element, { M, nets }, all, shownClass) {
    const moments = thinned(all);
    const last = Math.max(moments.at(-1)?.step ?? 1, 1);
    const own = (/** @type {Float32Array} */ overlap) => overlap.slice(shownClass * M, (shownClass + 1) * M);
    const top = Math.max(1e-9, ...(moments.at(-1)?.overlap ?? []).flatMap((overlap) => [...own(overlap)]));
    const xs = moments.map(({ step }) => (100 * step) / last);
    const races = upTo(nets).map((net) => {
      const box = svg("svg", { viewBox: "0 0 100 60", preserveAspectRatio: "none", "aria-hidden": "true" });
      for (let l = 0; l < M; l++) {
        const ys = moments.map(({ overlap }) => 58 - (56 * Math.min(overlap[net][shownClass * M + l], top)) / top);
        const looks = { class: "mv-line", stroke: VIEWS[l], "stroke-dasharray": DASHES[l] };
        box.append(svg("polyline", { points: points(xs, ys), ...looks }));
      }
      return html("div", {}, box, html("span", {}, `net ${net + 1}`));
    });
    const names = upTo(M).map((l) => html("span", { style: `--mv-colour: ${VIEWS[l]}` }, `view ${l + 1}`));
    element.replaceChildren(...races, html("p", { class: "mv-legend" }, ...names));
  }

  /**
   * The views that nets hold of each class, and in the last row those that at least one of them holds.
   * @param {Element} element @param {Setting} setting @param {boolean[][][]} held
   * @param {boolean} moving whether it will soon be drawn again: a large grid gets its numbers only once it stands still
   * @param {number} shownClass @param {(j: number) => void} choose
   */
  function drawGrid(element, { k, M, nets }, held, moving, shownClass, choose) {
    const width = Math.max(element.clientWidth, 200);
    const left = 34;
    const size = Math.min((width - left - 6) / k, 30);
    const height = 18 + size * (nets + 1) + 8;
    const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    const roomy = size >= 14;
    const numbered = roomy && !(moving && k * nets > 200);
    const fills = upTo(M).map(() => ""); // one path for each view
    const write = (/** @type {string} */ text, /** @type {Attributes} */ place) => root.append(svg("text", place, text));
    for (let j = 0; j < k; j++) {
      const place = { x: left + size * (j + 0.5), y: 12, "text-anchor": "middle" };
      if (roomy || j % 5 === 4) write(String(j + 1), { ...place, class: j === shownClass ? "mv-chosen" : "" });
    }
    const rows = held.length ? [...held, upTo(k).map((j) => upTo(M).map((l) => held.some((net) => net[j][l])))] : [];
    for (let net = 0; net <= nets; net++) {
      const y = 18 + size * net + (net === nets ? 8 : 0);
      if (roomy || net % 5 === 4 || net === nets)
        write(net === nets ? "all" : String(net + 1), { x: left - 5, y: y + size / 2 + 4, "text-anchor": "end" });
      rows[net]?.forEach((own, j) => {
        const views = upTo(M).filter((l) => own[l]);
        const wide = (size - 1) / Math.max(views.length, 1);
        views.forEach((l, place) => {
          const x = left + size * j + wide * place;
          fills[l] += `M${x.toFixed(1)},${y.toFixed(1)}h${wide.toFixed(1)}v${(size - 1).toFixed(1)}h${(-wide).toFixed(1)}z`;
          if (!numbered || wide < 9) return;
          const middle = { x: x + wide / 2, y: y + size / 2 + 4, "text-anchor": "middle", fill: l ? "#000" : "#fff" };
          write(String(l + 1), middle);
        });
      });
    }
    root.prepend(...fills.map((d, l) => svg("path", { d, fill: VIEWS[l] })));
    root.addEventListener("click", (event) => {
      const j = Math.floor((event.clientX - root.getBoundingClientRect().left - left) / size);
      if (j >= 0 && j < k) choose(j);
    });
    element.replaceChildren(root);
  }

  /**
   * The errors beside what the lottery predicts.
   * @param {Element} element @param {InstanceType<typeof multiViewEngine.Experiment>} experiment
   */
  function drawErrors(element, experiment) {
    const { nets } = experiment.setting;
    const gap = Math.max(nets * 0.22, 1);
    const students = /** @type {const} */ (["trained average", "distilled", "self-distilled"]);
    const chart = new Chart(element, 240, {
      x: [0.4, nets + 3.6 * gap],
      y: [0, 1],
      ticks: [0, 0.25, 0.5, 0.75, 1].map((value) => [value, String(value)]),
      names: [...new Set([1, Math.ceil(nets / 2), nets])].map((size) => [size, String(size)]),
      label: "nets in the average",
    });
    const sizes = upTo(nets).map((index) => index + 1);
    const lotteries = experiment.generation + 1; // of each net
    const dashes = { class: "mv-theory", "stroke-dasharray": "4 3" };
    chart.line(
      sizes,
      sizes.map((size) => experiment.predicted(lotteries * size)),
      dashes,
    );
    /** @param {number} x @param {number[]} errors @param {string} colour */
    const dots = (x, errors, colour) =>
      errors.forEach((error, net) => chart.dot(x + (net / Math.max(errors.length - 1, 1) - 0.5) * 0.5, error, 3, colour));
    if (experiment.runs.nets) dots(1, experiment.errors("nets"), COLOURS.single);
    experiment.averages?.forEach((error, index) => index && chart.dot(index + 1, error, 5, COLOURS.ensemble));
    students.forEach((name, index) => {
      const x = nets + (index + 1) * gap;
      const predicted = experiment.predicted([1, nets * lotteries, lotteries + 1][index]);
      chart.write(chart.x(x), index === 1 ? 220 : 236, ["trained", "distilled", "self"][index]);
      chart.line([x - gap * 0.4, x + gap * 0.4], [predicted, predicted], dashes);
      if (experiment.runs[name]) dots(x, experiment.errors(name), COLOURS[name]);
    });
  }

  /**
   * Loss of each net, and their mean training error, both logarithmic.
   * @param {Element} element @param {Setting} setting @param {Moment[]} all
   */
  function drawLoss(element, { nets }, all) {
    const moments = thinned(all);
    const last = Math.max(moments.at(-1)?.step ?? 10, 10);
    const depth = (/** @type {number} */ value) => Math.min(Math.log10(Math.max(value, 1e-3)), 1);
    const chart = new Chart(element, 200, {
      x: [0, last],
      y: [-3, 1],
      ticks: [-3, -2, -1, 0, 1].map((value) => [value, String(10 ** value)]),
      names: [0, Math.round(last / 2), last].map((value) => [value, String(value)]),
      label: "step",
    });
    if (!moments.length) return;
    const xs = moments.map(({ step }) => step);
    for (let net = 0; net < nets; net++) {
      const losses = moments.map(({ loss }) => depth(loss[net]));
      chart.line(xs, losses, { stroke: COLOURS.single, class: "mv-thin" });
    }
    const errors = moments.map(({ error }) => depth(error));
    chart.line(xs, errors, { stroke: COLOURS.ensemble, class: "mv-line", "stroke-dasharray": "5 3" });
  }

  /**
   * A table in a box that scrolls.
   * @param {string} name @param {string} caption @param {string[]} heads @param {string[][]} rows
   */
  function table(name, caption, heads, rows) {
    const line = (/** @type {Node[]} */ cells) => html("tr", {}, ...cells);
    const whole = html("table", {}, html("caption", {}, caption), line(heads.map((text) => html("th", { scope: "col" }, text))));
    whole.append(...rows.map((texts) => line(texts.map((text) => html("td", {}, text)))));
    return html("div", { class: "mv-scroll", tabindex: 0, role: "region", "aria-label": name }, whole);
  }

  /** A number, or a dash where there is none. @param {number} value @param {number} digits */
  const number = (value, digits) => (Number.isNaN(value) ? "–" : value.toFixed(digits));

  /** @param {Row[]} rows */
  function resultsTable(rows) {
    return table(
      "Results",
      "Errors on single-view inputs; loss, training error and steps are means over the nets",
      ["method", "error", "predicted", "loss", "training error", "steps"],
      rows.map(({ method, error, predicted, loss, train_error, steps }) => [
        method,
        ...[error, predicted, loss, train_error].map((value) => number(value, 4)),
        number(steps, 1),
      ]),
    );
  }

  /**
   * The views that nets hold, and their errors if each has one.
   * @param {string} name of the nets @param {boolean[][][]} held @param {number[]} errors
   */
  function viewsTable(name, held, errors) {
    const heads = ["net", ...(errors.length ? ["error"] : []), ...held[0].map((_, j) => String(j + 1))];
    const rows = held.map((classes, net) => [
      String(net + 1),
      ...errors.slice(net, net + 1).map((error) => error.toFixed(3)),
      ...classes.map((own) => own.flatMap((has, l) => (has ? [l + 1] : [])).join("+") || "–"),
    ]);
    return table(`Views of the ${name}`, `The views that the ${name} hold, class by class`, heads, rows);
  }

  /**
   * About ten moments of a training: loss, error, and the race of a class.
   * @param {string} name of the nets @param {Setting} setting @param {Moment[]} moments @param {number} shownClass
   */
  function pathTable(name, { M, nets }, moments, shownClass) {
    const { mean } = multiViewEngine;
    const chosen = [...new Set(upTo(10).map((each) => Math.round((each * (moments.length - 1)) / 9)))];
    const races = upTo(nets).map((net) => `net ${net + 1}`);
    const rows = chosen.map((at) => {
      const { step, loss, error, overlap } = moments[at];
      const views = overlap.map((own) => upTo(M).map((l) => own[shownClass * M + l].toFixed(1)));
      return [String(step), mean(loss).toFixed(4), error.toFixed(4), ...views.map((each) => each.join(" : "))];
    });
    return table(
      `Training of the ${name}`,
      `The ${name} in training: mean loss, mean training error, and the overlaps with the views of class ${shownClass + 1}`,
      ["step", "loss", "error", ...races],
      rows,
    );
  }

  return { html, drawRace, drawGrid, drawErrors, drawLoss, resultsTable, viewsTable, pathTable };
})();
