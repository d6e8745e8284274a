/* The engine of the lab: it computes the numbers of mvtheory/lab/reference.py, to the last bit. Doubles, only + - * /
 * and the square root, every sum in the order of the classes, views, neurons or inputs.
 */

/**
 * Everything that a run depends on; described in mvtheory/lab/setting.py.
 * @typedef {{[name: string]: any, k: number, M: number, q: number, varrho: number, sigma_0: number, s: number,
 *   weak: number, Gamma: number, rho: number, favour: number, N: number, m: number, nets: number, seed: number,
 *   steps: number, stop_loss: number, eta: number, max_change: number, from_start: boolean, threshold: number,
 *   cut: number, slack: number, weight: number, student_steps: number, student_stop_loss: number,
 *   student_eta: number, student_max_change: number, C_p: number, C_weak: number, main_low: number,
 *   main_high: number, n_test: number}} Setting
 *
 * Inputs: labels; for each view of the label [n, M] the group of its patches, which have one view and one strength;
 * and the views j M + l of other classes, at strength z a patch: those that input i shows are entry[start[i]] to
 * entry[start[i + 1] - 1].
 * @typedef {{n: number, y: Int32Array, group: Int32Array, groups: {view: number, z: number}[], z: number,
 *   start: Int32Array, entry: number[]}} Inputs
 *
 * How long and in which steps: see mvtheory.training.Schedule.
 * @typedef {{steps: number, stop_loss: number, eta: number, max_change: number}} Schedule
 *
 * Outputs of teachers, less their baselines [n, k], one for each student; a class is on from `threshold`.
 * @typedef {{G: Float64Array[], threshold: number}} Teacher
 *
 * A stack of nets in training: weights [k, M, m] of each, and their errors on test inputs when they were last measured.
 * @typedef {{W: Float64Array[], loss: Float64Array, error: Float64Array, steps: Int32Array, step: number,
 *   errors?: number[]}} Run
 *
 * A row of the table of results.
 * @typedef {{method: string, error: number, predicted: number, loss: number, train_error: number, steps: number}} Row
 */

/**
 * Work in slices: a pause tells whether a step of training is complete.
 * @template T
 * @typedef {Generator<boolean, T, void>} Work
 */

var multiViewEngine = (function () {
  "use strict";

  // ---------------------------------------------------------------------------------------------- arithmetic

  const LN2_HIGH = 0.6931471803691238;
  const LN2_LOW = 1.9082149292705877e-10;
  const LOG2_E = 1.4426950408889634;
  const SQRT2 = 1.4142135623730951;

  const HALVES = new Float64Array(1012);
  for (let j = 0, half = 1; j < HALVES.length; j++, half *= 0.5) HALVES[j] = half;

  const INVERSES = Float64Array.from({ length: 22 }, (_, j) => 1 / j);
  const FACTORIALS = new Float64Array(14); // their inverses
  for (let j = 0, product = 1; j < 14; product *= ++j) FACTORIALS[j] = 1 / product;
  const [E0, E1, E2, E3, E4, E5, E6, E7, E8, E9, E10, E11, E12, E13] = FACTORIALS;

  /** The exponential of a number that is not positive. @param {number} x */
  function exp(x) {
    x = Math.max(x, -700);
    const j = Math.floor(0.5 - x * LOG2_E);
    const r = x + j * LN2_HIGH + j * LN2_LOW;
    const p = ((((((E13 * r + E12) * r + E11) * r + E10) * r + E9) * r + E8) * r + E7) * r + E6;
    return ((((((p * r + E5) * r + E4) * r + E3) * r + E2) * r + E1) * r + E0) * HALVES[j];
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
    let p = INVERSES[21];
    for (let odd = 19; odd > 0; odd -= 2) p = p * square + INVERSES[odd];
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

  /** @type {Inputs} */
  const NONE = { n: 0, y: new Int32Array(), group: new Int32Array(), groups: [], z: 1, start: new Int32Array(1), entry: [] };

  /**
   * @param {Setting} setting @param {number} n @param {boolean} single whether they are single-view inputs
   * @returns {Work<Inputs>}
   */
  function* drawInputs(setting, n, single) {
    const { k, M } = setting;
    const random = new Random(setting.seed, single ? 1 : 0);
    const y = new Int32Array(n);
    const start = new Int32Array(n + 1);
    const entry = [];
    const group = new Int32Array(n * M);
    /** @type {Inputs["groups"]} */
    const groups = []; // in order of appearance
    /** @type {Map<number, number>[]} */
    const known = Array.from({ length: k * M }, () => new Map()); // groups of each view, by strength
    for (let i = 0; i < n; i++) {
      y[i] = i % k;
      const kept = Math.floor(i / k) % M;
      for (let l = 0; l < M; l++) {
        let z = setting.main_low + (setting.main_high - setting.main_low) * random.uniform();
        if (l === 0) z *= setting.favour;
        z = (single && l !== kept ? setting.rho : z) / setting.C_p;
        const view = y[i] * M + l;
        const found = known[view].get(z) ?? groups.push({ view, z }) - 1;
        known[view].set(z, found);
        group[i * M + l] = found;
      }
      for (let view = 0; view < k * M; view++) {
        if (random.uniform() < setting.s / k && Math.floor(view / M) !== y[i]) entry.push(view);
      }
      start[i + 1] = entry.length;
      if (i % 100 === 99) yield false;
    }
    return { n, y, group, groups, z: (single ? setting.Gamma : setting.weak) / setting.C_weak, start, entry };
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
      this.own = new Float64Array(data.groups.length);
      this.ownSlope = new Float64Array(data.groups.length * m);
    }

    /**
     * What the m neurons make of strength z of a view: the sum; their slopes go to `slopes`, from `to` on.
     * @param {Float64Array} W @param {number} from @param {number} z @param {Float64Array} slopes @param {number} to
     */
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
      const { n, y, group, groups, z, start, entry } = this.data;
      const { F, weak, own } = this;
      for (let view = 0; view < k * M; view++) {
        weak[view] = this.neurons(W, view * m, z, this.weakSlope, view * m) * C_weak;
      }
      groups.forEach(({ view, z }, g) => (own[g] = this.neurons(W, view * m, z, this.ownSlope, g * m) * C_p));
      F.fill(0);
      for (let i = 0; i < n; i++) {
        for (let e = start[i]; e < start[i + 1]; e++) F[i * k + Math.floor(entry[e] / M)] += weak[entry[e]];
        let sum = 0;
        for (let at = i * M; at < i * M + M; at++) sum += own[group[at]];
        F[i * k + y[i]] = sum;
      }
      return F;
    }

    /** The gradient in the weights, from dF / parts. @param {Float64Array} W @param {number} parts */
    backward(W, parts) {
      const { k, M, m, C_p, C_weak } = this.setting;
      const { n, y, group, groups, z, start, entry } = this.data;
      const { dF, weakSlope, ownSlope } = this;
      const sums = new Float64Array(k * M);
      const totals = new Float64Array(groups.length);
      for (let i = 0; i < n; i++) {
        for (let e = start[i]; e < start[i + 1]; e++) sums[entry[e]] += dF[i * k + Math.floor(entry[e] / M)] / parts;
        const onLabel = dF[i * k + y[i]] / parts;
        for (let at = i * M; at < i * M + M; at++) totals[group[at]] += onLabel;
      }
      const gradient = new Float64Array(W.length);
      for (let i = 0; i < gradient.length; i++) {
        gradient[i] = weakSlope[i] * (sums[Math.floor(i / m)] * (z * C_weak));
      }
      groups.forEach(({ view, z }, g) => {
        const factor = totals[g] * (z * C_p);
        for (let r = 0; r < m; r++) gradient[view * m + r] += ownSlope[g * m + r] * factor;
      });
      return gradient;
    }
  }

  // ---------------------------------------------------------------------------------------------- objectives

  /**
   * Whether another class of input i has at least the output of its label.
   * @param {Float64Array} F @param {number} i @param {number} k @param {number} label
   */
  function wrong(F, i, k, label) {
    for (let j = 0; j < k; j++) if (j !== label && F[i * k + j] >= F[i * k + label]) return true;
    return false;
  }

  /**
   * Loss and error of outputs F [n, k] on the labels; the gradient in F, times n, goes to dF.
   * @param {Float64Array} F @param {Float64Array} dF @param {Inputs} data @param {number} k
   */
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

  /**
   * Add the on/off rule of mvtheory.distillation to losses and gradient.
   * @param {Float64Array} F @param {Float64Array} dF @param {Float64Array} losses @param {Float64Array} G
   * @param {number} threshold @param {Setting} setting
   */
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

  /**
   * The outputs less the baseline of each class, a low quantile: see mvtheory.distillation.OnOff.
   * @param {Setting} setting @param {Float64Array} G
   */
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

  /**
   * The largest step that changes no neuron by more than its share.
   * @param {Float64Array} W @param {Float64Array} gradient @param {Schedule} schedule @param {Setting} setting
   */
  function stepSize(W, gradient, schedule, setting) {
    const length = lengths(W, setting);
    const change = lengths(gradient, setting);
    let ratio = Infinity;
    for (let i = 0; i < length.length; i++) if (change[i] > 0) ratio = Math.min(ratio, length[i] / change[i]);
    return Math.min(schedule.max_change * ratio, schedule.eta);
  }

  /** @param {Float64Array} W @param {Float64Array} gradient @param {number} eta */
  function descend(W, gradient, eta) {
    for (let i = 0; i < W.length; i++) W[i] -= eta * gradient[i];
  }

  /**
   * Train nets, each for itself, on the labels, and on a teacher if there is one. Yields after the work of one net:
   * whether it was the last of a step.
   * @param {Setting} setting @param {Inputs} data @param {Run} run @param {Schedule} schedule
   * @param {Teacher | null} [teacher] @returns {Work<void>}
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
          const gradient = pass.backward(W, data.n);
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
   * @param {Setting} setting @param {Inputs} data @param {Run} run @returns {Work<void>}
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
        for (let i = 0; i < dF.length; i++) passes[net].dF[i] = dF[i] / data.n;
        gradients.push(passes[net].backward(run.W[net], passes.length));
        yield false;
      }
      const eta = Math.min(...gradients.map((gradient, net) => stepSize(run.W[net], gradient, setting, setting)));
      gradients.forEach((gradient, net) => descend(run.W[net], gradient, eta));
      run.steps.fill(step + 1);
      run.step++;
      yield true;
    }
  }

  /**
   * Keep mean loss and error of a net.
   * @param {Run} run @param {number} net @param {Float64Array} losses @param {number} error
   */
  function note(run, net, losses, error) {
    let sum = 0;
    for (const loss of losses) sum += loss;
    run.loss[net] = sum / losses.length;
    run.error[net] = error;
  }

  // ---------------------------------------------------------------------------------------------- experiments

  /**
   * The nets of a role before training.
   * @param {Setting} setting @param {number} role @returns {Work<Run>}
   */
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
   * The outputs of each net on inputs.
   * @param {Setting} setting @param {Inputs} data @param {Float64Array[]} nets @returns {Work<Float64Array[]>}
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
      this.data = NONE; // until the first phase
      this.test = NONE;
      this.generation = 0;
      /** @type {string[]} */
      this.log = []; // phases that are done
      /** @type {Object<string, Run>} */
      this.runs = {};
      /** @type {number[] | null} */
      this.averages = null; // error of averages of 1, 2, ... nets
    }

    /** Do what a button does. @param {string} phase @returns {Work<void>} */
    *phase(phase) {
      if (phase === "train" && this.generation) [this.runs, this.averages, this.generation] = [{}, null, 0];
      const { setting, runs } = this;
      if (!this.data.n) {
        this.data = yield* drawInputs(setting, setting.N, false);
        this.test = yield* drawInputs(setting, setting.n_test, true);
      }
      const { data } = this;
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
        [this.runs, this.averages] = [{ nets: runs["self-distilled"] }, null];
        this.generation++;
      }
      this.log.push(phase);
    }

    /** @param {string} name @param {number} role @param {Teacher} teacher @param {boolean} fromStart @returns {Work<void>} */
    *student(name, role, teacher, fromStart) {
      const { setting, data } = this;
      const { labels, distillation } = schedules(setting);
      const run = (this.runs[name] = yield* newRun(setting, role));
      if (!fromStart) yield* train(setting, data, run, labels);
      yield* train(setting, data, run, distillation, teacher);
      run.errors = yield* this.measure(name);
    }

    /** Errors of averages of L nets, means over the L nets that follow each. @returns {Work<void>} */
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

    /**
     * Measure the error of each net on test inputs; of a trained average, that of the average.
     * @param {string} name @returns {Work<number[]>}
     */
    *measure(name) {
      const F = yield* outputs(this.setting, this.test, this.runs[name].W);
      return (name === "trained average" ? [average(F)] : F).map((G) => errorRate(this.setting, this.test, G));
    }

    /** What was measured last: of a run in training a while ago, or nothing yet. @param {string} name */
    errors(name) {
      return this.runs[name].errors ?? [];
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
          const none = { loss: NaN, train_error: NaN, steps: NaN };
          const [error, predicted] = [this.averages[size - 1], this.predicted(nets * size)];
          rows.push({ method: `average of ${size}`, error, predicted, ...none });
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

  /**
   * Which views nets hold [net, class, view]: those with more than a tenth of the largest output of their class, in
   * classes whose largest output is more than a tenth of that of all.
   * @param {Setting} setting @param {Float64Array[]} nets
   */
  function heldViews(setting, nets) {
    const { k, M, m } = setting;
    const pass = new Pass(setting, NONE);
    const all = nets.map((W) =>
      Array.from({ length: k }, (_, j) =>
        Array.from({ length: M }, (_, l) => pass.neurons(W, (j * M + l) * m, 1, pass.weakSlope, 0)),
      ),
    );
    const least = 0.1 * Math.max(...all.flat(2));
    return all.map((classes) =>
      classes.map((outputs) => {
        const largest = Math.max(...outputs);
        return outputs.map((output) => largest > least && output > 0.1 * largest);
      }),
    );
  }

  return { Experiment, heldViews, lessBaseline, mean };
})();
