// What the page knows: all that changes is in S.

export let setup; // what the server offers

export function offer(found) {
  setup = found;
}

export const S = {
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

// What the reader has done since a step of the lesson began, and how often.
export function did(what) {
  S.did[what] = (S.did[what] ?? 0) + 1;
}
