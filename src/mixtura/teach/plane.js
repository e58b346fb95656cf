// The planes and the curve.

import { S, setup } from "./state.js";
import { $, draw, fixed, minus, say, word } from "./text.js";

const MARGIN = { left: 40, right: 10, top: 8, bottom: 26 };
const DASHES = ["", "7 4", "2 3", "9 3 2 3", "14 4", "5 2 1 2 1 2", "1 2", "4 6", "12 3 4 3", "3 1", "16 8", "1 5"];
export const calm = matchMedia("(prefers-reduced-motion: reduce)");
export const dark = matchMedia("(prefers-color-scheme: dark)");

function rgb(text) {
  const n = parseInt(text.slice(1), 16);
  return [n >> 16, (n >> 8) & 255, n & 255];
}

export function color(k) {
  const own = setup.colors[k % setup.colors.length];
  return own === "#000000" && dark.matches ? [236, 235, 231] : rgb(own);
}

export const css = (c) => `rgb(${c.map(Math.round).join(" ")})`;
// Black letters where they have more contrast than white ones (relative luminance of WCAG).
const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255) > 0.179;

// Of a colour for each component, as much as its share.
function mixed(shares) {
  const out = [0, 0, 0];
  shares.forEach((r, k) => color(k).forEach((v, i) => { out[i] += r * v; }));
  return out;
}

export const highest = (list) => list.reduce((best, value, i) => (value > list[best] ? i : best), 0);

export function marker(k, x, y, r) {
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
export function frame(svg) {
  const width = Math.max(svg.clientWidth, 240);
  // Low windows (a phone on its side) show the whole of it, too; bars of a browser that come and go change nothing.
  const height = Math.round(Math.min(width * 0.8, 560, Math.max(0.8 * document.documentElement.clientHeight, 220)));
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

export let F = null; // of the plane as it is drawn

export function renderPlane() {
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

export function renderCross() {
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

export function renderKmeans() {
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

export function renderPlanes() {
  renderKmeans(); // first, for it takes its room
  renderPlane();
}

// Between two models: only what is drawn moves, and it is a mixture on its way, too (factors between factors).
export async function glide(from) {
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

export function renderCurve() {
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
