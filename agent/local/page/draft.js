// The sale that this counter has opened and that has no outcome yet. The one rule: its id is made once, before the agent
// hears of it, and kept where every tab and the next start of the browser find it: asked twice, it is the same sale.

const KEY = "counterfoil.draft";

export function draftOf(minor, currency) {
  const draft = { sale_id: crypto.randomUUID(), amount: { minor, currency }, offers: true };
  localStorage.setItem(KEY, JSON.stringify(draft));
  return draft;
}

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
