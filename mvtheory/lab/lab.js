/* The lab: nets that learn one view of each class, trained in the page. One classic script, without any other.
 *
 * The first half is the engine. It computes the numbers of mvtheory/lab/reference.py, to the last bit: doubles, only
 * + - * / and the square root, every sum in the order of the classes, views, neurons or inputs. The second half draws.
 */
var multiViewLab = (function () {
  "use strict";

  /**
   * Everything that a run depends on; described in mvtheory/lab/setting.py.
   * @typedef {{k: number, M: number, q: number, varrho: number, sigma_0: number, s: number, weak: number,
   *   Gamma: number, rho: number, favour: number, N: number, m: number, nets: number, seed: number, steps: number,
   *   stop_loss: number, eta: number, max_change: number, from_start: boolean, threshold: number, cut: number,
   *   slack: number, weight: number, student_steps: number, student_stop_loss: number, student_eta: number,
   *   student_max_change: number, C_p: number, C_weak: number, main_low: number, main_high: number,
   *   n_test: number}} Setting
   *
   * Inputs: labels, strengths of a patch of each view of the label [n, M], and the views j M + l of other classes
   * that each input shows, at strength z a patch: those of input i are entry[start[i]] to entry[start[i + 1] - 1].
   * @typedef {{n: number, y: Int32Array, own: Float64Array, z: number, start: Int32Array, entry: number[]}} Inputs
   *
   * How long and in which steps: see mvtheory.training.Schedule.
   * @typedef {{steps: number, stop_loss: number, eta: number, max_change: number}} Schedule
   *
   * Outputs of teachers, less their baselines [n, k], one for each student; a class is on from `threshold`.
   * @typedef {{G: Float64Array[], threshold: number}} Teacher
   *
   * A stack of nets in training: weights [k, M, m] of each, and once they are trained their errors on test inputs.
   * @typedef {{W: Float64Array[], loss: Float64Array, error: Float64Array, steps: Int32Array, step: number,
   *   errors?: number[]}} Run
   *
   * A row of the table of results.
   * @typedef {{method: string, error: number, predicted: number, loss: number, train_error: number, steps: number}} Row
   */

  // ---------------------------------------------------------------------------------------------- arithmetic

  const LN2_HIGH = 0.6931471803691238;
  const LN2_LOW = 1.9082149292705877e-10;
  const LOG2_E = 1.4426950408889634;
  const SQRT2 = 1.4142135623730951;

  const HALVES = new Float64Array(1012);
  for (let j = 0, half = 1; j < HALVES.length; j++, half *= 0.5) HALVES[j] = half;

  const FACTORIALS = new Float64Array(14); // their inverses
  for (let j = 0, product = 1; j < 14; product *= ++j) FACTORIALS[j] = 1 / product;

  /** The exponential of a number that is not positive. @param {number} x */
  function exp(x) {
    x = Math.max(x, -700);
    const j = Math.floor(0.5 - x * LOG2_E);
    const r = x + j * LN2_HIGH + j * LN2_LOW;
    let p = FACTORIALS[13];
    for (let term = 12; term >= 0; term--) p = p * r + FACTORIALS[term];
    return p * HALVES[j];
  }

  /** The logarithm of a positive number. @param {number} x */
  function log(x) {
    let e = 0;
    for (; x >= 1; x *= 0.5) e++;
    for (; x < 0.5; x *= 2) e--;
    if (x * SQRT2 < 1) {
      x *= 2;
      e--;
    }
    const t = (x - 1) / (x + 1);
    const square = t * t;
    let p = 1 / 21;
    for (let odd = 19; odd > 0; odd -= 2) p = p * square + 1 / odd;
    return e * LN2_HIGH + (2 * t * p + e * LN2_LOW);
  }

  /** Chris Doty-Humphrey's generator sfc32. */
  class Random {
    /** @param {number} seed @param {number} stream */
    constructor(seed, stream) {
      this.a = 0;
      this.b = seed;
      this.c = stream;
      this.count = 1;
      this.spare = NaN;
      for (let i = 0; i < 12; i++) this.bits();
    }

    bits() {
      const total = (this.a + this.b + this.count) >>> 0;
      const turned = (this.c << 21) | (this.c >>> 11);
      this.a = this.b ^ (this.b >>> 9);
      this.b = (this.c + (this.c << 3)) >>> 0;
      this.c = (turned + total) >>> 0;
      this.count = (this.count + 1) >>> 0;
      return total;
    }

    uniform() {
      const high = this.bits() >>> 5;
      return (high * 67108864 + (this.bits() >>> 6)) / 9007199254740992;
    }

    normal() {
      if (!Number.isNaN(this.spare)) {
        const value = this.spare;
        this.spare = NaN;
        return value;
      }
      let u = 0;
      let v = 0;
      let square = 0;
      while (!(square > 0 && square < 1)) {
        u = 2 * this.uniform() - 1;
        v = 2 * this.uniform() - 1;
        square = u * u + v * v;
      }
      const scale = Math.sqrt((-2 * log(square)) / square);
      this.spare = v * scale;
      return u * scale;
    }
  }

  // ---------------------------------------------------------------------------------------------- data and nets

  /** @param {Setting} setting @param {number} n @param {boolean} single single-view inputs @returns {Inputs} */
  function drawInputs(setting, n, single) {
    const { k, M } = setting;
    const random = new Random(setting.seed, single ? 1 : 0);
    const y = new Int32Array(n);
    const own = new Float64Array(n * M);
    const start = new Int32Array(n + 1);
    const entry = [];
    for (let i = 0; i < n; i++) {
      y[i] = i % k;
      const kept = Math.floor(i / k) % M;
      for (let l = 0; l < M; l++) {
        let z = setting.main_low + (setting.main_high - setting.main_low) * random.uniform();
        if (l === 0) z *= setting.favour;
        own[i * M + l] = (single && l !== kept ? setting.rho : z) / setting.C_p;
      }
      for (let view = 0; view < k * M; view++) {
        if (random.uniform() < setting.s / k && Math.floor(view / M) !== y[i]) entry.push(view);
      }
      start[i + 1] = entry.length;
    }
    return { n, y, own, z: (single ? setting.Gamma : setting.weak) / setting.C_weak, start, entry };
  }

  /** A net of a role at its initialisation. @param {Setting} setting @param {number} role @param {number} net */
  function drawNet(setting, role, net) {
    const random = new Random(setting.seed, 1000 * role + net);
    const W = new Float64Array(setting.k * setting.M * setting.m);
    for (let i = 0; i < W.length; i++) W[i] = setting.sigma_0 * random.normal();
    return W;
  }

  /** Forward and backward through one net on given inputs. */
  class Pass {
    /** @param {Setting} setting @param {Inputs} data */
    constructor(setting, data) {
      const { k, M, m } = setting;
      this.setting = setting;
      this.data = data;
      this.F = new Float64Array(data.n * k);
      this.dF = new Float64Array(data.n * k);
      this.weak = new Float64Array(k * M);
      this.weakSlope = new Float64Array(k * M * m);
      this.ownSlope = new Float64Array(data.n * M * m);
    }

    /** What the m neurons make of strength z of a view: the sum; their slopes go to `slopes`, from `to` on. */
    neurons(W, from, z, slopes, to) {
      const { q, varrho, m } = this.setting;
      let sum = 0;
      for (let r = 0; r < m; r++) {
        const x = W[from + r] * z;
        const above = Math.max(x, 0);
        if (q === 1) {
          slopes[to + r] = x > 0 ? 1 : 0;
          sum += above;
          continue;
        }
        const t = Math.min(above, varrho);
        const ratio = t / varrho;
        let slope = ratio;
        for (let power = 2; power < q; power++) slope *= ratio;
        slopes[to + r] = slope;
        sum += above - t + (t * slope) / q;
      }
      return sum;
    }

    /** Put the outputs into F [n, k]. @param {Float64Array} W */
    forward(W) {
      const { k, M, m, C_p, C_weak } = this.setting;
      const { n, y, own, z, start, entry } = this.data;
      const { F, weak } = this;
      for (let view = 0; view < k * M; view++) {
        weak[view] = this.neurons(W, view * m, z, this.weakSlope, view * m) * C_weak;
      }
      F.fill(0);
      for (let i = 0; i < n; i++) {
        for (let e = start[i]; e < start[i + 1]; e++) F[i * k + Math.floor(entry[e] / M)] += weak[entry[e]];
        let sum = 0;
        for (let l = 0; l < M; l++) {
          const at = i * M + l;
          sum += this.neurons(W, (y[i] * M + l) * m, own[at], this.ownSlope, at * m) * C_p;
        }
        F[i * k + y[i]] = sum;
      }
      return F;
    }

    /** The gradient in the weights, from dF. @param {Float64Array} W  */
    backward(W) {
      const { k, M, m, C_p, C_weak } = this.setting;
      const { n, y, own, z, start, entry } = this.data;
      const { dF, weakSlope, ownSlope } = this;
      const sums = new Float64Array(k * M);
      for (let i = 0; i < n; i++) {
        for (let e = start[i]; e < start[i + 1]; e++) sums[entry[e]] += dF[i * k + Math.floor(entry[e] / M)];
      }
      const gradient = new Float64Array(W.length);
      for (let i = 0; i < gradient.length; i++) {
        gradient[i] = weakSlope[i] * (sums[Math.floor(i / m)] * (z * C_weak));
      }
      for (let i = 0; i < n; i++) {
        for (let l = 0; l < M; l++) {
          const factor = dF[i * k + y[i]] * (own[i * M + l] * C_p);
          const from = (i * M + l) * m;
          const to = (y[i] * M + l) * m;
          for (let r = 0; r < m; r++) gradient[to + r] += ownSlope[from + r] * factor;
        }
      }
      return gradient;
    }
  }

  // ---------------------------------------------------------------------------------------------- objectives

  /** Whether another class of input i has at least the output of its label. */
  function wrong(F, i, k, label) {
    for (let j = 0; j < k; j++) if (j !== label && F[i * k + j] >= F[i * k + label]) return true;
    return false;
  }

  /** Loss and error of outputs F [n, k] on the labels; the gradient in F, times n, goes to dF. */
  function crossEntropy(F, dF, { n, y }, k) {
    const losses = new Float64Array(n);
    let errors = 0;
    for (let i = 0; i < n; i++) {
      const from = i * k;
      let top = F[from];
      for (let j = 1; j < k; j++) top = Math.max(top, F[from + j]);
      const absent = exp(-top); // most outputs are 0
      let total = 0;
      for (let j = from; j < from + k; j++) total += dF[j] = F[j] === 0 ? absent : exp(F[j] - top);
      losses[i] = log(total) - (F[from + y[i]] - top);
      for (let j = from; j < from + k; j++) dF[j] /= total;
      dF[from + y[i]] -= 1;
      if (wrong(F, i, k, y[i])) errors++;
    }
    return { losses, error: errors / n };
  }

  /** Add the on/off rule of mvtheory.distillation to losses and gradient. */
  function onOff(F, dF, losses, G, threshold, { k, cut, slack, weight }) {
    for (let i = 0; i < losses.length; i++) {
      let penalty = 0;
      for (let j = i * k; j < i * k + k; j++) {
        const on = threshold <= G[j];
        const x = F[j] / cut;
        const up = on ? Math.max(1 - x, 0) : 0;
        const over = on ? 0 : Math.max(x - slack, 0);
        const down = Math.min(over, 1);
        penalty += (up * up) / 2 + down * (over - down / 2);
        dF[j] += weight * ((down - up) / cut);
      }
      losses[i] += weight * penalty;
    }
  }

  /** The outputs less the baseline of each class, a low quantile: see mvtheory.distillation.OnOff. */
  function lessBaseline(setting, G) {
    const { k, M } = setting;
    const n = G.length / k;
    let blank = 1;
    for (let l = 0; l < M; l++) blank *= 1 - setting.s / k;
    const result = new Float64Array(G.length);
    for (let j = 0; j < k; j++) {
      const column = Float64Array.from({ length: n }, (_, i) => G[i * k + j]).sort();
      const baseline = column[Math.floor((blank / 2) * n)];
      for (let i = 0; i < n; i++) result[i * k + j] = G[i * k + j] - baseline;
    }
    return result;
  }

  /** Their uniform average. @param {Float64Array[]} outputs */
  function average(outputs) {
    const mean = new Float64Array(outputs[0].length);
    for (const F of outputs) for (let i = 0; i < mean.length; i++) mean[i] += F[i];
    for (let i = 0; i < mean.length; i++) mean[i] /= outputs.length;
    return mean;
  }

  // ---------------------------------------------------------------------------------------------- training

  /** The length of each neuron [k, m]. @param {Float64Array} W @param {Setting} setting */
  function lengths(W, { k, M, m }) {
    const result = new Float64Array(k * m);
    for (let j = 0; j < k; j++) {
      for (let r = 0; r < m; r++) {
        let square = 0;
        for (let l = 0; l < M; l++) square += W[(j * M + l) * m + r] * W[(j * M + l) * m + r];
        result[j * m + r] = Math.sqrt(square);
      }
    }
    return result;
  }

  /** The largest step that changes no neuron by more than its share. */
  function stepSize(W, gradient, schedule, setting) {
    const length = lengths(W, setting);
    const change = lengths(gradient, setting);
    let ratio = Infinity;
    for (let i = 0; i < length.length; i++) if (change[i] > 0) ratio = Math.min(ratio, length[i] / change[i]);
    return Math.min(schedule.max_change * ratio, schedule.eta);
  }

  function descend(W, gradient, eta) {
    for (let i = 0; i < W.length; i++) W[i] -= eta * gradient[i];
  }

  /**
   * Train nets, each for itself, on the labels, and on a teacher if there is one. Yields after the work of one net:
   * whether it was the last of a step.
   * @param {Setting} setting @param {Inputs} data @param {Run} run @param {Schedule} schedule
   * @param {Teacher | null} [teacher]
   */
  function* train(setting, data, run, schedule, teacher = null) {
    const pass = new Pass(setting, data);
    let alive = run.W.map((_, net) => net);
    for (let step = 0; alive.length; step++) {
      const going = [];
      for (const net of alive) {
        const W = run.W[net];
        const F = pass.forward(W);
        const { losses, error } = crossEntropy(F, pass.dF, data, setting.k);
        if (teacher) onOff(F, pass.dF, losses, teacher.G[net], teacher.threshold, setting);
        note(run, net, losses, error);
        if (step < schedule.steps && (run.loss[net] >= schedule.stop_loss || error > 0)) {
          for (let i = 0; i < pass.dF.length; i++) pass.dF[i] /= data.n;
          const gradient = pass.backward(W);
          descend(W, gradient, stepSize(W, gradient, schedule, setting));
          run.steps[net]++;
          going.push(net);
        }
        if (net === alive.at(-1)) run.step++;
        yield net === alive.at(-1);
      }
      alive = going;
    }
  }

  /**
   * Train the average of nets as one net; yields as above.
   * @param {Setting} setting @param {Inputs} data @param {Run} run
   */
  function* trainAverage(setting, data, run) {
    const passes = run.W.map(() => new Pass(setting, data));
    const dF = new Float64Array(data.n * setting.k);
    for (let step = 0; ; step++) {
      for (let net = 0; net < passes.length; net++) {
        passes[net].forward(run.W[net]);
        yield false;
      }
      const { losses, error } = crossEntropy(average(passes.map((pass) => pass.F)), dF, data, setting.k);
      for (let net = 0; net < passes.length; net++) note(run, net, losses, error);
      if (step === setting.steps || (run.loss[0] < setting.stop_loss && error === 0)) return;
      const gradients = [];
      for (let net = 0; net < passes.length; net++) {
        for (let i = 0; i < dF.length; i++) passes[net].dF[i] = dF[i] / data.n / passes.length;
        gradients.push(passes[net].backward(run.W[net]));
        yield false;
      }
      const eta = Math.min(...gradients.map((gradient, net) => stepSize(run.W[net], gradient, setting, setting)));
      gradients.forEach((gradient, net) => descend(run.W[net], gradient, eta));
      run.steps.fill(step + 1);
      run.step++;
      yield true;
    }
  }

  /** Keep mean loss and error of a net. */
  function note(run, net, losses, error) {
    let sum = 0;
    for (const loss of losses) sum += loss;
    run.loss[net] = sum / losses.length;
    run.error[net] = error;
  }

  // ---------------------------------------------------------------------------------------------- experiments

  /** The nets of a role before training; yields after each. @param {Setting} setting @param {number} role */
  function* newRun(setting, role) {
    const { nets } = setting;
    const [loss, error, steps] = [new Float64Array(nets), new Float64Array(nets), new Int32Array(nets)];
    /** @type {Run} */
    const run = { W: [], loss, error, steps, step: 0 };
    for (let net = 0; net < nets; net++) {
      run.W.push(drawNet(setting, role, net));
      yield false;
    }
    return run;
  }

  /**
   * The outputs of each net on inputs; yields after each.
   * @param {Setting} setting @param {Inputs} data @param {Float64Array[]} nets
   */
  function* outputs(setting, data, nets) {
    const pass = new Pass(setting, data);
    const F = [];
    for (const W of nets) {
      F.push(pass.forward(W).slice());
      yield false;
    }
    return F;
  }

  /** The result of a generator, without a pause. @template T @param {Generator<boolean, T>} work @returns {T} */
  function atOnce(work) {
    for (;;) {
      const { value, done } = work.next();
      if (done) return value;
    }
  }

  /** The share of wrong answers. @param {Setting} setting @param {Inputs} data @param {Float64Array} F */
  function errorRate({ k }, { n, y }, F) {
    let errors = 0;
    for (let i = 0; i < n; i++) if (wrong(F, i, k, y[i])) errors++;
    return errors / n;
  }

  /** @param {ArrayLike<number>} values */
  function mean(values) {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[i];
    return sum / values.length;
  }

  /** @param {number} base @param {number} exponent */
  function power(base, exponent) {
    let product = base;
    for (let i = 1; i < exponent; i++) product *= base;
    return product;
  }

  /** Data and nets of a setting, and what was done with them. */
  class Experiment {
    /** @param {Setting} setting */
    constructor(setting) {
      this.setting = setting;
      this.data = drawInputs(setting, setting.N, false);
      this.test = drawInputs(setting, setting.n_test, true);
      this.generation = 0;
      /** @type {string[]} */
      this.log = []; // phases that are done
      /** @type {Object<string, Run>} */
      this.runs = {};
      /** @type {number[] | null} */
      this.averages = null; // error of averages of 1, 2, ... nets
    }

    /** Do what a button does, in slices: yields whether a step of training is complete. @param {string} phase */
    *phase(phase) {
      const { setting, data, runs } = this;
      if (phase === "train") {
        runs.nets = yield* newRun(setting, 1);
        yield* train(setting, data, runs.nets, schedules(setting).labels);
        runs.nets.errors = yield* this.measure("nets");
      } else if (phase === "average") {
        yield* this.average();
      } else if (phase === "train the average") {
        runs["trained average"] = yield* newRun(setting, 1);
        yield* trainAverage(setting, data, runs["trained average"]);
        runs["trained average"].errors = yield* this.measure("trained average");
      } else if (phase === "distil") {
        const G = lessBaseline(setting, average(yield* outputs(setting, data, runs.nets.W)));
        const teacher = { G: runs.nets.W.map(() => G), threshold: setting.threshold / setting.nets };
        yield* this.student("distilled", 2, teacher, setting.from_start);
      } else if (phase === "self-distil") {
        const G = [];
        for (const F of yield* outputs(setting, data, runs.nets.W)) {
          G.push(lessBaseline(setting, F));
          yield false;
        }
        yield* this.student("self-distilled", 3 + this.generation, { G, threshold: setting.threshold }, false);
      } else {
        this.runs = { nets: runs["self-distilled"] };
        this.averages = null;
        this.generation++;
      }
      this.log.push(phase);
    }

    *student(name, role, teacher, fromStart) {
      const { setting, data } = this;
      const { labels, distillation } = schedules(setting);
      const run = (this.runs[name] = yield* newRun(setting, role));
      if (!fromStart) yield* train(setting, data, run, labels);
      yield* train(setting, data, run, distillation, teacher);
      run.errors = yield* this.measure(name);
    }

    /** Errors of averages of L nets, means over the L nets that follow each. */
    *average() {
      const { setting, test } = this;
      const F = yield* outputs(setting, test, this.runs.nets.W);
      const errors = F.map(() => new Float64Array(F.length));
      for (let first = 0; first < F.length; first++) {
        const total = new Float64Array(F[0].length);
        for (let size = 0; size < F.length; size++) {
          const next = F[(first + size) % F.length];
          for (let i = 0; i < total.length; i++) total[i] += next[i];
          errors[size][first] = errorRate(setting, test, total);
        }
        yield false;
      }
      this.averages = errors.map(mean);
    }

    /** Measure the error of each net on test inputs; of a trained average, that of the average. @param {string} name */
    *measure(name) {
      const F = yield* outputs(this.setting, this.test, this.runs[name].W);
      return (name === "trained average" ? [average(F)] : F).map((G) => errorRate(this.setting, this.test, G));
    }

    /** The same, as it is at present. @param {string} name */
    errors(name) {
      return this.runs[name].errors ?? atOnce(this.measure(name));
    }

    /** What the lottery predicts for the error of what so many independent nets hold. @param {number} nets */
    predicted(nets) {
      return power(1 - 1 / this.setting.M, nets);
    }

    /** The rows of the table, in the order of mvtheory.lab.reference. @returns {Row[]} */
    results() {
      const { runs, generation, setting } = this;
      /** @type {[string, string, number][]} */
      const heads = [
        ["nets", "single net", generation + 1],
        ["trained average", "trained average", 1],
        ["distilled", "distilled net", setting.nets * (generation + 1)],
        ["self-distilled", "self-distilled net", generation + 2],
      ];
      const rows = [];
      for (const [name, method, nets] of heads) {
        if (!runs[name]) continue;
        const { loss, error, steps } = runs[name];
        const part = { loss: mean(loss), train_error: mean(error), steps: mean(steps) };
        rows.push({ method, error: mean(this.errors(name)), predicted: this.predicted(nets), ...part });
        if (name !== "nets" || !this.averages) continue;
        for (let size = 2; size <= setting.nets; size++) {
          const [measured, predicted] = [this.averages[size - 1], this.predicted(nets * size)];
          rows.push({
            method: `average of ${size}`,
            error: measured,
            predicted,
            loss: NaN,
            train_error: NaN,
            steps: NaN,
          });
        }
      }
      return rows;
    }
  }

  /** @param {Setting} setting */
  function schedules(setting) {
    const { steps, stop_loss, eta, max_change } = setting;
    const distillation = {
      steps: setting.student_steps,
      stop_loss: setting.student_stop_loss,
      eta: setting.student_eta,
      max_change: setting.student_max_change,
    };
    return { labels: { steps, stop_loss, eta, max_change }, distillation };
  }

  /** Which views each class of a net holds: those with more than a tenth of the largest output [k, M]. */
  function heldViews(setting, W) {
    const { k, M, m } = setting;
    const pass = new Pass(setting, {
      n: 0,
      y: new Int32Array(0),
      own: new Float64Array(0),
      z: 1,
      start: new Int32Array(1),
      entry: [],
    });
    const output = Array.from({ length: k * M }, (_, view) => pass.neurons(W, view * m, 1, pass.weakSlope, view * m));
    return Array.from({ length: k }, (_, j) => {
      const own = output.slice(j * M, (j + 1) * M);
      return own.map((value) => value > 0.1 * Math.max(...own));
    });
  }

  // ---------------------------------------------------------------------------------------------- drawing

  const SVG = "http://www.w3.org/2000/svg";
  const VIEWS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"]; // after Okabe and Ito
  const COLOURS = {
    single: "#0072b2",
    ensemble: "#d55e00",
    distilled: "#009e73",
    "self-distilled": "#cc79a7",
    "trained average": "#cc0033",
  };
  const NAMES = {
    nets: "nets",
    "trained average": "nets of the trained average",
    distilled: "distilled nets",
    "self-distilled": "self-distilled nets",
  };

  /**
   * Make an element of HTML.
   * @param {string} tag @param {Object<string, any>} [attributes] @param {...(Node|string)} content
   */
  function html(tag, attributes = {}, ...content) {
    return fill(document.createElement(tag), attributes, content);
  }

  /**
   * Make an element of SVG.
   * @param {string} tag @param {Object<string, any>} [attributes] @param {...(Node|string)} content
   */
  function svg(tag, attributes = {}, ...content) {
    return fill(document.createElementNS(SVG, tag), attributes, content);
  }

  function fill(element, attributes, content) {
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...content);
    return element;
  }

  const percent = (share) => `${(100 * share).toFixed(1)}%`;
  const points = (xs, ys) => Array.from(xs, (x, i) => `${x.toFixed(1)},${ys[i].toFixed(1)}`).join(" ");

  /** A chart of its element's own width in pixels, with axes; x and y map data to pixels. */
  class Chart {
    constructor(element, height, { x, y, ticks, names, label }) {
      const width = Math.max(element.clientWidth, 200);
      const [left, right, top, bottom] = [42, 14, 8, 34];
      this.x = (value) => left + ((value - x[0]) / (x[1] - x[0])) * (width - left - right);
      this.y = (value) => height - bottom - ((value - y[0]) / (y[1] - y[0])) * (height - top - bottom);
      this.root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
      for (const [value, text] of ticks) {
        this.add("line", { x1: left, x2: width - right, y1: this.y(value), y2: this.y(value), class: "mv-rule" });
        this.add("text", { x: left - 6, y: this.y(value) + 4, "text-anchor": "end" }, text);
      }
      for (const [value, text] of names)
        this.add("text", { x: this.x(value), y: height - bottom + 14, "text-anchor": "middle" }, text);
      this.add("text", { x: left, y: height - 4 }, label);
      element.replaceChildren(this.root);
    }

    add(tag, attributes, ...content) {
      this.root.append(svg(tag, attributes, ...content));
    }

    line(xs, ys, attributes) {
      this.add("polyline", { points: points(xs.map(this.x), ys.map(this.y)), fill: "none", ...attributes });
    }

    dot(x, y, r, fill) {
      this.add("circle", { cx: this.x(x), cy: this.y(y), r, fill });
    }
  }

  /** The records of a run from which charts are drawn, thinned so that they stay few. */
  class History {
    constructor() {
      this.records = [];
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
      this.records.push({ step: run.step, loss: run.loss.slice(), error: mean(run.error), overlap });
      if (this.records.length < 300) return;
      this.stride *= 2;
      this.records = this.records.filter(({ step }) => step % this.stride === 0);
    }
  }

  // ---------------------------------------------------------------------------------------------- the lab

  const PLAY = ["train", "average", "train the average", "distil", "self-distil"];
  const RUNS = {
    train: "nets",
    average: "nets",
    "train the average": "trained average",
    distil: "distilled",
    "self-distil": "self-distilled",
    "next generation": "nets",
  };
  const NEEDS = { average: "nets", distil: "nets", "self-distil": "nets", "next generation": "self-distilled" };
  const OWN = "own setting";

  /**
   * Put a lab into an element.
   * @param {HTMLElement} host
   * @param {{setting: Setting,
   *   fields: Object<string, {label: string, low: number, high: number, step: number, whole: boolean}>,
   *   presets: Object<string, Setting>, inputs: string[], panels: string[], address: boolean}} config
   * @param {(setting: Setting, rows: Row[]) => void} [tell] called after each change of the setting or the results
   */
  function mount(host, config, tell = () => {}) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const address = config.address;
    let setting = fromAddress() ?? config.setting;
    let experiment = new Experiment(setting);
    let histories = {};
    let queue = []; // phases to be done
    let work = null; // the phase at work, as a generator
    let steps = 0; // of the phase at work
    let playing = false;
    let shown = "nets"; // the run in race, grid and loss
    let shownClass = 0;
    let nextDraw = 0;
    let gone = false;

    // ------------------------------------------------ elements
    const id = `mv-lab-${Math.random().toString(36).slice(2, 8)}`;
    const inputs = {};
    const note = html("p", { class: "mv-note", role: "alert" });
    const preset = html("select", {
      id: `${id}-preset`,
      onchange: () => change(config.presets[preset.value] ?? setting),
    });
    preset.append(
      ...Object.keys(config.presets).map((name) => html("option", {}, name)),
      html("option", { hidden: true }, OWN),
    );
    const form = html("div", { class: "mv-fields" }, labelled("preset", "Preset: what it shows", preset));
    for (const name of config.inputs) {
      const { label, low, high, step } = config.fields[name];
      inputs[name] = html("input", {
        id: `${id}-${name}`,
        type: "number",
        min: low,
        max: high,
        step: step || "any",
        inputmode: "decimal",
        onchange: () => read(name),
      });
      form.append(labelled(name, `${name}: ${label}`, inputs[name]));
    }
    const buttons = Object.fromEntries(
      [...PLAY, "next generation"].map((phase) => [phase, button(phase, () => start([phase]))]),
    );
    const others = {
      pause: button("pause", () => (playing ? pause() : resume())),
      step: button("step", oneStep),
      all: button("play all", () => start(PLAY.filter((phase) => !experiment.log.includes(phase)))),
      seeds: button("new seeds", () =>
        change({ ...setting, seed: (setting.seed + 1) % (config.fields.seed.high + 1) }),
      ),
    };
    const bar = html("div", { class: "mv-buttons", role: "group", "aria-label": "What to do" });
    bar.append(others.all, others.pause, others.step, ...Object.values(buttons), others.seeds);
    const progress = html("span", { class: "mv-progress" });
    const status = html("p", { class: "mv-status", role: "status" });
    const show = html("select", { id: `${id}-show`, onchange: () => ((shown = show.value), draw()) });
    const pick = html("select", { id: `${id}-class`, onchange: () => ((shownClass = Number(pick.value)), draw()) });
    const looks = html(
      "div",
      { class: "mv-fields" },
      labelled("show", "Show", show),
      labelled("class", "Class of the race", pick),
    );
    const figures = {
      race: figure(
        "race",
        "The race of the views of one class: the largest overlap of each view with a neuron, against the step, net by net",
      ),
      grid: figure(
        "grid",
        "What each net (row) holds of each class (column): one view by its colour and number, or several",
      ),
      errors: figure(
        "errors",
        "Error on inputs that keep one view: dots are measured, dashes are what the lottery predicts",
      ),
      loss: figure(
        "loss",
        "Loss of each net (lines, logarithmic), against the step, and their mean training error (dashes)",
      ),
    };
    const tables = html("div", { class: "mv-tables" });
    const python = html("code");
    const copied = html("span", { role: "status" });
    const root = html(
      "section",
      { class: "mv-lab", "aria-label": "Lab: train nets, their average and students" },
      html("details", { open: matchMedia("(min-width: 600px)").matches }, html("summary", {}, "Setting"), form),
      note,
      bar,
      html("p", {}, progress),
      status,
      ...(config.panels.some((name) => name !== "errors") ? [looks] : []),
      html("div", { class: "mv-panels" }, ...config.panels.map((name) => figures[name].whole)),
      html("details", {}, html("summary", {}, "The numbers as tables"), tables),
      html(
        "details",
        {},
        html("summary", {}, "The same in Python"),
        html("pre", {}, python),
        button("copy as Python", () => copy(python.textContent)),
        ...(address ? [button("copy link", () => copy(location.href))] : []),
        copied,
      ),
    );

    function labelled(name, text, control) {
      return html("label", { for: `${id}-${name}` }, html("span", {}, text), control);
    }

    /** A button; one that is off keeps the keyboard's place. */
    function button(text, act) {
      const element = html("button", { type: "button" }, text[0].toUpperCase() + text.slice(1));
      element.addEventListener("click", () => element.getAttribute("aria-disabled") === "true" || act());
      return element;
    }

    function turn(element, off) {
      element.setAttribute("aria-disabled", String(off));
    }

    function figure(name, caption) {
      const body = html("div", { class: `mv-${name}`, role: "img", "aria-label": caption });
      return { body, whole: html("figure", {}, body, html("figcaption", {}, caption)) };
    }

    // ------------------------------------------------ setting
    /** Take a value from an input; one that is not allowed is moved to the nearest that is, and the reader is told. */
    function read(name) {
      const { low, whole } = config.fields[name];
      const high = name === "s" ? Math.min(setting.k, config.fields.s.high) : config.fields[name].high;
      const given = inputs[name].value === "" ? NaN : Number(inputs[name].value);
      const near = Number.isFinite(given) ? (whole ? Math.round(given) : given) : setting[name];
      const value = Math.min(Math.max(near, low), high);
      const next = { ...setting, [name]: value };
      const told =
        value === given
          ? []
          : [`${name} must be ${whole ? "a whole number " : ""}from ${low} to ${high}: it was set to ${value}.`];
      if (next.s > next.k) {
        next.s = next.k;
        told.push(`s was set to ${next.k}: no more classes can show a view.`);
      }
      change(next);
      note.textContent = told.join(" ");
    }

    /** Begin anew with another setting. */
    function change(next) {
      setting = next;
      experiment = new Experiment(setting);
      [histories, queue, work, playing, shown] = [{}, [], null, false, "nets"];
      shownClass = Math.min(shownClass, setting.k - 1);
      note.textContent = "";
      if (address && host.isConnected) history.replaceState(null, "", `#lab?${toAddress()}`);
      refresh();
    }

    function toAddress() {
      return Object.keys(config.fields)
        .map((name) => `${name}=${setting[name]}`)
        .join("&");
    }

    /** The setting in the page's address, if all of it is allowed. */
    function fromAddress() {
      if (!address || !location.hash.startsWith("#lab?")) return null;
      const given = new URLSearchParams(location.hash.slice(5));
      const next = { ...config.setting };
      for (const [name, { low, high, whole }] of Object.entries(config.fields)) {
        const value = given.has(name) ? Number(given.get(name)) : next[name];
        if (!(value >= low && value <= high) || (whole && !Number.isInteger(value))) return null;
        next[name] = value;
      }
      return next.s <= next.k ? next : null;
    }

    // ------------------------------------------------ work
    function start(phases) {
      queue = [...phases];
      work = null;
      resume();
    }

    function pause() {
      playing = false;
      refresh();
    }

    function resume() {
      if (playing || !(work || queue.length)) return;
      playing = true;
      refresh();
      requestAnimationFrame(frame);
    }

    /** Work for a few milliseconds; the longer a phase takes, the more steps are taken in a frame. */
    function frame() {
      if (!playing || gone) return;
      const begin = performance.now();
      const pace = calm ? Infinity : Math.max(1, Math.floor(steps / 60));
      const until = steps + pace;
      while (playing && steps < until && performance.now() - begin < 12) advance();
      if (playing && !calm && begin >= nextDraw) {
        draw();
        nextDraw = begin + Math.max(40, 3 * (performance.now() - begin));
      }
      requestAnimationFrame(frame);
    }

    /** Do one slice of work; tell whether it completed a step or a phase. */
    function advance() {
      if (!work) {
        const phase = queue[0];
        work = experiment.phase(phase);
        [steps, shown] = [0, RUNS[phase]];
        delete histories[shown === "nets" && phase !== "train" ? "" : shown];
      }
      const { value, done } = work.next();
      if (value) {
        steps++;
        record();
      }
      if (!done) return Boolean(value);
      finish(queue.shift());
      return true;
    }

    function record() {
      (histories[shown] ??= new History()).add(experiment.runs[shown], setting);
    }

    /** A phase is done. */
    function finish(phase) {
      work = null;
      playing &&= queue.length > 0;
      if (phase === "next generation") histories = { nets: histories["self-distilled"] };
      status.textContent = sentence(phase);
      refresh();
    }

    function oneStep() {
      if (!work && !queue.length) queue = [PLAY.find((phase) => !experiment.log.includes(phase)) ?? "self-distil"];
      pause();
      while (!advance());
      refresh();
    }

    // ------------------------------------------------ words
    function sentence(phase) {
      const row = (method) => /** @type {Row} */ (experiment.results().find((each) => each.method === method));
      const beside = ({ error, predicted }) => {
        const gap = Math.abs(error - predicted);
        const size =
          gap < 0.0005
            ? "as predicted"
            : `${(100 * gap).toFixed(1)} points ${error > predicted ? "more" : "less"} than predicted`;
        return `${percent(error)} of the test inputs, each of which keeps one view; the lottery predicts ${percent(predicted)} (${size}).`;
      };
      const { nets, M } = setting;
      if (phase === "train") {
        const single = row("single net");
        const held = experiment.runs.nets.W.flatMap((W) => heldViews(setting, W));
        const alone = held.filter((views) => views.filter(Boolean).length === 1).length / held.length;
        const fit = single.train_error
          ? `${percent(single.train_error)} of the training inputs are still wrong.`
          : "All training inputs are right.";
        return `${fit} In ${percent(alone)} of the cases a net holds one of a class's ${M} views. A single net errs on ${beside(single)}`;
      }
      if (phase === "average")
        return nets < 2
          ? "One net has no average."
          : `The average of ${nets} nets errs on ${beside(row(`average of ${nets}`))}`;
      if (phase === "train the average")
        return `The average of ${nets} nets, trained as one, errs on ${beside(row("trained average"))} The prediction is that of a single net.`;
      if (phase === "distil") return `A student of the average errs on ${beside(row("distilled net"))}`;
      if (phase === "self-distil")
        return `A student of a single net errs on ${beside(row("self-distilled net"))} It holds its own view and its teacher's.`;
      return `Generation ${experiment.generation}: the self-distilled nets are the teachers now.`;
    }

    // ------------------------------------------------ what is seen
    /** Bring everything up to date. */
    function refresh() {
      for (const [name, input] of Object.entries(inputs)) input.value = setting[name];
      const same = (other) => Object.keys(config.fields).every((name) => other[name] === setting[name]);
      preset.value = Object.keys(config.presets).find((name) => same(config.presets[name])) ?? OWN;
      for (const [phase, each] of Object.entries(buttons))
        turn(each, playing || (phase in NEEDS && !ready(NEEDS[phase])));
      others.pause.textContent = playing || !(work || queue.length) ? "Pause" : "Go on";
      turn(others.pause, !(work || queue.length));
      turn(others.step, playing);
      turn(others.all, playing || PLAY.every((phase) => experiment.log.includes(phase)));
      pick.replaceChildren(...Array.from({ length: setting.k }, (_, j) => html("option", { value: j }, String(j + 1))));
      pick.value = String(shownClass);
      if (!experiment.log.length && !work) {
        status.textContent = `${setting.nets} nets that differ in their seeds alone, ${setting.k} classes with ${setting.M} views each. Press Train.`;
      }
      const rows = work ? [] : experiment.results();
      if (!work) tabulate(rows);
      python.textContent = inPython();
      draw();
      if (!work) tell(setting, rows);
    }

    /** Whether a run is there and complete. */
    function ready(name) {
      return Boolean(experiment.runs[name]) && !(work && RUNS[queue[0]] === name);
    }

    function inPython() {
      const base = Object.values(config.presets)[0];
      const changed = Object.keys(config.fields).filter((name) => setting[name] !== base[name]);
      const decimals = (name) => (config.fields[name].whole || !Number.isInteger(setting[name]) ? "" : ".0");
      const phases = experiment.log.map((phase) => `"${phase}"`).join(", ");
      return [
        "from mvtheory.lab.reference import run",
        "from mvtheory.lab.setting import LabSetting",
        "",
        `setting = LabSetting(${changed.map((name) => `${name}=${setting[name]}${decimals(name)}`).join(", ")})`,
        `print(run(setting, [${phases || '"train"'}]).to_string(index=False))`,
      ].join("\n");
    }

    function copy(text) {
      const told = (words) => (copied.textContent = ` ${words}`);
      const promise = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error("no clipboard"));
      promise.then(
        () => told("Copied."),
        () => told(`Copy it from here: ${text === python.textContent ? "above" : text}`),
      );
    }

    function tabulate(rows) {
      const cells = (tag, texts) =>
        html("tr", {}, ...texts.map((text) => html(tag, tag === "th" ? { scope: "col" } : {}, text)));
      const number = (value, digits) => (Number.isNaN(value) ? "–" : value.toFixed(digits));
      const results = html(
        "table",
        {},
        html("caption", {}, "Errors on single-view inputs; loss, training error and steps are means over the nets"),
      );
      results.append(cells("th", ["method", "error", "predicted", "loss", "training error", "steps"]));
      for (const { method, error, predicted, loss, train_error, steps: taken } of rows) {
        results.append(
          cells("td", [
            method,
            number(error, 4),
            number(predicted, 4),
            number(loss, 4),
            number(train_error, 4),
            number(taken, 1),
          ]),
        );
      }
      tables.replaceChildren(
        html("div", { class: "mv-scroll", tabindex: 0, role: "region", "aria-label": "Results" }, results),
      );
      for (const [name, run] of Object.entries(experiment.runs)) {
        const errors = name === "trained average" ? [] : experiment.errors(name);
        const held = html("table", {}, html("caption", {}, `The views that the ${NAMES[name]} hold, class by class`));
        held.append(
          cells("th", [
            "net",
            ...(errors.length ? ["error"] : []),
            ...Array.from({ length: setting.k }, (_, j) => String(j + 1)),
          ]),
        );
        run.W.forEach((W, net) => {
          const views = heldViews(setting, W).map(
            (own) => own.flatMap((has, l) => (has ? [l + 1] : [])).join("+") || "–",
          );
          held.append(cells("td", [String(net + 1), ...(errors.length ? [errors[net].toFixed(3)] : []), ...views]));
        });
        tables.append(
          html(
            "div",
            { class: "mv-scroll", tabindex: 0, role: "region", "aria-label": `Views of the ${NAMES[name]}` },
            held,
          ),
        );
      }
    }

    function draw() {
      if (!host.isConnected || gone) return;
      const run = experiment.runs[shown];
      const records = histories[shown]?.records ?? [];
      const runs = Object.keys(NAMES).filter((name) => experiment.runs[name]);
      if (runs.length !== show.length)
        show.replaceChildren(...runs.map((name) => html("option", { value: name }, NAMES[name])));
      show.value = shown;
      progress.textContent = work ? `${queue[0]}, step ${steps}` : "";
      if (config.panels.includes("race")) drawRace(records);
      if (config.panels.includes("grid")) drawGrid(run);
      if (config.panels.includes("errors")) drawErrors();
      if (config.panels.includes("loss")) drawLoss(records);
    }

    function drawRace(records) {
      const { M, nets } = setting;
      const last = Math.max(records.at(-1)?.step ?? 1, 1);
      let top = 1e-9;
      for (let net = 0; net < nets; net++)
        for (const { overlap } of records.slice(-1))
          for (let l = 0; l < M; l++) top = Math.max(top, overlap[net][shownClass * M + l]);
      figures.race.body.replaceChildren(
        ...Array.from({ length: nets }, (_, net) => {
          const box = svg("svg", { viewBox: "0 0 100 60", preserveAspectRatio: "none", "aria-hidden": "true" });
          for (let l = 0; l < M; l++) {
            const ys = records.map(({ overlap }) => 58 - (56 * Math.min(overlap[net][shownClass * M + l], top)) / top);
            const stroke = { stroke: VIEWS[l], "stroke-dasharray": ["none", "6 3", "2 3", "8 2 2 2", "1 2"][l] };
            box.append(
              svg("polyline", {
                points: points(
                  records.map(({ step }) => (100 * step) / last),
                  ys,
                ),
                class: "mv-line",
                ...stroke,
              }),
            );
          }
          return html("div", {}, box, html("span", {}, `net ${net + 1}`));
        }),
        html(
          "p",
          { class: "mv-legend" },
          ...Array.from({ length: M }, (_, l) => html("span", { style: `--mv-colour: ${VIEWS[l]}` }, `view ${l + 1}`)),
        ),
      );
    }

    function drawGrid(run) {
      const { k, nets } = setting;
      const width = Math.max(figures.grid.body.clientWidth, 200);
      const left = 22;
      const size = Math.min((width - left) / k, 30);
      const root = svg("svg", {
        width,
        height: 18 + size * nets,
        viewBox: `0 0 ${width} ${18 + size * nets}`,
        "aria-hidden": "true",
      });
      const roomy = size >= 14;
      for (let j = 0; j < k; j++)
        if (roomy || j % 5 === 4)
          root.append(
            svg(
              "text",
              {
                x: left + size * (j + 0.5),
                y: 12,
                "text-anchor": "middle",
                class: j === shownClass ? "mv-chosen" : "",
              },
              String(j + 1),
            ),
          );
      for (let net = 0; net < nets; net++) {
        const y = 18 + size * net;
        if (roomy || net % 5 === 4)
          root.append(svg("text", { x: left - 5, y: y + size / 2 + 4, "text-anchor": "end" }, String(net + 1)));
        if (!run) continue;
        heldViews(setting, run.W[net]).forEach((own, j) => {
          const held = own.flatMap((has, l) => (has ? [l] : []));
          held.forEach((l, place) => {
            const wide = (size - 1) / held.length;
            const x = left + size * j + wide * place;
            root.append(svg("rect", { x, y, width: wide, height: size - 1, fill: VIEWS[l] }));
            if (roomy && (held.length === 1 || size >= 24))
              root.append(
                svg(
                  "text",
                  { x: x + wide / 2, y: y + size / 2 + 4, "text-anchor": "middle", fill: l ? "#000" : "#fff" },
                  String(l + 1),
                ),
              );
          });
        });
      }
      root.addEventListener("click", (event) => {
        const j = Math.floor((event.clientX - root.getBoundingClientRect().left - left) / size);
        if (j < 0 || j >= k) return;
        shownClass = j;
        pick.value = String(j);
        draw();
      });
      figures.grid.body.replaceChildren(root);
    }

    function drawErrors() {
      const { nets } = setting;
      const gap = Math.max(nets * 0.22, 1);
      const columns = { "trained average": nets + gap, distilled: nets + 2 * gap, "self-distilled": nets + 3 * gap };
      const power = experiment.generation + 1;
      const names = [...new Set([1, Math.ceil(nets / 2), nets])].map((size) => [size, String(size)]);
      const chart = new Chart(figures.errors.body, 240, {
        x: [0.4, nets + 3.6 * gap],
        y: [0, 1],
        ticks: [0, 0.25, 0.5, 0.75, 1].map((value) => [value, String(value)]),
        names,
        label: "average of so many nets",
      });
      const sizes = Array.from({ length: nets }, (_, index) => index + 1);
      const dashes = { class: "mv-theory", "stroke-dasharray": "4 3" };
      chart.line(
        sizes,
        sizes.map((size) => experiment.predicted(power * size)),
        dashes,
      );
      ["trained", "distilled", "self"].forEach((text, index) => {
        chart.add(
          "text",
          { x: chart.x(nets + (index + 1) * gap), y: index === 1 ? 236 : 220, "text-anchor": "middle" },
          text,
        );
      });
      const forecasts = [1, nets * power, power + 1].map((each) => experiment.predicted(each));
      Object.values(columns).forEach((x, index) =>
        chart.line([x - gap * 0.4, x + gap * 0.4], [forecasts[index], forecasts[index]], dashes),
      );
      const dots = (x, errors, colour) =>
        errors.forEach((error, net) =>
          chart.dot(x + (net / Math.max(errors.length - 1, 1) - 0.5) * 0.5, error, 3, colour),
        );
      if (experiment.runs.nets) dots(1, experiment.errors("nets"), COLOURS.single);
      experiment.averages?.forEach((error, index) => index && chart.dot(index + 1, error, 5, COLOURS.ensemble));
      for (const [name, x] of Object.entries(columns))
        if (experiment.runs[name]) dots(x, experiment.errors(name), COLOURS[name]);
    }

    function drawLoss(records) {
      const last = Math.max(records.at(-1)?.step ?? 10, 10);
      const depth = (value) => Math.log10(Math.max(value, 1e-3));
      const chart = new Chart(figures.loss.body, 200, {
        x: [0, last],
        y: [-3, 1],
        ticks: [-3, -2, -1, 0, 1].map((value) => [value, String(10 ** value)]),
        names: [0, Math.round(last / 2), last].map((value) => [value, String(value)]),
        label: "step",
      });
      const xs = records.map(({ step }) => step);
      for (let net = 0; net < setting.nets && records.length; net++) {
        chart.line(
          xs,
          records.map(({ loss }) => Math.min(depth(loss[net]), 1)),
          { stroke: COLOURS.single, class: "mv-thin" },
        );
      }
      if (records.length)
        chart.line(
          xs,
          records.map(({ error }) => depth(error)),
          { stroke: COLOURS.ensemble, class: "mv-line", "stroke-dasharray": "5 3" },
        );
    }

    // ------------------------------------------------ begin
    host.replaceChildren(root);
    const sized = new ResizeObserver(() => draw());
    sized.observe(root);
    if (address) addEventListener("hashchange", restore);
    function restore() {
      const next = fromAddress();
      if (next && toAddress() !== location.hash.slice(5)) change(next);
    }
    refresh();
    if (!calm) {
      const seen = new IntersectionObserver(([entry]) => {
        if (!entry.isIntersecting) return;
        seen.disconnect();
        if (!experiment.log.length && !work && !gone) start(PLAY);
      });
      seen.observe(bar);
    }
    return {
      change,
      /** Stop all work. */
      remove() {
        gone = true;
        sized.disconnect();
        removeEventListener("hashchange", restore);
      },
    };
  }

  /** The same for a notebook: the traits of mvtheory.lab.widget.Lab are the setting and the results. */
  function render({ model, el }) {
    let own = false; // a change that comes from here
    const lab = mount(el, { ...model.get("config"), setting: model.get("values") }, (setting, rows) => {
      own = true;
      model.set("values", setting);
      model.set(
        "rows",
        rows.map((row) =>
          Object.fromEntries(Object.entries(row).map(([key, value]) => [key, Number.isNaN(value) ? null : value])),
        ),
      );
      model.save_changes();
      own = false;
    });
    model.on("change:values", () => own || lab.change(model.get("values")));
    return lab.remove;
  }

  // In a page, labs wait in elements with their configuration; in a module there is no current script.
  if (typeof document !== "undefined" && document.currentScript) {
    addEventListener("DOMContentLoaded", () => {
      for (const host of document.querySelectorAll("[data-lab]")) {
        mount(/** @type {HTMLElement} */ (host), JSON.parse(host.getAttribute("data-lab") ?? ""));
      }
    });
  }

  return Object.assign(mount, { engine: { Experiment, heldViews, lessBaseline }, render });
})();
