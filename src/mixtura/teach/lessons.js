// The lessons: what a step begins with, and what it asks of the reader.

import { S, setup } from "./state.js";
import { $, language, prose, put, say, word } from "./text.js";
import { act } from "./asking.js";
import { begin, chooseSet, forget, middle, setPoints } from "./steps.js";
import { render } from "./tables.js";

export const made = (what, times = 1) => () => (S.did[what] ?? 0) >= times;
const both = (...all) => () => all.every((one) => one());
const allFine = () => S.states !== null && S.states.every((one) => one.state === "ok");

// Each step: what is done when it begins, and whether the reader has done what it asks for.
export const LESSONS = {
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

export function goToStep(lesson, step) {
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

export function next() {
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

export function checkLesson() {
  if (setup) renderLesson();
}

export function renderLesson() {
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

export function remember() {
  const url = new URL(location.href);
  url.searchParams.set("lang", language);
  url.searchParams.set("lesson", S.lesson);
  history.replaceState(null, "", url);
}
