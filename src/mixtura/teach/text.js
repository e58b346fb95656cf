// Words in both languages, numbers as they are written, and elements.

import { S } from "./state.js";

export const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
export const dictionaries = {};
export let words;
export let language = "en";

export function learn(which, found) {
  dictionaries[which] = found;
}

export function use(which) {
  words = dictionaries[which];
  language = which;
}

export function word(key, numbers = {}) {
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

export const put = (element, text) => element.replaceChildren(rich(text));

export function prose(element, text) {
  element.replaceChildren(...text.split("\n").map((one) => make("p", {}, one)));
}

export function make(tag, attributes = {}, text = null) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== null) element.append(rich(text));
  return element;
}

export function draw(tag, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== null) element.textContent = text;
  return element;
}

// What was said last in each place, to say it again in the other language.
export function say(place, parts) {
  S.said[place] = parts;
  const text = parts.map(([key, numbers]) => word(key, numbers)).join(words.between);
  const element = $(place);
  if (element.textContent !== text) put(element, text);
}

// Numbers -------------------------------------------------------------------------------------------------------------

const raised = (n) => String(n).replace(/./g, (c) => ({ "-": "⁻" }[c] ?? "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));
export const minus = (text) => text.replace("-", "−");

export function sig(x, digits = 4) {
  if (x === null || !Number.isFinite(x)) return "∞";
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size >= 1e7 || size < 1e-4) {
    const [head, tail] = x.toExponential(Math.min(digits, 3) - 1).split("e");
    return `${minus(head)}×10${raised(Number(tail))}`;
  }
  return minus(size >= 10 ** digits ? x.toFixed(0) : x.toPrecision(digits));
}

export const fixed = (x, digits) => (x === null || Math.abs(x) >= 1e9 ? sig(x) : minus(x.toFixed(digits)));

// A number of which the natural logarithm is known, however small it is.
export function fromLog(log, digits = 3) {
  if (log === null) return "0";
  const ten = log / Math.LN10;
  if (ten > -4 && ten < 6) return sig(Math.exp(log), digits);
  const power = Math.floor(ten);
  const [head, more] = (10 ** (ten - power)).toExponential(digits - 1).split("e"); // 9.999 is 1.00 times ten
  return `${head}×10${raised(power + Number(more))}`;
}

export const pair = (p, digits = 4) => `(${sig(p[0], digits)}, ${sig(p[1], digits)})`;
