// The pointer and the keys in the plane.

import { S } from "./state.js";
import { $, say } from "./text.js";
import { act } from "./asking.js";
import { addPoint, lookAt, moveMean, movePoint, removePoint } from "./steps.js";
import { F, renderCross, renderPlane } from "./plane.js";

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

export function wirePlane() {
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
