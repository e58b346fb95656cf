// The tables, the sentences with numbers and the controls; and all that is drawn at once.

import { S, setup } from "./state.js";
import { $, draw, fixed, fromLog, make, pair, put, sig, word, words } from "./text.js";
import { F, color, css, highest, marker, renderCross, renderCurve, renderKmeans, renderPlane } from "./plane.js";

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

export function renderLook() {
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

export function renderM() {
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

export function renderNarrow() {
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

export function renderControls() {
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

export function render() {
  renderControls();
  renderKmeans();
  renderPlane();
  renderCurve();
  renderLook();
  renderM();
  renderStates();
  renderNarrow();
}
