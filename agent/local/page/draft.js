// The sale that this counter has opened and that has not gone through yet. The one rule: its id is made once, before the
// agent hears of it, and kept where every tab and the next start of the browser find it: asked twice, it is the same sale.

const KEY = "counterfoil.draft";
const HEARD = "counterfoil.draft.run";

export function draftOf(minor, currency) {
  const draft = { sale_id: crypto.randomUUID(), amount: { minor, currency }, offers: true };
  localStorage.removeItem(HEARD);
  localStorage.setItem(KEY, JSON.stringify(draft));
  return draft;
}

/** The agent's run `run` knows the draft: what it does not know any more was given up, by whomever. */
export const heardBy = (run) => localStorage.setItem(HEARD, run);
export const wasHeardBy = (run) => localStorage.getItem(HEARD) === run;

export function draft() {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    return null;
  }
}

export function forget() {
  localStorage.removeItem(KEY);
}
