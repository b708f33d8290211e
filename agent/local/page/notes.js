// What pops up: a short note, and dialogs. The one rule: a refusal is told in words and never in a code alone.

import { draw, el } from "/page/dom.js";
import { isKnown, languageNow, said, t } from "/page/texts.js";

const NOTE_MS = 6_000;
let gone;

/** A note that goes by itself. */
export function toast(words, isGood = false) {
  const note = document.getElementById("toast");
  note.textContent = words;
  note.className = isGood ? "good" : "bad";
  clearTimeout(gone);
  gone = setTimeout(() => { note.textContent = ""; }, NOTE_MS);
}

/** A problem document in the language of the page. */
export function problemWords(problem) {
  if (!problem.status) return t("agent_gone");
  const { title, detail, hint, texts } = problem;
  const told = texts?.[languageNow()];
  if (told) return t("sentences", { first: told.cashier, then: told.next });
  if (title && isKnown(title)) return t("sentences", { first: said(title, "cashier"), then: said(title, "next") });
  return [detail, hint].filter(Boolean).join(" ");
}

export const isDialogOpen = () => Boolean(document.querySelector("dialog[open]"));

/** A modal dialog; `fill(redraw, close)` gives its children each time it is drawn. Esc closes it. */
export function openDialog(title, fill, { closed = () => {}, kind = null } = {}) {
  const body = el("div", { class: "body" });
  const dialog = el("dialog", { class: kind, "aria-label": title }, el("h2", {}, title), body);
  const close = () => dialog.close();
  const redraw = () => draw(body, ...[fill(redraw, close)].flat().filter(Boolean));
  dialog.addEventListener("close", () => { dialog.remove(); closed(); });
  document.body.append(dialog);
  redraw();
  dialog.showModal();
  return redraw;
}
