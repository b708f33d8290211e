// The cash drawer, opened without a sale. The one rule: why it is opened is said first, and is kept.

import { post } from "/page/api.js";
import { button, el } from "/page/dom.js";
import { openDialog, problemWords } from "/page/notes.js";
import { lendOperator } from "/page/operator.js";
import { t } from "/page/texts.js";

const REASONS = ["change", "count", "error", "other"];

export function askDrawer() {
  const desk = { said: "", fault: "", isBusy: false };
  openDialog(t("drawer"), (redraw, close) => {
    const open = (reason) => async () => {
      if (desk.isBusy) return;
      desk.isBusy = true;
      const answer = await lendOperator(() => post("/v1/drawer-openings", { reason }));
      Object.assign(desk, { isBusy: false, said: answer.ok ? wordsOf(answer) : "", fault: answer.ok ? "" : problemWords(answer) });
      redraw();
    };
    return [
      el("p", { class: "fault", role: "alert" }, desk.fault),
      el("p", { class: "done", role: "status" }, desk.said),
      desk.said ? null : [el("p", {}, t("drawer_why")),
        el("div", { class: "reasons" }, REASONS.map((reason) => button(t(`drawer_${reason}`), open(reason))))],
      el("div", { class: "pair" }, button(t("close"), close, { key: "Esc" })),
    ].flat();
  });
}

/** Opened; not opened; or nobody can tell: the drawer has no switch. */
function wordsOf({ opened }) {
  return t(opened === false ? "drawer_shut" : opened ? "drawer_opened" : "drawer_pulsed");
}
