// What a reader can do: points, EM step by step, and a look at a place. The server computes; here is in which order.

import { S, did, setup } from "./state.js";
import { $, fixed, pair, say, sig, words } from "./text.js";
import { Refused, act, ask, posed, settled, withModel } from "./asking.js";
import { calm, glide } from "./plane.js";
import { render, renderLook, renderNarrow } from "./tables.js";

const SHOWN = 4; // seconds that a run takes on the screen, at most
const COLOURED = 80; // passes up to which a run shows the shares of each

// Points --------------------------------------------------------------------------------------------------------------

const kept = () => ({ points: S.points, source: S.source, set: S.set, plane: S.plane });

export async function setPoints(next, remember = true) {
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

export function forget() {
  S.held = null;
  S.did.begin = S.did.run = 0; // steps of a lesson that are done anew are done again
  Object.assign(S, { model: null, view: null, states: null, loglik: null, shared: null, fresh: false, curve: [],
    past: [], reason: null, look: null, narrow: null, fitted: null, component: 0 });
  sayFit();
}

export async function addPoint(place) {
  if (S.points.length >= setup.most_points) {
    say("said", [["said.most_points", { most: setup.most_points }]]);
    return;
  }
  await setPoints({ points: [...S.points, place.map(rounded)], source: null, set: "" });
  did("point");
  say("said", [["said.added", { n: S.points.length, at: pair(S.points.at(-1), 3) }]]);
}

export async function removePoint(i) {
  if (i < 0) {
    say("said", [["said.none_near", {}]]);
    return;
  }
  const rest = (list) => list && list.filter((_, j) => j !== i);
  await setPoints({ points: rest(S.points), source: rest(S.source), set: "" });
  say("said", [["said.removed", { n: S.points.length }]]);
}

export async function movePoint(i, place) {
  const points = S.points.map((one, j) => (j === i ? place.map(rounded) : one));
  await setPoints({ points, source: null, set: "" });
}

export async function moveMean(k, place) {
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

export async function chooseSet(name) {
  const found = await ask("points", { set: name });
  forget();
  await setPoints({ points: found.points, source: found.source, plane: found.plane, set: name });
  S.cross = middle();
  say("said", [["said.set", { n: S.points.length }]]);
  render();
}

export const middle = () => S.plane.map(([low, high]) => (low + high) / 2);
// Places on a screen have no more digits than this.
const rounded = (x) => Number(x.toPrecision(4));

// EM ------------------------------------------------------------------------------------------------------------------

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

export async function begin() {
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

export async function eStep(quietly = false) {
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

export async function mStep() {
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

export async function run() {
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

export async function stepBack() {
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
export function asked(next) {
  act(async () => {
    Object.assign(S, next);
    forget();
    S.kmeans = null;
    if (S.points.length) say("said", [["said.asked", {}]]);
    await refreshKmeans();
    render();
  });
}

export async function refreshKmeans() {
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

export async function narrow() {
  if (noModel()) return;
  S.narrow = { ...(await ask("narrow", withModel({ component: S.component }))), component: S.component };
  did("narrow");
  renderNarrow();
}

export async function fit(rule) {
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

export function sayFit() {
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

// Bayes' rule at a place ----------------------------------------------------------------------------------------------

let looking = false;
let nextLook = null;

// The pointer is faster than answers: only where it is last is asked for.
export function lookAt(place, name = null, aloud = false) {
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
      settled();
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
