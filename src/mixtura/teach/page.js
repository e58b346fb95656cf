// Draws what the server answers. No number of a mixture is computed here: only where on the screen it goes.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 40, right: 10, top: 8, bottom: 26 };
const SHOWN = 4; // seconds that a run takes on the screen, at most
const COLOURED = 80; // passes up to which a run shows the shares of each
const DASHES = ["", "7 4", "2 3", "9 3 2 3", "14 4", "5 2 1 2 1 2", "1 2", "4 6", "12 3 4 3", "3 1", "16 8", "1 5"];
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");

let setup, words;
let language = "en";
const dictionaries = {};

const S = {
  points: [], source: null, set: "", plane: null, undo: [],
  k: 1, family: "full", start: "k-means++", seed: 0,
  model: null, begun: "", view: null, states: null, loglik: null,
  shared: null, fresh: false, // the last E-step, and whether it is that of the model
  curve: [], past: [], reason: null,
  kmeans: null, narrow: null, fitted: null,
  tool: "put", cross: null, held: null, near: -1, meant: -1, look: null, lookAt: null, component: 0,
  lesson: "first", step: 0, did: {}, running: false,
  said: {},
};

// Words -----------------------------------------------------------------------------------------------------------

function word(key, numbers = {}) {
  const text = words[key];
  if (text === undefined) throw new Error(`no words for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(numbers[name]));
}

// *x* is a variable, _<k> an index, ^<2> a power, `x` code; no other markup is in the words.
const MARKS = [[/^\*(.+)\*$/, "var"], [/^_<(.*)>$/, "sub"], [/^\^<(.*)>$/, "sup"], [/^`(.*)`$/, "code"]];

function rich(text) {
  const out = document.createDocumentFragment();
  for (const part of text.split(/(\*[^*\s]+\*|[_^]<[^>]*>|`[^`]*`)/)) {
    const mark = MARKS.find(([pattern]) => pattern.test(part));
    out.append(mark ? Object.assign(document.createElement(mark[1]), { textContent: part.match(mark[0])[1] }) : part);
  }
  return out;
}

const put = (element, text) => element.replaceChildren(rich(text));

function prose(element, text) {
  element.replaceChildren(...text.split("\n").map((one) => make("p", {}, one)));
}

function make(tag, attributes = {}, text = null) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== null) element.append(rich(text));
  return element;
}

function draw(tag, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== null) element.textContent = text;
  return element;
}

// What was said last in each place, to say it again in the other language.
function say(place, parts) {
  S.said[place] = parts;
  const text = parts.map(([key, numbers]) => word(key, numbers)).join(words.between);
  const element = $(place);
  if (element.textContent !== text) put(element, text);
}

// Numbers ---------------------------------------------------------------------------------------------------------

const raised = (n) => String(n).replace(/./g, (c) => ({ "-": "⁻" }[c] ?? "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));
const minus = (text) => text.replace("-", "−");

function sig(x, digits = 4) {
  if (x === null || !Number.isFinite(x)) return "∞";
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size >= 1e7 || size < 1e-4) {
    const [head, tail] = x.toExponential(Math.min(digits, 3) - 1).split("e");
    return `${minus(head)}×10${raised(Number(tail))}`;
  }
  return minus(size >= 10 ** digits ? x.toFixed(0) : x.toPrecision(digits));
}

const fixed = (x, digits) => (x === null || Math.abs(x) >= 1e9 ? sig(x) : minus(x.toFixed(digits)));

// A number of which the natural logarithm is known, however small it is.
function fromLog(log, digits = 3) {
  if (log === null) return "0";
  const ten = log / Math.LN10;
  if (ten > -4 && ten < 6) return sig(Math.exp(log), digits);
  const power = Math.floor(ten);
  const [head, more] = (10 ** (ten - power)).toExponential(digits - 1).split("e"); // 9.999 is 1.00 times ten
  return `${head}×10${raised(power + Number(more))}`;
}

const pair = (p, digits = 4) => `(${sig(p[0], digits)}, ${sig(p[1], digits)})`;

// The server ------------------------------------------------------------------------------------------------------

class Refused extends Error {
  constructor({ code, numbers, message }) {
    super(message);
    this.code = code;
    this.numbers = numbers;
  }
}

async function ask(what, more = {}) {
  let reply, found;
  try {
    reply = await fetch("ask", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ask: what, ...more }),
    });
    found = await reply.json();
  } catch {
    throw new Refused({ code: "gone", numbers: {} });
  }
  if (!reply.ok) throw new Refused(found.error);
  return found;
}

const posed = (more = {}) => ({ points: S.points, k: S.k, family: S.family, seed: S.seed, ...more });
// Components that were dropped are in K still, but not in the model.
const withModel = (more = {}) => posed({ model: S.model, k: S.view.length, ...more });

// One thing after the other: what is clicked meanwhile waits, and a run gives way to it.
let chain = Promise.resolve();
let waiting = 0;

function act(what) {
  S.running = false;
  waiting += 1;
  document.querySelector("main").setAttribute("aria-busy", "true");
  chain = chain
    .then(what)
    .catch((error) => {
      if (error instanceof Refused) say("said", [[`error.${error.code}`, error.numbers]]);
      else reportError(error); // on the console; what waits is done all the same
    })
    .finally(() => {
      waiting -= 1;
      if (waiting === 0) document.querySelector("main").setAttribute("aria-busy", "false");
      checkLesson();
    });
  return chain;
}

// Points ----------------------------------------------------------------------------------------------------------

const kept = () => ({ points: S.points, source: S.source, set: S.set, plane: S.plane });

async function setPoints(next, remember = true) {
  if (remember && (S.points.length || next.points.length)) S.undo.push(kept());
  Object.assign(S, next);
  S.near = -1;
  S.held = null;
  S.narrow = S.fitted = null;
  sayFit();
  await rowsChanged();
}

// The model stays, but what was computed of other points does not.
async function rowsChanged() {
  S.shared = null;
  S.fresh = false;
  S.past = [];
  S.curve = [];
  S.reason = null;
  if (S.points.length === 0) forget();
  if (S.model) {
    take(await ask("see", withModel()));
    S.curve = [S.loglik];
  }
  await refreshKmeans();
  render();
  await lookAgain();
}

function forget() {
  S.held = null;
  S.did.begin = S.did.run = 0; // steps of a lesson that are done anew are done again
  Object.assign(S, { model: null, view: null, states: null, loglik: null, shared: null, fresh: false, curve: [],
    past: [], reason: null, look: null, narrow: null, fitted: null, component: 0 });
  sayFit();
}

async function addPoint(place) {
  if (S.points.length >= setup.most_points) {
    say("said", [["said.most_points", { most: setup.most_points }]]);
    return;
  }
  await setPoints({ points: [...S.points, place.map(rounded)], source: null, set: "" });
  did("point");
  say("said", [["said.added", { n: S.points.length, at: pair(S.points.at(-1), 3) }]]);
}

async function removePoint(i) {
  if (i < 0) {
    say("said", [["said.none_near", {}]]);
    return;
  }
  const rest = (list) => list && list.filter((_, j) => j !== i);
  await setPoints({ points: rest(S.points), source: rest(S.source), set: "" });
  say("said", [["said.removed", { n: S.points.length }]]);
}

async function movePoint(i, place) {
  const points = S.points.map((one, j) => (j === i ? place.map(rounded) : one));
  await setPoints({ points, source: null, set: "" });
}

async function moveMean(k, place) {
  const before = snapshot();
  take(await ask("move", withModel({ component: k, to: place.map(rounded) })));
  S.past.push(before);
  S.curve = [S.loglik];
  S.reason = null;
  S.fresh = false;
  S.did.run = 0;
  did("mean");
  say("said", [["said.mean_moved", { k: k + 1, at: pair(S.view[k].mean, 3), loglik: fixed(S.loglik, 2) }]]);
  render();
  await lookAgain();
}

async function chooseSet(name) {
  const found = await ask("points", { set: name });
  forget();
  await setPoints({ points: found.points, source: found.source, plane: found.plane, set: name });
  S.cross = middle();
  say("said", [["said.set", { n: S.points.length }]]);
  render();
}

const middle = () => S.plane.map(([low, high]) => (low + high) / 2);
// Places on a screen have no more digits than this.
const rounded = (x) => Number(x.toPrecision(4));

// EM --------------------------------------------------------------------------------------------------------------

function take(found) {
  for (const name of ["model", "view", "states", "loglik"]) if (name in found) S[name] = found[name];
  S.narrow = S.held = null; // they were of another model
  S.component = Math.min(S.component, S.view.length - 1);
}

const KEPT = ["model", "view", "states", "loglik", "shared", "fresh", "reason"];
const snapshot = () => ({ ...Object.fromEntries(KEPT.map((name) => [name, S[name]])), curve: [...S.curve] });

function noPoints() {
  if (S.points.length > 0) return false;
  say("said", [["said.no_points", {}]]);
  return true;
}

function noModel() {
  if (noPoints()) return true;
  if (S.model) return false;
  say("said", [["said.no_model", {}]]);
  return true;
}

async function begin() {
  if (noPoints()) return;
  const found = await ask("begin", posed({ start: S.start }));
  forget();
  take(found);
  S.curve = [S.loglik];
  S.begun = S.start;
  did("begin");
  say("said", [["said.begun", { k: S.k, loglik: fixed(S.loglik, 2) }]]);
  render();
  await refreshKmeans();
  await lookAgain();
}

async function eStep(quietly = false) {
  if (noModel()) return;
  const before = snapshot();
  S.shared = await ask("share", withModel());
  if (!S.fresh) S.past.push(before);
  S.fresh = true;
  if (!quietly) {
    did("e");
    say("said", [["said.e", { n: S.points.length, loglik: fixed(S.loglik, 2) }]]);
  }
  render();
}

async function mStep() {
  if (noModel()) return;
  if (!S.fresh) {
    say("said", [["said.e_first", {}]]);
    return;
  }
  const before = snapshot();
  const from = S.view;
  const found = await ask("update", withModel({ history: S.curve }));
  S.past.push(before);
  take(found);
  S.curve = [...S.curve, S.loglik];
  S.fresh = false;
  S.reason = found.converged ? "converged" : null;
  did("m");
  await glide(from);
  const parts = [gained(found.before, S.loglik)];
  if (found.lately !== null) {
    const numbers = { window: setup.window, gain: sig(Math.max(found.lately, 0), 3), tol: setup.tol };
    parts.push([found.converged ? "said.rule_met" : "said.rule_not_met", numbers]);
  } else if (found.converged) parts.push(["said.rule_rounding", {}]);
  say("said", parts);
  render();
  await refreshKmeans();
  await lookAgain();
}

function gained(before, after) {
  const numbers = { before: fixed(before, 3), after: fixed(after, 3), gain: sig(after - before, 3) };
  return after - before > 1e-9 ? ["said.gain", numbers] : ["said.no_gain", numbers];
}

async function run() {
  if (noModel()) return;
  S.running = true;
  render();
  try {
    await runOn();
  } finally { // also where the server does not answer
    S.running = false;
    render();
  }
}

async function runOn() {
  const first = S.curve.length ? S.curve.at(-1) : S.loglik;
  let made = 0;
  let reason, lately;
  do {
    const found = await ask("run", withModel());
    ({ reason, lately } = found);
    const frames = found.passes.slice(1);
    const pause = Math.min(200, Math.max(16, (1000 * SHOWN) / Math.max(frames.length, 1)));
    for (const frame of frames) {
      S.past.push(snapshot());
      take(frame);
      S.curve = [...S.curve, S.loglik];
      S.fresh = false;
      S.reason = null;
      made += 1;
      if (calm.matches) continue;
      if (frames.length <= COLOURED) await eStepOnTheWay();
      render();
      await new Promise((done) => setTimeout(done, pause));
      if (!S.running) break;
    }
    if (S.running) S.states = found.states;
  } while (S.running && reason === "max_iter" && made < 3000);
  const stopped = !S.running;
  S.running = false;
  if (stopped) take(await ask("see", withModel()));
  else S.reason = reason;
  S.shared = await ask("share", withModel());
  S.fresh = true;
  const numbers = { passes: made, before: fixed(first, 2), loglik: fixed(S.loglik, 2), gain: sig(S.loglik - first, 4),
    lately: lately === null ? "" : sig(Math.max(lately, 0), 3), window: setup.window, tol: setup.tol };
  const how = reason === "converged" && !(lately < setup.tol && lately !== null) ? "still" : reason;
  say("said", [[stopped ? "said.stopped" : `said.run.${how}`, numbers]]);
  if (!stopped) did("run");
  render();
  await refreshKmeans();
  await lookAgain();
}

async function eStepOnTheWay() {
  S.shared = await ask("share", withModel());
  S.fresh = true;
}

async function stepBack() {
  const before = S.past.pop();
  if (!before) {
    say("said", [["said.no_past", {}]]);
    return;
  }
  Object.assign(S, before);
  S.narrow = S.held = null;
  S.component = Math.min(S.component, S.view.length - 1);
  say("said", [["said.back", { loglik: fixed(S.loglik, 2) }]]);
  render();
  await refreshKmeans();
  await lookAgain();
}

// Another K or family is another question: what there was is no answer to it.
function asked(next) {
  act(async () => {
    Object.assign(S, next);
    forget();
    S.kmeans = null;
    if (S.points.length) say("said", [["said.asked", {}]]);
    await refreshKmeans();
    render();
  });
}

async function refreshKmeans() {
  S.kmeans = null;
  if (!$("with-kmeans").checked || S.points.length === 0) {
    say("kmeans-said", []);
    return;
  }
  try {
    S.kmeans = await ask("kmeans", S.model ? withModel({ source: S.source }) : posed({ source: S.source }));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say("kmeans-said", [[`error.${error.code}`, error.numbers]]);
    return;
  }
  const wrong = S.kmeans.wrong;
  const n = S.points.length;
  say("kmeans-said", wrong === null ? [["kmeans.said", {}]]
    : wrong.mixture === null ? [["kmeans.said", {}], ["kmeans.wrong", { n, wrong: wrong.kmeans }]]
    : [["kmeans.said", {}], ["kmeans.both_wrong", { n, kmeans: wrong.kmeans, mixture: wrong.mixture }]]);
}

async function narrow() {
  if (noModel()) return;
  S.narrow = { ...(await ask("narrow", withModel({ component: S.component }))), component: S.component };
  did("narrow");
  renderNarrow();
}

async function fit(rule) {
  if (noPoints()) return;
  const found = await ask("fit", posed({ rule }));
  S.fitted = { rule, ...found, asked: S.k };
  did(`fit-${rule}`);
  if (!found.refused) {
    const before = S.model ? snapshot() : null;
    take(found);
    say("said", [["said.fit", { k: found.k, loglik: fixed(S.loglik, 2) }]]);
    if (before) S.past.push(before);
    S.curve = [S.loglik];
    S.fresh = false;
    S.reason = found.reason;
    await eStepOnTheWay();
  }
  sayFit();
  render();
  await refreshKmeans();
  await lookAgain();
}

function sayFit() {
  const f = S.fitted;
  if (!f) {
    say("fit-said", []);
    return;
  }
  const bad = f.states.map((one, k) => [one.state, k + 1]).filter(([state]) => !["ok", "flat"].includes(state));
  const numbers = { k: f.asked, left: f.k, loglik: fixed(f.loglik, 2), starts: f.starts,
    which: bad.map(([, k]) => k).join(words.comma), dropped: f.dropped.map((k) => k + 1).join(words.comma) };
  const key = !f.degenerate ? "healthy" : f.refused ? "raised" : f.rule === "drop" && f.dropped.length ? "dropped" : "rescued";
  say("fit-said", [[`fit.said.${key}`, numbers]]);
}

// Bayes' rule at a place ------------------------------------------------------------------------------------------

let looking = false;
let nextLook = null;

// The pointer is faster than answers: only where it is last is asked for.
function lookAt(place, name = null, aloud = false) {
  nextLook = { place, name, aloud };
  if (!looking) void lookOn();
}

async function lookOn() {
  looking = true;
  try {
    while (nextLook) {
      const { place, name, aloud } = nextLook;
      nextLook = null;
      S.lookAt = { place, name };
      const model = S.model;
      const found = model ? await ask("look", { model, at: place }) : null;
      if (model !== S.model) continue; // another look follows
      S.look = found && { ...found, place, name };
      if (found) did("look");
      renderLook();
      checkLesson();
      if (aloud) speakLook();
    }
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say("said", [[`error.${error.code}`, error.numbers]]);
  } finally {
    looking = false;
  }
}

async function lookAgain() {
  if (S.lookAt) lookAt(S.lookAt.place, S.near >= 0 ? S.near : null);
  else renderLook();
}

function speakLook() {
  const { place, name } = S.look ?? S.lookAt;
  const at = pair(place, 3);
  const where = name === null ? ["spoken.place", { at }] : ["spoken.point", { n: name + 1, total: S.points.length, at }];
  const shares = S.look ? S.look.responsibilities.map((r, k) => ["spoken.share", { k: k + 1, r: fixed(r, 2) }]) : [];
  say("spoken", [where, ...shares]);
}

// Drawing ---------------------------------------------------------------------------------------------------------

function rgb(text) {
  const n = parseInt(text.slice(1), 16);
  return [n >> 16, (n >> 8) & 255, n & 255];
}

function color(k) {
  const own = setup.colors[k % setup.colors.length];
  return own === "#000000" && dark.matches ? [236, 235, 231] : rgb(own);
}

const css = (c) => `rgb(${c.map(Math.round).join(" ")})`;
// Black letters where they have more contrast than white ones (relative luminance of WCAG).
const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255) > 0.179;

// Of a colour for each component, as much as its share.
function mixed(shares) {
  const out = [0, 0, 0];
  shares.forEach((r, k) => color(k).forEach((v, i) => { out[i] += r * v; }));
  return out;
}

const highest = (list) => list.reduce((best, value, i) => (value > list[best] ? i : best), 0);

function marker(k, x, y, r) {
  const polygon = (turn, corners, size = 1) => Array.from({ length: corners }, (_, i) => {
    const a = turn + (2 * Math.PI * i) / corners;
    return `${i ? "L" : "M"}${(x + size * r * Math.sin(a)).toFixed(2)} ${(y - size * r * Math.cos(a)).toFixed(2)}`;
  }).join("") + "Z";
  const star = (turn, tips = 4, waist = 0.5) => Array.from({ length: 2 * tips }, (_, i) => {
    const a = turn + (Math.PI * i) / tips, s = i % 2 ? waist : 1.25;
    return `${i ? "L" : "M"}${(x + s * r * Math.sin(a)).toFixed(2)} ${(y - s * r * Math.cos(a)).toFixed(2)}`;
  }).join("") + "Z";
  return [
    `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`,
    polygon(0, 3, 1.3), polygon(Math.PI / 4, 4, 1.25), polygon(0, 4, 1.3), polygon(Math.PI, 3, 1.3),
    star(0), star(Math.PI / 4), polygon(0, 5, 1.2),
    // From the ninth on colours come again, but no symbol does.
    star(0, 3), star(Math.PI, 3), polygon(Math.PI / 2, 3, 1.3), star(0, 6, 0.7),
  ][k % 12];
}

function ticks(low, high, count) {
  const raw = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= raw);
  const out = [];
  for (let t = Math.ceil(low / step) * step; t <= high + 1e-9 * step; t += step) out.push(Number(t.toPrecision(10)));
  return out;
}

// Where the plane is on the screen: one unit of the drawing is one pixel, so that letters stay readable.
function frame(svg) {
  const width = Math.max(svg.clientWidth, 240);
  const height = Math.round(Math.min(width * 0.8, 560));
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const [[x0, x1], [y0, y1]] = S.plane;
  const w = width - MARGIN.left - MARGIN.right, h = height - MARGIN.top - MARGIN.bottom;
  return {
    width, height,
    x: (v) => MARGIN.left + ((v - x0) / (x1 - x0)) * w,
    y: (v) => MARGIN.top + ((y1 - v) / (y1 - y0)) * h,
    back: (px, py) => [x0 + ((px - MARGIN.left) / w) * (x1 - x0), y1 - ((py - MARGIN.top) / h) * (y1 - y0)],
  };
}

function axes(svg, f) {
  const [[x0, x1], [y0, y1]] = S.plane;
  const out = draw("g", { "aria-hidden": "true" });
  for (const t of ticks(x0, x1, 6)) {
    out.append(draw("line", { class: "grid", x1: f.x(t), x2: f.x(t), y1: f.y(y0), y2: f.y(y1) }));
    out.append(draw("text", { x: f.x(t), y: f.height - 9, "text-anchor": "middle" }, minus(String(t))));
  }
  for (const t of ticks(y0, y1, 5)) {
    out.append(draw("line", { class: "grid", x1: f.x(x0), x2: f.x(x1), y1: f.y(t), y2: f.y(t) }));
    out.append(draw("text", { x: MARGIN.left - 6, y: f.y(t) + 4, "text-anchor": "end" }, minus(String(t))));
  }
  out.append(draw("path", { class: "axis", fill: "none", d: `M${f.x(x0)} ${f.y(y1)}V${f.y(y0)}H${f.x(x1)}` }));
  svg.replaceChildren(out);
}

function ellipse(f, one, r) {
  const [[a], [b, c]] = one.root;
  return Array.from({ length: 73 }, (_, i) => {
    const t = (2 * Math.PI * i) / 72, u = r * Math.cos(t), v = r * Math.sin(t);
    return `${i ? "L" : "M"}${f.x(one.mean[0] + a * u).toFixed(2)} ${f.y(one.mean[1] + b * u + c * v).toFixed(2)}`;
  }).join("") + "Z";
}

function dots(f, fill, shape) {
  const out = draw("g", { class: "dots" });
  const r = S.points.length > 600 ? 3 : S.points.length > 150 ? 4 : 5;
  S.points.forEach((p, i) => {
    const own = fill(i);
    const dot = draw("path", { class: `dot${own ? "" : " plain"}${i === S.near ? " near" : ""} handle`, "data-point": i,
      d: marker(shape(i), f.x(p[0]), f.y(p[1]), r) });
    if (own) dot.style.fill = css(own);
    out.append(dot);
  });
  // Equal points hide each other.
  const copies = new Map();
  for (const p of S.points) copies.set(String(p), [p, (copies.get(String(p))?.[1] ?? 0) + 1]);
  for (const [p, n] of copies.values()) if (n > 1) out.append(draw("text", { x: f.x(p[0]) + 8, y: f.y(p[1]) + 14 }, `×${n}`));
  return out;
}

// The numbers at the means (or centres); where several lie at one place they stand side by side, tied to it by a line.
function disks(f, places, states = null) {
  const out = draw("g");
  const taken = [];
  places.forEach((place, k) => {
    const x = f.x(place[0]), y = f.y(place[1]);
    const before = taken.filter((one) => Math.hypot(one[0] - x, one[1] - y) < 14).length;
    taken.push([x, y]);
    const shift = 23 * before, c = color(k);
    const g = draw("g", { class: "mean handle", "data-mean": k });
    if (shift) g.append(draw("line", { class: "axis", x1: x, y1: y, x2: x + shift, y2: y }));
    g.append(draw("circle", { cx: x + shift, cy: y, r: 11, class: "mean-disk" }));
    g.lastChild.style.fill = css(c);
    const text = draw("text", { x: x + shift, y: y + 4.5, "text-anchor": "middle", "font-weight": "700" }, String(k + 1));
    text.style.fill = light(c) ? "#000" : "#fff";
    g.append(text);
    if (states && !["ok", "flat"].includes(states[k]?.state)) {
      g.append(draw("text", { class: "alarm", x: x + shift + 12, y: y - 8 }, "!"));
    }
    out.append(g);
  });
  return out;
}

let F = null; // of the plane as it is drawn

function renderPlane() {
  const svg = $("plane");
  F = frame(svg);
  axes(svg, F);
  const spreads = draw("g", { class: "spread" });
  (S.view ?? []).forEach((one, k) => {
    for (const [r, opacity] of [[2, 0.1], [1, 0.14]]) {
      const path = draw("path", { d: ellipse(F, one, r), "fill-opacity": opacity, "stroke-width": r === 2 ? 1.6 : 0.8,
        "stroke-dasharray": DASHES[k % DASHES.length], "data-spread": k });
      path.style.fill = path.style.stroke = css(color(k));
      spreads.append(path);
    }
  });
  const [[x0, x1], [y0, y1]] = S.plane;
  svg.append(draw("clipPath", { id: "inside" }));
  svg.lastChild.append(draw("rect", { x: F.x(x0), y: F.y(y1), width: F.x(x1) - F.x(x0), height: F.y(y0) - F.y(y1) }));
  spreads.setAttribute("clip-path", "url(#inside)");
  svg.append(spreads);
  const r = S.shared?.responsibilities;
  svg.append(dots(F, (i) => (r ? mixed(r[i]) : null), (i) => (r ? highest(r[i]) : 0)));
  const trails = draw("g", { "clip-path": "url(#inside)" });
  (S.view ?? []).forEach((one, k) => {
    const way = [...S.past.filter((p) => p.view?.length === S.view.length).map((p) => p.view[k].mean), one.mean];
    const path = draw("path", { class: "trail", d: way.map((m, i) => `${i ? "L" : "M"}${F.x(m[0])} ${F.y(m[1])}`).join("") });
    path.style.stroke = css(color(k));
    trails.append(path);
  });
  svg.append(trails);
  svg.append(disks(F, (S.view ?? []).map((one) => one.mean), S.states));
  renderCross();
}

function renderCross() {
  const svg = $("plane");
  svg.querySelector(".crosshair")?.remove();
  const place = S.held?.to ?? (document.activeElement === svg || S.lookAt ? S.cross : null);
  if (!place) return;
  const g = draw("g", { class: "crosshair" });
  const [[x0, x1], [y0, y1]] = S.plane;
  g.append(draw("line", { class: "cross", x1: F.x(x0), x2: F.x(x1), y1: F.y(place[1]), y2: F.y(place[1]) }));
  g.append(draw("line", { class: "cross", x1: F.x(place[0]), x2: F.x(place[0]), y1: F.y(y0), y2: F.y(y1) }));
  svg.append(g);
  svg.querySelectorAll(".dot.near").forEach((one) => one.classList.remove("near"));
  if (S.near >= 0) svg.querySelector(`[data-point="${S.near}"]`)?.classList.add("near");
}

function renderKmeans() {
  $("kmeans-figure").hidden = !S.kmeans;
  if (!S.kmeans) return;
  const svg = $("kmeans-plane");
  const f = frame(svg);
  axes(svg, f);
  const { labels, centers } = S.kmeans;
  const g = dots(f, (i) => color(labels[i]), (i) => labels[i]);
  svg.append(g);
  svg.append(disks(f, centers));
}

// Between two models: only what is drawn moves, and it is a mixture on its way, too (factors between factors).
async function glide(from) {
  if (calm.matches || document.hidden || !from || from.length !== S.view.length) return;
  const to = S.view;
  const between = (a, b, t) => (Array.isArray(a) ? a.map((one, i) => between(one, b[i], t)) : a + t * (b - a));
  const began = performance.now();
  for (let t = 0; t < 1;) {
    t = Math.min((performance.now() - began) / 350, 1);
    S.view = to.map((one, k) => ({ ...one, mean: between(from[k].mean, one.mean, t), root: between(from[k].root, one.root, t) }));
    renderPlane();
    await new Promise((done) => requestAnimationFrame(done));
  }
  S.view = to;
}

function renderCurve() {
  const svg = $("curve");
  const width = Math.max(svg.clientWidth, 240), height = 150;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren();
  const n = S.curve.length;
  if (n === 0) {
    say("curve-said", [["curve.none", {}]]);
    return;
  }
  const low = Math.min(...S.curve), high = Math.max(...S.curve);
  const room = high > low ? 0 : 1;
  const left = 64, x = (i) => left + (n > 1 ? (i / (n - 1)) * (width - left - 12) : 0);
  const y = (v) => 12 + ((high + room - v) / (high - low + 2 * room)) * (height - 46);
  for (const v of high > low ? [low, high] : [high]) {
    svg.append(draw("line", { class: "grid", x1: left, x2: width - 8, y1: y(v), y2: y(v) }));
    svg.append(draw("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, fixed(v, 1)));
  }
  svg.append(draw("path", { class: "curve-line", d: S.curve.map((v, i) => `${i ? "L" : "M"}${x(i)} ${y(v)}`).join("") }));
  if (n <= 60) S.curve.forEach((v, i) => svg.append(draw("circle", { class: "curve-dot", cx: x(i), cy: y(v), r: 3 })));
  svg.append(draw("text", { x: left, y: height - 4 }, "0"));
  if (n > 1) svg.append(draw("text", { x: width - 8, y: height - 4, "text-anchor": "end" }, String(n - 1)));
  svg.append(draw("text", { x: (left + width) / 2, y: height - 4, "text-anchor": "middle" }, word("curve.passes")));
  say("curve-said", [["curve.said", { passes: n - 1, first: fixed(S.curve[0], 2), last: fixed(S.curve[n - 1], 2) }]]);
}

function cells(row, kind, list) {
  const tr = make("tr");
  list.forEach((text, i) => tr.append(make(kind === "th" || i === 0 ? "th" : "td", { scope: kind === "th" ? "col" : "row" }, text)));
  row.append(tr);
  return tr;
}

// The symbol that points of the component have, and its number.
function badge(k) {
  const span = make("span");
  const svg = draw("svg", { width: 14, height: 14, viewBox: "0 0 14 14", "aria-hidden": "true" });
  const path = draw("path", { class: "dot", d: marker(k, 7, 7, 5) });
  path.style.fill = css(color(k));
  svg.append(path);
  svg.style.display = "inline-block";
  svg.style.width = "14px";
  svg.style.verticalAlign = "-2px";
  span.append(svg, ` ${k + 1}`);
  return span;
}

function renderLook() {
  const table = $("bayes");
  table.replaceChildren();
  if (F) renderCross();
  if (!S.look || !S.lookAt || !S.model) {
    put($("bayes-at"), word(S.model ? "bayes.nowhere" : "bayes.no_model"));
    $("bayes-said").replaceChildren();
    return;
  }
  const l = S.look, { place, name } = l;
  put($("bayes-at"), name === null ? word("bayes.place", { at: pair(place) }) : word("bayes.point", { n: name + 1, at: pair(place) }));
  const head = make("thead");
  const columns = ["component", "weight", "distance", "density", "product", "share"];
  const titles = cells(head, "th", columns.map(() => "")).children;
  columns.forEach((one, i) => {
    // Where there is little room the symbol stands alone; who listens hears the words.
    const parts = word(`bayes.col.${one}`).split("|");
    titles[i].append(...parts.map((part, j) => make("span", { class: parts.length > 1 && j === 0 ? "long" : "symbol" }, part)));
  });
  const body = make("tbody");
  const most = highest(l.responsibilities);
  l.responsibilities.forEach((r, k) => {
    const tr = cells(body, "td", ["", fixed(l.weights[k], 3), sig(l.mahalanobis[k], 3), fromLog(l.log_density[k]),
      fromLog(l.log_product[k]), fixed(r, 4)]);
    tr.firstChild.append(badge(k));
    if (k === most) tr.className = "most";
  });
  const foot = make("tfoot");
  cells(foot, "td", [word("bayes.sum"), fixed(l.weights.reduce((a, b) => a + b, 0), 3), "", "", fromLog(l.log_sum), fixed(l.responsibilities.reduce((a, b) => a + b, 0), 4)]);
  table.append(head, body, foot);
  put($("bayes-said"), word("bayes.said", { k: most + 1, product: fromLog(l.log_product[most]), sum: fromLog(l.log_sum),
    r: fixed(l.responsibilities[most], 4) }));
}

function renderM() {
  const box = $("m-numbers");
  box.replaceChildren();
  const sum = S.shared;
  const k = S.component;
  if (!sum || k >= sum.mass.length) {
    box.append(make("p", { class: "quiet" }, word("m.none")));
    return;
  }
  const n = S.points.length, mass = sum.mass[k], first = sum.first[k];
  const cov = sum.after.covariances[k];
  const numbers = { k: k + 1, n, mass: sig(mass), weight: fixed(sum.after.weights[k], 4), sx: sig(first[0]), sy: sig(first[1]),
    mx: sig(sum.after.means[k][0]), my: sig(sum.after.means[k][1]), a: sig(cov[0][0], 3), b: sig(cov[0][1], 3), c: sig(cov[1][1], 3) };
  for (const key of ["m.mass", "m.weight", "m.mean", "m.covariance"]) box.append(make("p", {}, word(key, numbers)));
  box.append(make("p", { class: "quiet" }, word(codeOf(S.family) === "VVV" ? "m.free" : "m.family", { code: codeOf(S.family) })));
}

const codeOf = (name) => setup.families.find((one) => one.name === name).code;

function renderStates() {
  const table = $("states"), list = $("states-said");
  table.replaceChildren();
  list.replaceChildren();
  if (!S.states) {
    list.append(make("li", {}, word("states.none")));
    return;
  }
  const head = make("thead"), body = make("tbody");
  cells(head, "th", ["component", "state", "rows", "distinct", "scale"].map((one) => word(`states.col.${one}`)));
  S.states.forEach((one, k) => {
    const tr = cells(body, "td", ["", word(`state.${one.state}`), sig(one.effective_n, 3), String(one.distinct_rows), sig(one.smallest_scale, 2)]);
    tr.firstChild.append(badge(k));
  });
  table.append(head, body);
  for (const state of new Set(S.states.map((one) => one.state))) list.append(make("li", {}, word(`state.${state}.said`)));
}

function renderNarrow() {
  const box = $("narrow-numbers");
  box.replaceChildren();
  if (!S.narrow) return;
  const { at, points, rows, component } = S.narrow;
  box.append(make("p", {}, word("narrow.said", { k: component + 1, at: pair(at, 3), points })));
  const table = make("table"), head = make("thead"), body = make("tbody");
  cells(head, "th", [word("narrow.col.deviation"), word("narrow.col.loglik"), word("narrow.col.gain")]);
  rows.forEach((one, i) => cells(body, "td", [sig(one.deviation, 3), fixed(one.loglik, 2),
    i ? (one.loglik > rows[i - 1].loglik ? "+" : "") + fixed(one.loglik - rows[i - 1].loglik, 2) : ""]));
  table.append(head, body);
  const grows = rows.at(-1).loglik > rows.at(-2).loglik;
  box.append(table, make("p", {}, word(grows ? "narrow.end" : "narrow.falls", { points })));
}

function renderControls() {
  $("k").value = String(S.k);
  $("family").value = S.family;
  $("start").value = S.start;
  $("set").value = S.set;
  const family = setup.families.find((one) => one.name === S.family);
  put($("family-said"), `${word(`family.${family.code}`)}${words.between}${word("em.family.parameters", { code: family.code, n: family.parameters[S.k - 1] })}`);
  put($("start-said"), word(`start.${S.start}.said`));
  const none = (id, off) => $(id).setAttribute("aria-disabled", String(off));
  none("e-step", !S.model);
  none("m-step", !S.model || !S.fresh);
  none("em-step", !S.model);
  none("run", !S.model);
  none("begin", S.points.length === 0);
  none("back", S.past.length === 0);
  none("narrow", !S.model);
  none("undo", S.undo.length === 0);
  none("clear", S.points.length === 0);
  put($("run"), word(S.running ? "em.stop" : "em.run"));
  const select = $("component");
  const n = S.view?.length ?? S.k;
  if (select.options.length !== n) select.replaceChildren(...Array.from({ length: n }, (_, k) => make("option", { value: k }, String(k + 1))));
  select.value = String(S.component);
  put($("plane-caption"), `${word("board.count", { n: S.points.length })}${words.between}${word(S.set === "faithful" ? "board.faithful" : S.view ? "board.rings" : "board.empty")}`);
  $("plane").setAttribute("aria-label", word("board.label", { n: S.points.length, k: S.view?.length ?? 0 }));
}

function render() {
  renderControls();
  renderKmeans();
  renderPlane();
  renderCurve();
  renderLook();
  renderM();
  renderStates();
  renderNarrow();
}

// The pointer and the keys ----------------------------------------------------------------------------------------

function placeOf(event) {
  const box = $("plane").getBoundingClientRect();
  const scale = F.width / box.width;
  return F.back((event.clientX - box.left) * scale, (event.clientY - box.top) * scale);
}

const within = (place) => place.every((v, i) => v >= S.plane[i][0] && v <= S.plane[i][1]);
const clamped = (place) => place.map((v, i) => Math.min(Math.max(v, S.plane[i][0]), S.plane[i][1]));

function nearest(place, reach = 12) {
  let best = -1, least = reach ** 2;
  S.points.forEach((p, i) => {
    const d = (F.x(p[0]) - F.x(place[0])) ** 2 + (F.y(p[1]) - F.y(place[1])) ** 2;
    if (d < least) [best, least] = [i, d];
  });
  return best;
}

function nearestMean(place, reach = 16) {
  const d = (S.view ?? []).map((one) => Math.hypot(F.x(one.mean[0]) - F.x(place[0]), F.y(one.mean[1]) - F.y(place[1])));
  const best = d.length ? d.reduce((b, v, i) => (v < d[b] ? i : b), 0) : -1;
  return best >= 0 && d[best] < reach ? best : -1;
}

function goTo(place, aloud, point = nearest(place)) {
  S.cross = clamped(place);
  S.meant = -1;
  S.near = point;
  lookAt(point >= 0 ? S.points[point] : S.cross, point >= 0 ? point : null, aloud);
  renderCross();
}

function showHeld() {
  const { mean, point, to } = S.held;
  const part = mean !== undefined ? $("plane").querySelector(`[data-mean="${mean}"]`) : $("plane").querySelector(`[data-point="${point}"]`);
  const from = mean !== undefined ? S.view[mean].mean : S.points[point];
  part?.setAttribute("transform", `translate(${F.x(to[0]) - F.x(from[0])} ${F.y(to[1]) - F.y(from[1])})`);
  renderCross();
}

function drop() {
  const { mean, point, to } = S.held;
  S.held = null;
  act(() => (mean !== undefined ? moveMean(mean, to) : movePoint(point, to)));
}

let pressed = null;

function wirePlane() {
  const plane = $("plane");
  plane.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary || S.running) return;
    const handle = event.target.closest(".handle");
    const place = placeOf(event);
    pressed = { x: event.clientX, y: event.clientY, place, moved: false };
    if (handle && S.tool === "put") {
      const mean = handle.dataset.mean, point = handle.dataset.point;
      pressed.held = mean !== undefined ? { mean: Number(mean) } : { point: Number(point) };
    }
    plane.setPointerCapture(event.pointerId); // to hear of it where it is let go outside
  });
  plane.addEventListener("pointermove", (event) => {
    const place = placeOf(event);
    if (pressed && Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) > 4) pressed.moved = true;
    if (pressed?.held && pressed.moved) {
      S.held = { ...pressed.held, to: clamped(place) };
      showHeld();
    } else if (!pressed && within(place) && event.pointerType !== "touch" && !S.running) goTo(place, false);
  });
  plane.addEventListener("pointerup", (event) => {
    if (!event.isPrimary) return;
    const press = pressed;
    pressed = null;
    if (!press) return;
    if (S.held && press.held) {
      drop();
      return;
    }
    const place = placeOf(event);
    if (press.moved || !within(place)) return;
    S.cross = place;
    if (S.tool === "remove") act(() => removePoint(nearest(place)));
    else if (S.tool === "put" && !press.held) act(() => addPoint(place));
    goTo(place, false);
  });
  plane.addEventListener("pointercancel", () => {
    pressed = null;
    S.held = null;
    renderPlane();
  });
  plane.addEventListener("focus", renderCross);
  plane.addEventListener("blur", renderCross);
  plane.addEventListener("keydown", onKey);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || S.running) return;
  const step = (event.shiftKey ? 0.005 : 0.025);
  const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  const turn = { PageDown: 1, "]": 1, PageUp: -1, "[": -1 }[event.key];
  if (by) {
    const to = clamped(S.cross.map((v, i) => v + step * by[i] * (S.plane[i][1] - S.plane[i][0])));
    if (S.held) {
      S.cross = S.held.to = to;
      showHeld();
    } else goTo(to, true);
  } else if (event.key === "Enter" || event.key === " ") {
    if (S.held) drop();
    else if (S.tool === "remove") act(() => removePoint(nearest(S.cross)));
    else if (S.tool === "put") {
      const place = S.cross;
      act(() => addPoint(place));
    } else goTo(S.cross, true);
  } else if (event.key === "Delete" || event.key === "Backspace") {
    act(() => removePoint(nearest(S.cross)));
  } else if (event.key.toLowerCase() === "g") {
    const mean = S.meant >= 0 ? S.meant : nearestMean(S.cross), point = nearest(S.cross);
    if (mean < 0 && point < 0) say("said", [["said.none_near", {}]]);
    else {
      S.held = mean >= 0 ? { mean, to: S.view[mean].mean } : { point, to: S.points[point] };
      S.cross = S.held.to;
      say("said", [[mean >= 0 ? "said.held_mean" : "said.held_point", { k: mean + 1, n: point + 1 }]]);
      showHeld();
    }
  } else if (event.key === "Escape" && S.held) {
    S.held = null;
    renderPlane();
  } else if (/^[1-9]$/.test(event.key) && S.view && Number(event.key) <= S.view.length) {
    goTo(S.view[Number(event.key) - 1].mean, true);
    S.meant = Number(event.key) - 1; // of several means at one place
  } else if (turn && S.points.length) {
    const n = S.points.length;
    const next = S.near < 0 ? (turn > 0 ? 0 : n - 1) : (S.near + turn + n) % n;
    goTo(S.points[next], true, next);
  } else return;
  event.preventDefault();
}

// Lessons ---------------------------------------------------------------------------------------------------------

const made = (what, times = 1) => () => (S.did[what] ?? 0) >= times;
const both = (...all) => () => all.every((one) => one());
const allFine = () => S.states !== null && S.states.every((one) => one.state === "ok");

// Each step: what is done when it begins, and whether the reader has done what it asks for.
const LESSONS = {
  first: [
    { begin: () => prepare({ points: [], k: 1 }), done: () => S.points.length >= 1 },
    { done: () => S.points.length >= 8 },
    { done: () => S.k === 2 },
    { done: () => S.model !== null },
    { done: made("e") },
    { done: made("look") },
    { done: made("m") },
    { done: made("m", 3) },
    { done: made("run") },
    {},
  ],
  bad: [
    { begin: () => prepare({ set: "four", k: 4, start: "one-place", begin: true }), done: made("e") },
    { done: made("run") },
    { done: both(made("mean"), made("run")) },
    { begin: () => prepare({ set: "four", k: 4, start: "crowded", begin: true }), done: made("run") },
    { done: () => S.begun === "k-means++" && both(made("begin"), made("run"))() },
    {},
  ],
  collapse: [
    { begin: () => prepare({ set: "twins", k: 3, begin: true }), done: made("run") },
    { begin: () => chooseBad(), done: made("narrow") },
    { done: both(made("fit-rescue"), made("fit-drop"), made("fit-raise")) },
    { done: () => S.k <= 2 && made("run")() && allFine() },
    { begin: () => prepare({ set: "outlier", k: 2, begin: true }), done: made("run") },
    {},
  ],
  kmeans: [
    { begin: () => prepare({ set: "unequal", k: 2 }), done: made("kmeans") },
    { done: both(made("begin"), made("run")) },
    { begin: () => prepare({ set: "stretched", k: 2, kmeans: true }), done: both(made("begin"), made("run")) },
    { done: () => S.family === "EII" && made("run")() },
    { begin: () => prepare({ set: "ring", k: 2, start: "random", kmeans: true }), done: both(made("begin"), made("run")) },
    {},
  ],
  free: [{}],
};

function did(what) {
  S.did[what] = (S.did[what] ?? 0) + 1;
}

async function prepare({ set = "", points = null, k, family = "full", start = "k-means++", begin: beginning = false, kmeans = false }) {
  Object.assign(S, { k, family, start, seed: 0 });
  forget();
  $("with-kmeans").checked = kmeans;
  if (set) await chooseSet(set);
  else await setPoints({ points, source: null, set: "", plane: setup.board });
  S.cross = middle();
  S.lookAt = null;
  if (beginning) await begin();
  S.past = [];
  render();
}

function chooseBad() {
  const bad = (S.states ?? []).findIndex((one) => one.state !== "ok");
  if (bad >= 0) S.component = bad;
  render();
}

function goToStep(lesson, step) {
  S.lesson = lesson;
  S.step = step;
  S.did = {};
  S.hint = null;
  remember();
  return act(async () => {
    S.did = {};
    await (LESSONS[lesson][step].begin ?? (() => {}))();
    renderLesson();
  });
}

const stepDone = () => (LESSONS[S.lesson][S.step].done ?? (() => true))();

function next() {
  const steps = LESSONS[S.lesson];
  if (!stepDone()) {
    S.hint = "asked";
    renderLesson();
    return;
  }
  const lessons = Object.keys(LESSONS);
  const to = S.step + 1 < steps.length ? [S.lesson, S.step + 1] : [lessons[lessons.indexOf(S.lesson) + 1], 0];
  void goToStep(...to).then(() => $("lesson-title").focus());
}

function checkLesson() {
  if (setup) renderLesson();
}

function renderLesson() {
  const steps = LESSONS[S.lesson];
  const asks = LESSONS[S.lesson][S.step].done !== undefined;
  for (const one of $("lessons").children) one.setAttribute("aria-current", String(one.dataset.lesson === S.lesson));
  const key = `${S.lesson}.${S.step + 1}`;
  if ($("lesson-title").dataset.at !== key + language) {
    $("lesson-title").dataset.at = key + language;
    put($("lesson-title"), word(`lesson.${key}.title`));
    prose($("lesson-text"), word(`lesson.${key}`));
    put($("lesson-place"), steps.length > 1 ? word("lesson.place", { step: S.step + 1, of: steps.length }) : word("lesson.no_steps"));
  }
  const done = asks && stepDone();
  $("lesson-hint").className = done ? "done" : "";
  say("lesson-hint", done ? [["lesson.done", {}]] : asks && S.hint ? [["lesson.not_yet", {}], [`lesson.${key}.hint`, {}]] : []);
  $("lesson-go").hidden = steps.length === 1;
  $("lesson-back").setAttribute("aria-disabled", String(S.step === 0));
  put($("lesson-next"), word(S.step + 1 < steps.length ? "lesson.next" : "lesson.onward"));
  $("lesson-next").setAttribute("aria-disabled", String(asks && !done));
}

// The page --------------------------------------------------------------------------------------------------------

function remember() {
  const url = new URL(location.href);
  url.searchParams.set("lang", language);
  url.searchParams.set("lesson", S.lesson);
  history.replaceState(null, "", url);
}

function speak(which) {
  words = dictionaries[which];
  language = which;
  document.documentElement.lang = which;
  document.title = word("title");
  for (const one of document.querySelectorAll("[data-word]")) put(one, word(one.dataset.word));
  for (const one of document.querySelectorAll("[data-prose]")) prose(one, word(one.dataset.prose));
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", word(one.dataset.label));
  for (const one of setup.languages) $(`to-${one}`).setAttribute("aria-pressed", String(one === which));
  const option = (value, text) => make("option", { value }, text);
  const named = (list, prefix) => list.map((one) => option(one, word(`${prefix}.${one}`)));
  $("set").replaceChildren(option("", word("set.own")), ...named(setup.sets, "set"));
  $("start").replaceChildren(...named(setup.starts, "start"));
  $("k").replaceChildren(...Array.from({ length: setup.most_components }, (_, i) => option(i + 1, String(i + 1))));
  const groups = [["em.family.names", (one) => one.name !== one.code], ["em.family.codes", (one) => one.name === one.code]];
  $("family").replaceChildren(...groups.map(([key, which]) => {
    const group = make("optgroup", { label: word(key) });
    group.append(...setup.families.filter(which).map((one) => option(one.name, one.name === one.code ? one.name : `${one.name} (${one.code})`)));
    return group;
  }));
  $("lessons").replaceChildren(...Object.keys(LESSONS).map((name) => {
    const button = make("button", { type: "button", "data-lesson": name }, word(`lesson.${name}`));
    button.addEventListener("click", () => goToStep(name, 0));
    return button;
  }));
  $("rules").replaceChildren(...setup.rules.map((rule) => {
    const button = make("button", { type: "button", "data-rule": rule }, `\`${rule}\``);
    button.addEventListener("click", () => act(() => fit(rule)));
    return button;
  }));
  for (const [place, parts] of Object.entries(S.said)) say(place, parts);
  sayFit();
  render();
  renderLesson();
  remember();
}

function wire() {
  wirePlane();
  const click = (id, what) => $(id).addEventListener("click", what);
  click("begin", () => act(() => begin()));
  click("e-step", () => act(() => eStep()));
  click("m-step", () => act(mStep));
  click("em-step", () => act(async () => {
    await eStep(true);
    await mStep();
  }));
  click("run", (event) => {
    if (!S.running) act(run);
    else if (event.detail < 2) S.running = false; // the second click of a double one stops nothing
  });
  click("back", () => act(stepBack));
  click("undo", () => act(async () => {
    const before = S.undo.pop();
    if (!before) {
      say("said", [["said.no_undo", {}]]);
      return;
    }
    if (String(before.plane) !== String(S.plane)) forget(); // in another plane the model means nothing
    await setPoints(before, false);
  }));
  click("clear", () => act(() => setPoints({ points: [], source: null, set: "", plane: setup.board })));
  click("narrow", () => act(narrow));
  click("lesson-next", (event) => event.detail < 2 && next()); // a double click leaves no step unread
  click("lesson-back", () => S.step > 0 && goToStep(S.lesson, S.step - 1));
  for (const one of setup.languages) click(`to-${one}`, () => speak(one));
  const change = (id, what) => $(id).addEventListener("change", (event) => what(event.target));
  change("k", (one) => asked({ k: Number(one.value) }));
  change("family", (one) => asked({ family: one.value }));
  change("start", (one) => {
    S.start = one.value;
    renderControls();
    checkLesson();
  });
  change("set", (one) => one.value && act(() => chooseSet(one.value)));
  change("component", (one) => {
    S.component = Number(one.value);
    renderM();
  });
  change("with-kmeans", (one) => act(async () => {
    await refreshKmeans();
    if (one.checked) did("kmeans");
    render();
  }));
  for (const one of document.querySelectorAll("[name=tool]")) one.addEventListener("change", () => { S.tool = one.value; });
  dark.addEventListener("change", () => setup && render());
  let width = 0;
  new ResizeObserver(() => {
    if ($("plane").clientWidth === width) return;
    width = $("plane").clientWidth;
    render();
  }).observe($("plane"));
}

async function open() {
  const read = async (name) => (await fetch(name)).json();
  setup = await read("setup.json");
  for (const one of setup.languages) dictionaries[one] = await read(`words.${one}.json`);
  const url = new URL(location.href).searchParams;
  const wanted = [url.get("lang"), setup.language, ...navigator.languages.map((one) => one.slice(0, 2))];
  S.plane = setup.board;
  S.cross = middle();
  const lesson = url.get("lesson") in LESSONS ? url.get("lesson") : "first";
  S.lesson = lesson;
  speak(wanted.find((one) => setup.languages.includes(one)) ?? "en");
  wire();
  await goToStep(lesson, 0);
}

await open();
