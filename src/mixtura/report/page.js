"use strict";
// The pictures of a report. All that they show is in the element "data"; nothing is asked for from elsewhere.
// Names and values become text only: what Plotly would read as markup is escaped, and its own labels for the pointer
// are not used, since they are templates.
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const features = data.features;
  const D = features.length;
  const ONE = D === 1;
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  // Numbers -----------------------------------------------------------------------------------------------------------

  const KINDS = { f4: Float32Array, i2: Int16Array, i1: Int8Array, u1: Uint8Array };

  function unpacked(packed) {
    const letters = atob(packed.b);
    const bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
    return new KINDS[packed.t](bytes.buffer);
  }

  // The values of one feature, in its own units.
  function column(z, n, j) {
    const { origin, unit } = features[j];
    const values = new Float64Array(n);
    for (let i = 0; i < n; i++) values[i] = origin + unit * z[j * n + i];
    return values;
  }

  function table(packed) {
    const z = unpacked(packed.z);
    const columns = features.map((_, j) => column(z, packed.n, j));
    return { n: packed.n, columns };
  }

  // Weights, means and the upper triangles of covariances of K components, as packing.py writes them.
  function modelAt(numbers, at, K) {
    const triangle = (D * (D + 1)) / 2;
    const weights = numbers.subarray(at, at + K);
    const means = numbers.subarray(at + K, at + K + K * D);
    const upper = numbers.subarray(at + K + K * D, at + K + K * D + K * triangle);
    return {
      K,
      weights,
      mean: (k, j) => features[j].origin + features[j].unit * means[k * D + j],
      covariance(k, i, j) {
        const [a, b] = i <= j ? [i, j] : [j, i];
        return upper[k * triangle + a * D - (a * (a - 1)) / 2 + (b - a)] * features[a].unit * features[b].unit;
      },
    };
  }
  const sizeOf = (K) => K * (1 + D + (D * (D + 1)) / 2);

  function written(value, j) {
    if (!Number.isFinite(value)) return "missing";
    const { digits } = features[j];
    return digits === null ? String(Number(value.toPrecision(6))) : String(Number(value.toFixed(digits)));
  }

  const counted = (n, one, many) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
  const fixed = (value, digits) =>
    value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "\u2212");

  const rows = table(data.rows);
  const few = table(data.few);
  const label = unpacked(data.rows.label);
  const probability = unpacked(data.rows.probability);
  const model = modelAt(unpacked(data.model), 0, data.components.length);
  const named = (k) => (k < 0 ? "background" : `component ${k}`);
  const titleOf = (i) => (data.rows.titles ? data.rows.titles[i] : `row ${data.rows.index ? data.rows.index[i] : i}`);

  // Looks -------------------------------------------------------------------------------------------------------------

  const root = document.documentElement;
  const ink = {};

  function readInk() {
    const style = getComputedStyle(root);
    for (const name of ["page", "panel", "ink", "quiet", "line", "grid", "link", "band"]) {
      ink[name] = style.getPropertyValue(`--${name}`).trim();
    }
  }

  // The last colour is black, which is the ink of the page; another lap of colours has other shapes.
  function colorOf(k) {
    if (k < 0) return ink.quiet;
    const color = data.colors[k % data.colors.length];
    return color === "#000000" ? ink.ink : color;
  }
  const symbolAt = (k) => data.symbols[(k + Math.floor(k / data.colors.length)) % data.symbols.length];
  const symbolOf = (k) => (k < 0 ? "circle-open" : symbolAt(k)[0]);
  const signOf = (k) => (k < 0 ? "\u25cb" : symbolAt(k)[1]);

  function channels(color) {
    const digits = color.slice(1);
    return [0, 2, 4].map((at) => parseInt(digits.slice(at, at + 2), 16));
  }

  // What Plotly would take for markup.
  const inert = (name) => name.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const short = (name) => (name.length > 28 ? `${name.slice(0, 27)}\u2026` : name);
  const titleFor = (name) => ({ text: inert(short(name)), standoff: 8 });

  function layoutOf(across, upwards, more = {}) {
    const axis = {
      gridcolor: ink.grid, linecolor: ink.line, zerolinecolor: ink.grid, tickcolor: ink.line, automargin: true,
      exponentformat: "power", nticks: 7,
    };
    const { xaxis, yaxis, ...rest } = more;
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: ink.ink },
      margin: { l: 56, r: 12, t: 12, b: 48 },
      showlegend: false, hovermode: "closest",
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "pan",
      xaxis: { ...axis, title: titleFor(across), ...xaxis },
      yaxis: { ...axis, title: titleFor(upwards), ...yaxis },
      ...rest,
    };
  }
  const CONFIG = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: "reset", showTips: false };

  // The script that draws is long, and is read when the words are there to be read: as soon as the page is open.
  function plotly() {
    const text = byId("plotly");
    if (text) {
      text.remove();
      document.head.append(Object.assign(document.createElement("script"), { textContent: text.textContent }));
    }
    return Plotly;
  }
  addEventListener("load", () => setTimeout(plotly, 50));

  const drawn = new Map(); // plots that have been seen, and how to draw them again

  async function draw(id, traces, layout) {
    await plotly().react(byId(id), traces, layout, CONFIG);
    byId(id).dataset.drawn = String(Number(byId(id).dataset.drawn || 0) + 1);
  }

  const waiting = new Map();
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) begin(entry.target.id);
  }, { rootMargin: "300px" });

  function begin(id) {
    const redraw = waiting.get(id);
    if (!redraw) return null;
    waiting.delete(id);
    watcher.unobserve(byId(id));
    drawn.set(id, redraw);
    return redraw();
  }

  function later(id, redraw) {
    waiting.set(id, redraw);
    watcher.observe(byId(id));
  }

  // A picture that is not there yet will be up to date when it comes; of several changes until the screen is painted the
  // last one is drawn.
  const stale = new Set();

  function again(id) {
    if (!drawn.has(id)) return;
    if (!stale.size) {
      requestAnimationFrame(() => {
        const now = [...stale];
        stale.clear();
        for (const one of now) drawn.get(one)();
      });
    }
    stale.add(id);
  }

  // What the pointer is at ------------------------------------------------------------------------------------------------

  const tip = byId("tip");

  function tell(lines, x, y) {
    tip.replaceChildren(...lines.map((line) => Object.assign(document.createElement("p"), { textContent: line })));
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${y + 14 + height > innerHeight ? Math.max(8, y - height - 14) : y + 14}px`;
  }

  // `lines` makes of a point what is to be said of it.
  function listen(id, lines) {
    const plot = byId(id);
    if (plot.dataset.listens) return;
    plot.dataset.listens = "yes";
    plot.on("plotly_hover", ({ points, event }) => {
      const said = lines(points[0]);
      if (said) tell(said, event.clientX, event.clientY);
    });
    plot.on("plotly_unhover", () => { tip.hidden = true; });
  }
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

  function aboutRow(i, columns, j) {
    const first = j.map((at) => `${features[at].name}: ${written(columns[at][i], at)}`);
    const others = features.map((_, at) => at).filter((at) => !j.includes(at)).slice(0, 6);
    const rest = others.map((at) => `${features[at].name}: ${written(columns[at][i], at)}`);
    return [titleOf(i), ...first, ...rest, `${named(label[i])}, probability ${probability[i].toFixed(3)}`];
  }

  function aboutComponent(one, number, k, j) {
    const values = j.map((at) => {
      const deviation = Math.sqrt(one.covariance(k, at, at));
      return `${features[at].name}: mean ${written(one.mean(k, at), at)}, sd ${written(deviation, at)}`;
    });
    return [`component ${number}, weight ${one.weights[k].toFixed(3)}`, ...values];
  }

  // Shapes ------------------------------------------------------------------------------------------------------------------

  const TURN = Array.from({ length: 73 }, (_, i) => (2 * Math.PI * i) / 72);

  // The ellipse of a plane that holds a share of a Gaussian: m + r L (cos t, sin t), S = L L', r^2 = -2 log(1 - share).
  function ellipse(one, k, i, j, share) {
    const a = Math.sqrt(one.covariance(k, i, i));
    const b = one.covariance(k, i, j) / a;
    const c = Math.sqrt(Math.max(one.covariance(k, j, j) - b * b, 0));
    const r = Math.sqrt(-2 * Math.log(1 - share));
    return {
      x: TURN.map((t) => one.mean(k, i) + r * a * Math.cos(t)),
      y: TURN.map((t) => one.mean(k, j) + r * (b * Math.cos(t) + c * Math.sin(t))),
    };
  }

  function ellipses(one, numbers, i, j, visible = () => true) {
    const traces = [];
    for (let k = 0; k < one.K; k++) {
      if (!(one.weights[k] > 0)) continue;
      for (const share of data.levels) {
        traces.push({
          type: "scatter", mode: "lines", ...ellipse(one, k, i, j, share), hoverinfo: "skip",
          visible: visible(numbers[k]), name: `ellipse ${numbers[k]}`,
          line: { color: colorOf(numbers[k]), width: share === data.levels.at(-1) ? 2.2 : 1.3 },
        });
      }
    }
    return traces;
  }

  function discs(one, numbers, i, j, visible = () => true) {
    const shown = numbers.map((_, k) => k).filter((k) => visible(numbers[k]));
    return {
      type: "scatter", mode: "markers+text", hoverinfo: "none", name: "means",
      x: shown.map((k) => one.mean(k, i)),
      y: shown.map((k) => (j === null ? peak(one, k) : one.mean(k, j))),
      text: shown.map((k) => String(numbers[k])), customdata: shown, textfont: { size: 12, color: ink.ink },
      marker: {
        size: 20, color: ink.page, symbol: "circle", opacity: 1,
        line: { width: 2, color: shown.map((k) => colorOf(numbers[k])) },
      },
    };
  }

  const sdOf = (one, k) => Math.sqrt(one.covariance(k, 0, 0));
  const peak = (one, k) => one.weights[k] / (sdOf(one, k) * Math.sqrt(2 * Math.PI));

  // Densities of one feature: of the whole, and of each component.
  function densities(one, numbers, from, to, visible = () => true) {
    const at = new Set(Array.from({ length: 401 }, (_, i) => from + ((to - from) * i) / 400));
    for (let k = 0; k < one.K; k++) {
      for (let z = -4; z <= 4; z += 0.25) {
        const x = one.mean(k, 0) + z * sdOf(one, k);
        if (x > from && x < to) at.add(x);
      }
    }
    const x = [...at].sort((a, b) => a - b);
    const total = x.map(() => 0);
    const dashes = ["dash", "dashdot", "dot", "longdash"];
    const traces = [];
    for (let k = 0; k < one.K; k++) {
      const y = x.map((value) => peak(one, k) * Math.exp(-0.5 * ((value - one.mean(k, 0)) / sdOf(one, k)) ** 2));
      y.forEach((value, i) => { total[i] += value; });
      traces.push({
        type: "scatter", mode: "lines", x, y, hoverinfo: "skip", name: `density ${numbers[k]}`, visible: visible(numbers[k]),
        fill: "tozeroy", fillcolor: `rgba(${channels(colorOf(numbers[k])).join(",")},0.22)`,
        line: { color: colorOf(numbers[k]), width: 2, dash: dashes[k % dashes.length] },
      });
    }
    // The whole lies below its parts, which would not be seen where they are nearly all of it.
    const whole = { type: "scatter", mode: "lines", x, y: total, hoverinfo: "skip", name: "density", line: { color: ink.ink, width: 4 } };
    return [whole, ...traces];
  }

  function bars() {
    const { origin, unit } = features[0];
    const edges = data.histogram.edges.map((z) => origin + unit * z);
    const widths = edges.slice(1).map((edge, i) => edge - edges[i]);
    return {
      type: "bar", name: "rows", hoverinfo: "none", customdata: edges.slice(1).map((edge, i) => [edges[i], edge]),
      x: edges.slice(1).map((edge, i) => (edge + edges[i]) / 2), width: widths,
      y: data.histogram.counts.map((count, i) => count / (data.histogram.n * widths[i])),
      marker: { color: ink.band, line: { width: 0 } },
    };
  }

  // The ends of a feature: of rows and of the outer ellipses of the model.
  function ends(columns, n, j, others = [model]) {
    let low = Infinity;
    let high = -Infinity;
    for (let i = 0; i < n; i++) {
      const value = columns[j][i];
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const r = Math.sqrt(-2 * Math.log(1 - data.levels.at(-1)));
    for (const one of others) {
      for (let k = 0; k < one.K; k++) {
        const reach = r * Math.sqrt(one.covariance(k, j, j));
        low = Math.min(low, one.mean(k, j) - reach);
        high = Math.max(high, one.mean(k, j) + reach);
      }
    }
    const room = 0.04 * (high - low) || 0.5;
    return [low - room, high + room];
  }

  // Rows and components -------------------------------------------------------------------------------------------------------

  const plane = { i: 0, j: ONE ? null : 1, marked: -1, hidden: new Set() };
  if (data.pairs.length) [plane.i, plane.j] = data.pairs[0];
  const isShown = (k) => !plane.hidden.has(k);
  const size = Math.max(3, Math.min(7, 7 * Math.sqrt(250 / Math.max(rows.n, 1)) + 2));
  const members = new Map();
  for (let i = 0; i < rows.n; i++) {
    if (!members.has(label[i])) members.set(label[i], []);
    members.get(label[i]).push(i);
  }
  const labels = [...members.keys()].sort((a, b) => a - b);

  function cloud(i, j) {
    return labels.filter(isShown).map((k) => {
      const own = members.get(k);
      return {
        type: "scatter", mode: "markers", hoverinfo: "none", name: `rows ${k}`, customdata: own,
        x: own.map((row) => rows.columns[i][row]), y: own.map((row) => rows.columns[j][row]),
        marker: { color: colorOf(k), symbol: symbolOf(k), size, line: { width: 0 } }, opacity: rows.n > 2000 ? 0.6 : 0.75,
      };
    });
  }

  function drawRows() {
    const { i, j } = plane;
    const numbers = data.components;
    if (ONE) {
      const [from, to] = ends(rows.columns, rows.n, 0);
      const traces = [bars(), ...densities(model, numbers, from, to, isShown), discs(model, numbers, 0, null, isShown)];
      byId("rows-said").textContent =
        `Histogram of ${counted(data.histogram.n, "value", "values")} of ${features[0].name}, with the density of the model and its ` +
        `${counted(model.K, "component", "components")}.`;
      return draw("rows-plot", traces, layoutOf(features[0].name, "density", {
        xaxis: { range: [from, to] }, yaxis: { rangemode: "tozero" }, bargap: 0, uirevision: "one" }))
        .then(() => listen("rows-plot", aboutBar));
    }
    const traces = [...cloud(i, j), ...ellipses(model, numbers, i, j, isShown), discs(model, numbers, i, j, isShown)];
    const marked = plane.marked;
    if (marked >= 0) {
      traces.push({
        type: "scatter", mode: "markers", hoverinfo: "skip", name: "marked",
        x: [rows.columns[i][marked]], y: [rows.columns[j][marked]],
        marker: { size: 22, color: "rgba(0,0,0,0)", symbol: "circle", line: { width: 3, color: ink.ink } },
      });
    }
    byId("rows-said").textContent =
      `${features[j].name} against ${features[i].name}: ${counted(rows.n, "row", "rows")} and ` +
      `${counted(model.K, "component", "components")} with ellipses of ` +
      `${data.levels.map((share) => `${100 * share}%`).join(" and ")}.` +
      (marked >= 0 ? ` The ring is around ${titleOf(marked)}.` : "");
    const layout = layoutOf(features[i].name, features[j].name, {
      xaxis: { range: ends(rows.columns, rows.n, i) }, yaxis: { range: ends(rows.columns, rows.n, j) }, uirevision: `${i} ${j}`,
    });
    return draw("rows-plot", traces, layout).then(() => listen("rows-plot", aboutPoint));
  }

  function aboutPoint({ data: trace, pointIndex }) {
    const at = trace.customdata[pointIndex];
    if (trace.name === "means") return aboutComponent(model, data.components[at], at, [plane.i, plane.j]);
    return aboutRow(at, rows.columns, [plane.i, plane.j]);
  }

  function aboutBar({ data: trace, pointIndex }) {
    const at = trace.customdata[pointIndex];
    if (trace.name === "means") return aboutComponent(model, data.components[at], at, [0]);
    const [low, high] = at.map((value) => written(value, 0));
    return [`${features[0].name} from ${low} to ${high}`, counted(data.histogram.counts[pointIndex], "row", "rows")];
  }

  function choosePlane(i, j) {
    [plane.i, plane.j] = [i, j];
    byId("across").value = String(i);
    byId("upwards").value = String(j);
    for (const button of byId("pairs").children) {
      const pair = button.dataset.pair.split(" ").map(Number);
      button.setAttribute("aria-pressed", String(pair[0] === i && pair[1] === j));
    }
    for (const id of ["rows-plot", "step-plot", "other-plot"]) again(id);
  }

  function zoom(factor) {
    begin("rows-plot");
    const { xaxis, yaxis } = byId("rows-plot").layout;
    const about = ([low, high]) => {
      const [middle, half] = [(low + high) / 2, ((high - low) / 2) * factor];
      return [middle - half, middle + half];
    };
    plotly().relayout(byId("rows-plot"), { "xaxis.range": about(xaxis.range), "yaxis.range": about(yaxis.range) });
  }

  function options(select, names) {
    select.replaceChildren(...names.map((name, at) => new Option(name, String(at))));
  }

  function setUpRows() {
    for (const element of document.querySelectorAll("[data-many]")) element.hidden = ONE;
    for (const element of document.querySelectorAll("[data-one]")) element.hidden = !ONE;
    document.querySelector("[data-pairs]").hidden = data.pairs.length < 2;
    const names = features.map((one) => one.name);
    const [across, upwards] = [byId("across"), byId("upwards")];
    options(across, names);
    options(upwards, names);
    across.addEventListener("change", () => {
      const i = Number(across.value);
      choosePlane(i, i === plane.j ? plane.i : plane.j);
    });
    upwards.addEventListener("change", () => {
      const j = Number(upwards.value);
      choosePlane(j === plane.i ? plane.j : plane.i, j);
    });
    byId("nearer").addEventListener("click", () => zoom(0.7));
    byId("farther").addEventListener("click", () => zoom(1 / 0.7));
    byId("whole").addEventListener("click", () => {
      begin("rows-plot");
      plotly().relayout(byId("rows-plot"), {
        "xaxis.range": ends(rows.columns, rows.n, plane.i), "yaxis.range": ends(rows.columns, rows.n, plane.j) });
    });
    setUpShown();
    setUpPairs();
    for (const button of document.querySelectorAll("button.show")) {
      if (ONE) {
        button.replaceWith(document.createTextNode(button.textContent));
        continue;
      }
      button.addEventListener("click", () => {
        plane.marked = Number(button.dataset.row);
        plane.hidden.delete(label[plane.marked]);
        for (const box of byId("shown").querySelectorAll("input")) box.checked = isShown(Number(box.value));
        begin("rows-plot");
        again("rows-plot");
        byId("rows-plot").scrollIntoView({ block: "center" });
      });
    }
    if (!ONE) choosePlane(plane.i, plane.j);
    later("rows-plot", drawRows);
  }

  function setUpShown() {
    const shown = byId("shown");
    const numbers = [...data.components, ...(data.background ? [-1] : [])];
    shown.hidden = numbers.length < 2;
    numbers.forEach((number, k) => {
      const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true, value: String(number) });
      const sign = Object.assign(document.createElement("span"), { className: "sign", textContent: signOf(number) });
      sign.setAttribute("aria-hidden", "true");
      sign.dataset.number = String(number);
      const weight = number < 0 ? 1 - model.weights.reduce((sum, one) => sum + one, 0) : model.weights[k];
      const name = `${number < 0 ? "background" : number} (${weight.toFixed(3)})`;
      const labelled = document.createElement("label");
      labelled.append(box, sign, name);
      box.addEventListener("change", () => {
        if (box.checked) plane.hidden.delete(number);
        else plane.hidden.add(number);
        again("rows-plot");
      });
      shown.append(labelled);
    });
  }

  function paintSigns() {
    for (const sign of document.querySelectorAll(".sign")) sign.style.color = colorOf(Number(sign.dataset.number));
  }

  function setUpPairs() {
    for (const [i, j] of data.pairs) {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.dataset.pair = `${i} ${j}`;
      const canvas = document.createElement("canvas");
      canvas.setAttribute("aria-hidden", "true");
      button.append(canvas, `${features[j].name} against ${features[i].name}`);
      button.addEventListener("click", () => {
        begin("rows-plot");
        choosePlane(i, j);
        byId("rows-plot").scrollIntoView({ block: "center" });
      });
      byId("pairs").append(button);
    }
    if (data.pairs.length > 1) later("pairs", drawPairs);
  }

  function drawPairs() {
    for (const button of byId("pairs").children) {
      const [i, j] = button.dataset.pair.split(" ").map(Number);
      const canvas = button.querySelector("canvas");
      const side = Math.round(canvas.clientWidth * devicePixelRatio) || 160;
      canvas.width = canvas.height = side;
      const pen = canvas.getContext("2d");
      const [left, right] = ends(rows.columns, rows.n, i);
      const [bottom, top] = ends(rows.columns, rows.n, j);
      const place = (x, y) => [((x - left) / (right - left)) * side, (1 - (y - bottom) / (top - bottom)) * side];
      const dot = Math.max(1, side / 110);
      const step = Math.ceil(rows.n / 2500);
      pen.globalAlpha = 0.6;
      for (let row = 0; row < rows.n; row += step) {
        const [u, v] = place(rows.columns[i][row], rows.columns[j][row]);
        pen.fillStyle = colorOf(label[row]);
        pen.fillRect(u - dot / 2, v - dot / 2, dot, dot);
      }
      pen.globalAlpha = 1;
      pen.lineWidth = Math.max(1, side / 110);
      for (let k = 0; k < model.K; k++) {
        const { x, y } = ellipse(model, k, i, j, data.levels.at(-1));
        pen.strokeStyle = colorOf(data.components[k]);
        pen.beginPath();
        x.forEach((value, at) => pen.lineTo(...place(value, y[at])));
        pen.stroke();
      }
    }
  }

  // Doubt and calibration -----------------------------------------------------------------------------------------------------

  function drawDoubt() {
    const { edges, counts } = data.doubt;
    const total = counts.reduce((sum, one) => sum + one, 0);
    byId("doubt-said").textContent =
      `Number of rows by uncertainty, of ${counted(total, "row", "rows")}; ${counts[0].toLocaleString("en")} ${counts[0] === 1 ? "is" : "are"} in the first bar, ` +
      `below ${edges[1].toFixed(2)}.`;
    const trace = {
      type: "bar", hoverinfo: "none", x: counts.map((_, i) => (edges[i] + edges[i + 1]) / 2),
      y: counts, width: edges[1] - edges[0], marker: { color: data.colors[0], line: { width: 1, color: ink.page } },
    };
    const layout = layoutOf("uncertainty", "rows", { bargap: 0, yaxis: { rangemode: "tozero" } });
    return draw("doubt-plot", [trace], layout).then(() => listen("doubt-plot", ({ pointIndex: i }) => [
      `uncertainty from ${edges[i].toFixed(3)} to ${edges[i + 1].toFixed(3)}`, counted(counts[i], "row", "rows")]));
  }

  function drawQuantiles() {
    const j = Number(byId("feature").value);
    const packed = data.calibration.quantiles[j];
    const { name, origin, unit } = features[j];
    if (!packed) {
      byId("quantiles-said").textContent = `No row has a value of ${name}.`;
      return draw("quantiles-plot", [], layoutOf("", ""));
    }
    const all = Array.from(unpacked(packed), (z) => origin + unit * z);
    const m = all.length / 4;
    const [expected, observed, lower, upper] = [0, 1, 2, 3].map((part) => all.slice(part * m, (part + 1) * m));
    const outside = observed.filter((value, i) => value < lower[i] || value > upper[i]).length;
    byId("quantiles-said").textContent =
      `Quantiles of ${name}, by the model across and in the rows upwards: ${outside} of ${m} points leave the band, which holds 95% of each if the model is right.`;
    const ring = [Math.min(expected[0], observed[0]), Math.max(expected.at(-1), observed.at(-1))];
    const line = { type: "scatter", mode: "lines", hoverinfo: "skip" };
    const traces = [
      { ...line, x: expected, y: lower, line: { width: 0 } },
      { ...line, x: expected, y: upper, line: { width: 0 }, fill: "tonexty", fillcolor: ink.band },
      { ...line, x: ring, y: ring, line: { color: ink.ink, width: 1.2 } },
      { type: "scatter", mode: "markers", name: "quantiles", x: expected, y: observed, hoverinfo: "none", marker: { color: data.colors[0], size: 5 } },
    ];
    return draw("quantiles-plot", traces, layoutOf("by the model", "in the rows"))
      .then(() => listen("quantiles-plot", ({ x, y }) => {
        const at = Number(byId("feature").value);
        return [features[at].name, `by the model ${written(x, at)}`, `in the rows ${written(y, at)}`];
      }));
  }

  function drawTransforms() {
    const { heights, edges, low, high } = data.calibration.transforms;
    const x = heights.map((_, i) => (edges[i] + edges[i + 1]) / 2);
    byId("transforms-said").textContent =
      "Transforms of whole rows, each feature given those before it: flat, within the band, if the model is right.";
    const traces = [
      { type: "bar", x, y: heights, hoverinfo: "none", width: edges[1] - edges[0], marker: { color: data.colors[0], opacity: 0.75, line: { width: 1, color: ink.page } } },
      { type: "scatter", mode: "lines", x: [0, 1], y: [1, 1], hoverinfo: "skip", line: { color: ink.ink, width: 1.2 } },
    ];
    const band = (y) => ({ type: "line", x0: 0, x1: 1, y0: y, y1: y, line: { color: ink.ink, width: 1, dash: "dot" } });
    const layout = layoutOf("transform", "density", { bargap: 0, shapes: [band(low), band(high)], xaxis: { range: [0, 1] }, yaxis: { rangemode: "tozero" } });
    return draw("transforms-plot", traces, layout).then(() => listen("transforms-plot", ({ pointIndex: i }) => [
      `transforms from ${edges[i].toFixed(2)} to ${edges[i + 1].toFixed(2)}`, `density ${heights[i].toFixed(3)}`]));
  }

  function setUpChecks() {
    later("doubt-plot", drawDoubt);
    options(byId("feature"), features.map((one) => one.name));
    byId("feature").addEventListener("change", () => again("quantiles-plot"));
    later("quantiles-plot", drawQuantiles);
    if (data.calibration.transforms) later("transforms-plot", drawTransforms);
    else byId("transforms").hidden = true;
  }

  // Passes --------------------------------------------------------------------------------------------------------------------

  function setUpPasses() {
    const passes = data.passes;
    if (!passes) return;
    byId("passes-panel").hidden = false;
    const K = data.components.length;
    const numbers = unpacked(passes.models);
    const models = passes.shown.map((_, s) => modelAt(numbers, s * sizeOf(K), K));
    const [first, second, share] = [passes.first, passes.second, passes.share].map(unpacked);
    const slider = byId("step");
    slider.max = String(passes.shown.length - 1);
    const last = passes.objectives.length - 1;
    const [play, said] = [byId("play"), byId("step-said")];
    let timer = null;
    let seen = [];

    // A row has the colours of its two most probable components, as far as each has it.
    function blended(s) {
      const shades = new Map();
      const channelsOf = (k) => {
        if (!shades.has(k)) shades.set(k, channels(colorOf(k)));
        return shades.get(k);
      };
      return Array.from({ length: few.n }, (_, i) => {
        const at = s * few.n + i;
        const t = share[at] / 255;
        const [a, b] = [channelsOf(first[at]), channelsOf(second[at])];
        return `rgb(${a.map((value, c) => Math.round(t * value + (1 - t) * b[c])).join(",")})`;
      });
    }

    function drawStep() {
      const s = Number(slider.value);
      const one = models[s];
      if (ONE) {
        const [from, to] = ends(few.columns, few.n, 0);
        return draw("step-plot", [bars(), ...densities(one, data.components, from, to), discs(one, data.components, 0, null)],
          layoutOf(features[0].name, "density", { bargap: 0, xaxis: { range: [from, to] }, yaxis: { range: [0, tallest] } }));
      }
      const { i, j } = plane;
      const at = s * few.n;
      const points = {
        type: "scatter", mode: "markers", name: "rows", hoverinfo: "none", x: few.columns[i], y: few.columns[j],
        customdata: Array.from({ length: few.n }, (_, row) => row),
        marker: { color: blended(s), size: 6, opacity: 0.85, line: { width: 0 },
          symbol: Array.from({ length: few.n }, (_, row) => symbolOf(first[at + row])) },
      };
      return draw("step-plot", [points, ...ellipses(one, data.components, i, j), discs(one, data.components, i, j)],
        layoutOf(features[i].name, features[j].name, { xaxis: { range: ends(few.columns, few.n, i, [models[0], models.at(-1)]) }, yaxis: { range: ends(few.columns, few.n, j, [models[0], models.at(-1)]) } }))
        .then(() => listen("step-plot", aboutStep));
    }

    function aboutStep({ data: trace, pointIndex }) {
      const s = Number(slider.value);
      if (trace.name === "means") return aboutComponent(models[s], data.components[trace.customdata[pointIndex]], trace.customdata[pointIndex], [plane.i, plane.j]);
      const at = s * few.n + pointIndex;
      const t = share[at] / 255;
      const values = [plane.i, plane.j].map((j) => `${features[j].name}: ${written(few.columns[j][pointIndex], j)}`);
      return [...values, `${named(first[at])}: about ${(100 * t).toFixed(0)}%`, ...(t < 1 ? [`${named(second[at])}: about ${(100 * (1 - t)).toFixed(0)}%`] : [])];
    }

    const tallest = ONE ? 1.1 * Math.max(
      ...bars().y, ...densities(models.at(-1), data.components, ...ends(few.columns, few.n, 0))[0].y) : 0;

    function drawCurve() {
      const s = Number(slider.value);
      const x = passes.objectives.map((_, at) => at);
      const reached = passes.shown[s];
      byId("curve-said").textContent =
        `The ${passes.called.replace(" (nats)", "")} in nats by pass, from ${fixed(passes.objectives[0], 1)} to ${fixed(passes.objectives[last], 1)}` +
        (passes.accelerated.length ? "; diamonds are accelerated steps." : ".");
      const traces = [
        { type: "scatter", mode: last > 60 ? "lines" : "lines+markers", x, y: passes.objectives, hoverinfo: "none", line: { color: data.colors[0], width: 2 }, marker: { size: 5 } },
        { type: "scatter", mode: "markers", hoverinfo: "none", x: passes.accelerated, y: passes.accelerated.map((at) => passes.objectives[at]),
          marker: { symbol: "diamond", size: 8, color: ink.page, line: { width: 2, color: data.colors[1] } } },
        { type: "scatter", mode: "markers", hoverinfo: "skip", name: "reached", x: [reached], y: [passes.objectives[reached]],
          marker: { size: 14, color: "rgba(0,0,0,0)", line: { width: 3, color: ink.ink } } },
      ];
      return draw("curve-plot", traces, layoutOf("pass", passes.called, { xaxis: { range: [-0.04 * Math.max(last, 1), 1.04 * Math.max(last, 1)], ...(last <= 10 ? { dtick: 1 } : {}) }, yaxis: { tickformat: ",.6~r" } }))
        .then(() => listen("curve-plot", ({ x: at, y }) => [`pass ${at}`, `${passes.called}: ${fixed(y, 3)}`]));
    }

    function show() {
      const reached = passes.shown[Number(slider.value)];
      const value = passes.objectives[reached];
      const short = passes.objectives[last] - value;
      const text = `Pass ${reached} of ${last}${reached === 0 ? " (the start)" : ""}: ${passes.called.replace(" (nats)", "")} ${fixed(value, 3)}, ` +
        (reached === last ? "the end." : `${fixed(short, 3)} nats below the end.`);
      said.textContent = text;
      slider.setAttribute("aria-valuetext", `pass ${reached} of ${last}`);
      again("step-plot");
      again("curve-plot");
    }

    function stop() {
      clearTimeout(timer);
      timer = null;
      play.textContent = "Play";
      play.setAttribute("aria-pressed", "false");
      said.setAttribute("aria-live", "polite");
    }

    function onwards() {
      if (Number(slider.value) >= Number(slider.max)) return stop();
      slider.value = String(Number(slider.value) + 1);
      show();
      timer = setTimeout(onwards, calm.matches ? 1200 : 250);
      return null;
    }

    play.addEventListener("click", () => {
      if (timer !== null) return stop();
      if (slider.value === slider.max) slider.value = "0";
      play.textContent = "Pause";
      play.setAttribute("aria-pressed", "true");
      said.setAttribute("aria-live", "off"); // each step would be read aloud
      show();
      timer = setTimeout(onwards, 400);
      return null;
    });
    slider.addEventListener("input", () => { stop(); show(); });
    show();
    later("step-plot", drawStep);
    later("curve-plot", drawCurve);
  }

  // What if -------------------------------------------------------------------------------------------------------------------

  function setUpBoard() {
    const board = data.board;
    if (!board || !board.measures.length) return;
    byId("board-panel").hidden = false;
    const { cells, measures } = board;
    const counts = [...new Set(cells.map((one) => one.k))].sort((a, b) => a - b);
    const types = [...new Set(cells.map((one) => one.type))];
    const numbers = unpacked(board.models);
    const labels = unpacked(board.labels);
    let at = 0;
    for (const one of cells) {
      if (one.model === null) continue;
      one.at = at;
      at += sizeOf(one.components.length);
    }
    const [slider, type, criterion] = [byId("count"), byId("type"), byId("criterion")];
    slider.max = String(counts.length - 1);
    slider.disabled = counts.length < 2;
    options(type, types);
    options(criterion, measures.map((one) => one.name));
    const own = cells[board.own];
    const current = () => cells.find((one) => one.k === counts[Number(slider.value)] && one.type === types[Number(type.value)]);
    const nameOf = (one) => `${one.type} with ${counted(one.k, "component", "components")}`;
    const worth = (one, m) => (one.values[m] === null ? Infinity : measures[m].sign * one.values[m]);
    const bestBy = (m) => cells.reduce((best, one) => (worth(one, m) < worth(best, m) ? one : best));

    function told() {
      const m = Number(criterion.value);
      const { name, key, sign } = measures[m];
      const [one, best] = [current(), bestBy(m)];
      if (!one) return "This model was not tried.";
      if (one.values[m] === null) return `${nameOf(one)}: ${one.status}${one.reason ? `, ${one.reason}` : ""}.`;
      const digits = key === "cv" ? 4 : 2;
      const value = `${nameOf(one)}: ${name} ${fixed(one.values[m], digits)} (${sign > 0 ? "lower" : "higher"} is better), ${counted(one.df, "free parameter", "free parameters")}.`;
      if (one === best) return `${value} No other model here is better.`;
      const gap = worth(one, m) - worth(best, m);
      const tell = (limit) => limit[0] === null || gap < limit[0];
      const evidence = key === "bic" ? `: ${board.evidence.find(tell)[1]} evidence for that one (Kass and Raftery 1995)` : "";
      const more = one === own || best === own ? "" : ` The model of this report is ${nameOf(own)}.`;
      return `${value} That is ${fixed(gap, digits)} behind ${nameOf(best)}, the best here${evidence}.${more}`;
    }

    function drawOther() {
      const one = current();
      if (!one || one.model === null) {
        byId("other-said").textContent = !one || one.status !== "ok" ? "There is no such model to draw." : "The ellipses of this model are not kept.";
        return draw("other-plot", [], layoutOf(features[plane.i].name, ONE ? "density" : features[plane.j].name));
      }
      const other = modelAt(numbers, one.at, one.components.length);
      byId("other-said").textContent = `${nameOf(one)}${one === own ? ", the model of this report" : ""}.${ONE ? "" : " Rows have the colour and the shape of their most probable component."}`;
      if (ONE) {
        const [from, to] = ends(few.columns, few.n, 0);
        return draw("other-plot", [bars(), ...densities(other, one.components, from, to), discs(other, one.components, 0, null)],
          layoutOf(features[0].name, "density", { bargap: 0, xaxis: { range: [from, to] }, yaxis: { rangemode: "tozero" } }));
      }
      const { i, j } = plane;
      const assigned = Array.from(labels.subarray(one.model * few.n, (one.model + 1) * few.n));
      const points = {
        type: "scatter", mode: "markers", name: "rows", hoverinfo: "none", x: few.columns[i], y: few.columns[j],
        marker: { color: assigned.map(colorOf), symbol: assigned.map(symbolOf), size: 6, opacity: 0.75, line: { width: 0 } },
      };
      return draw("other-plot", [points, ...ellipses(other, one.components, i, j), discs(other, one.components, i, j)],
        layoutOf(features[i].name, features[j].name, { xaxis: { range: ends(few.columns, few.n, i) }, yaxis: { range: ends(few.columns, few.n, j) } }))
        .then(() => listen("other-plot", aboutOther));
    }

    function aboutOther({ data: trace, pointIndex }) {
      const one = current();
      if (trace.name === "means") {
        const k = trace.customdata[pointIndex];
        return aboutComponent(modelAt(numbers, one.at, one.components.length), one.components[k], k, [plane.i, plane.j]);
      }
      const own = labels[one.model * few.n + pointIndex];
      const values = [plane.i, plane.j].map((j) => `${features[j].name}: ${written(few.columns[j][pointIndex], j)}`);
      return [...values, named(own)];
    }

    function drawCriterion() {
      const m = Number(criterion.value);
      const { name, sign } = measures[m];
      const [one, best] = [current(), bestBy(m)];
      byId("criterion-said").textContent =
        `${name} by number of components, a line for each of ${counted(types.length, "covariance type", "covariance types")}; the one that is chosen is thick. ` +
        `The star is the best, ${nameOf(best)}; the ring is the model that is shown. ${sign > 0 ? "Lower" : "Higher"} is better.`;
      const chosen = types[Number(type.value)];
      const ordered = [...types.filter((name) => name !== chosen), chosen];
      const traces = ordered.map((name) => {
        const own = cells.filter((cell) => cell.type === name).sort((a, b) => a.k - b.k);
        const thick = name === chosen;
        return {
          type: "scatter", mode: "lines+markers", name, x: own.map((cell) => cell.k), y: own.map((cell) => cell.values[m]),
          customdata: own.map((cell) => cells.indexOf(cell)), hoverinfo: "none", connectgaps: false,
          line: { color: thick ? data.colors[1] : ink.quiet, width: thick ? 3 : 1 },
          marker: { size: thick ? 8 : 4, symbol: thick ? "square" : "circle" }, opacity: thick ? 1 : 0.55,
        };
      });
      const point = (cell, marker) => ({ type: "scatter", mode: "markers", hoverinfo: "skip", x: [cell.k], y: [cell.values[m]], marker });
      traces.push(point(best, { symbol: "star", size: 13, color: ink.ink }));
      if (one && one.values[m] !== null) {
        traces.push(point(one, { symbol: "circle", size: 20, color: "rgba(0,0,0,0)", line: { width: 3, color: ink.ink } }));
      }
      return draw("criterion-plot", traces, layoutOf("components", name, { xaxis: { tickvals: counts }, yaxis: { tickformat: ",.6~r" } }))
        .then(() => listen("criterion-plot", ({ data: trace, pointIndex }) => {
          const cell = cells[trace.customdata[pointIndex]];
          const at = Number(criterion.value);
          return [nameOf(cell), `${measures[at].name}: ${fixed(cell.values[at], measures[at].key === "cv" ? 4 : 2)}`, counted(cell.df, "free parameter", "free parameters")];
        }));
    }

    function show() {
      const k = counts[Number(slider.value)];
      byId("count-shown").textContent = String(k);
      slider.setAttribute("aria-valuetext", counted(k, "component", "components"));
      byId("board-said").textContent = told();
      again("other-plot");
      again("criterion-plot");
    }

    function back() {
      slider.value = String(counts.indexOf(own.k));
      type.value = String(types.indexOf(own.type));
      show();
    }

    slider.addEventListener("input", show);
    type.addEventListener("change", show);
    criterion.addEventListener("change", show);
    byId("back").addEventListener("click", back);
    later("other-plot", drawOther);
    later("criterion-plot", drawCriterion);
    back();
  }

  // The page ------------------------------------------------------------------------------------------------------------------

  const dark = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null; // null: as the system has it

  function paint() {
    const isDark = chosen === null ? dark.matches : chosen === "dark";
    root.dataset.theme = isDark ? "dark" : "light";
    byId("theme").setAttribute("aria-pressed", String(isDark));
    readInk();
    paintSigns();
    for (const redraw of drawn.values()) redraw();
  }

  function setUpPage() {
    byId("version").textContent = data.version;
    byId("theme").addEventListener("click", () => {
      chosen = root.dataset.theme === "dark" ? "light" : "dark";
      paint();
    });
    dark.addEventListener("change", paint);
    const file = byId("file").textContent;
    byId("files").hidden = !file;
    byId("save").addEventListener("click", () => {
      const address = URL.createObjectURL(new Blob([file], { type: "application/json" }));
      Object.assign(document.createElement("a"), { href: address, download: "model.json" }).click();
      setTimeout(() => URL.revokeObjectURL(address), 1000);
    });
    // On paper everything is there, dark on white.
    let before = null;
    addEventListener("beforeprint", () => {
      before = [chosen];
      chosen = "light";
      for (const id of [...waiting.keys()]) begin(id);
      paint();
    });
    addEventListener("afterprint", () => {
      if (before) [chosen] = before;
      before = null;
      paint();
    });
  }

  root.dataset.theme = dark.matches ? "dark" : "light";
  readInk();
  setUpPage();
  setUpRows();
  setUpChecks();
  setUpPasses();
  setUpBoard();
  paint();
})();
