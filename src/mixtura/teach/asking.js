// Questions to the server, one after the other.

import { S } from "./state.js";
import { say } from "./text.js";

export class Refused extends Error {
  constructor({ code, numbers, message }) {
    super(message);
    this.code = code;
    this.numbers = numbers;
  }
}

export async function ask(what, more = {}) {
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

export const posed = (more = {}) => ({ points: S.points, k: S.k, family: S.family, seed: S.seed, ...more });
// Components that were dropped are in K still, but not in the model.
export const withModel = (more = {}) => posed({ model: S.model, k: S.view.length, ...more });

// What is looked at again whenever something has been done.
export let settled = () => {};

export function whenSettled(what) {
  settled = what;
}

// One thing after the other: what is clicked meanwhile waits, and a run gives way to it.
let chain = Promise.resolve();
let waiting = 0;

export function act(what) {
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
      settled();
    });
  return chain;
}
