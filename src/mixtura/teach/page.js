// Draws what the server answers. No number of a mixture is computed here: only where on the screen it goes.

import { S, did, offer, setup } from "./state.js";
import { $, learn, make, prose, put, say, use, word } from "./text.js";
import { act, whenSettled } from "./asking.js";
import {
  asked, begin, chooseSet, eStep, fit, forget, mStep, middle, narrow, refreshKmeans, run, sayFit, setPoints,
  stepBack,
} from "./steps.js";
import { dark, renderPlanes } from "./plane.js";
import { render, renderControls, renderM } from "./tables.js";
import { wirePlane } from "./hand.js";
import { LESSONS, checkLesson, goToStep, next, remember, renderLesson } from "./lessons.js";

function speak(which) {
  use(which);
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
  addEventListener("resize", () => setup && renderPlanes());
  let width = 0;
  new ResizeObserver(() => {
    if ($("plane").clientWidth === width) return;
    width = $("plane").clientWidth;
    render();
  }).observe($("plane"));
}

async function open() {
  const read = async (name) => (await fetch(name)).json();
  offer(await read("setup.json"));
  for (const one of setup.languages) learn(one, await read(`words.${one}.json`));
  const url = new URL(location.href).searchParams;
  const wanted = [url.get("lang"), setup.language, ...navigator.languages.map((one) => one.slice(0, 2))];
  S.plane = setup.board;
  S.cross = middle();
  const lesson = url.get("lesson") in LESSONS ? url.get("lesson") : "first";
  S.lesson = lesson;
  speak(wanted.find((one) => setup.languages.includes(one)) ?? "en");
  whenSettled(checkLesson);
  wire();
  await goToStep(lesson, 0);
}

await open();
