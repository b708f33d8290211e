// The end of the day. The one rule: what still waits is shown before the day is closed, never hidden.

import { get, post } from "/page/api.js";
import { button, el } from "/page/dom.js";
import { money } from "/page/money.js";
import { openDialog, problemWords } from "/page/notes.js";
import { lendOperator } from "/page/operator.js";
import { isKnown, said, t } from "/page/texts.js";

const OPERATOR = /^(operator|role)_/;
const PLAN = "plan.";
const STATES = ["disputed", "parked", "quarantined"];
const HEAD_CHARS = 16;

export async function askDay(counter) {
  const answer = await get("/v1/status");
  const desk = { rows: [], fault: answer.ok ? "" : problemWords(answer), isBusy: false };
  if (answer.ok) {
    const wallets = answer.wallets.map((wallet) => ({ ...wallet, lender: wallet.rail, currency: counter.currency }));
    desk.rows = [...answer.lenders, ...wallets].map(({ lender, name, currency, batch }) =>
      ({ lender, name, currency, batch: batch.batch, report: null, fault: "" }));
    desk.waiting = answer.queue.depth;
    desk.exceptions = answer.queue.exceptions;
  }
  openDialog(t("day_title"), (redraw, close) => [
    el("p", { class: "fault", role: "alert" }, desk.fault),
    begun(desk) ? desk.rows.map(outcome) : open(desk),
    el("div", { class: "pair" }, left(desk).length ? closeButton(desk, redraw) : null, button(t("close"), close, { key: "Esc" })),
  ].flat());
}

const left = ({ rows }) => rows.filter(({ report }) => !report);
const begun = ({ rows }) => rows.some(({ report, fault }) => report || fault);

function open(desk) {
  return el("section", {},
    el("ul", { class: "plain" }, desk.rows.map(({ name, batch }) => el("li", {}, t("day_batch", { name, batch })))),
    desk.waiting ? el("p", { class: "note" }, t("day_waiting", { count: desk.waiting })) : null,
    desk.exceptions?.length ? [el("p", { class: "note" }, t("day_exceptions", { count: desk.exceptions.length })),
      exceptions(desk.exceptions.map((item) => [item, item.why]))] : null,
    el("p", {}, t("day_confirm")));
}

/** Closes what is not closed yet; a lender that could not be closed keeps no other one open, and is tried again. */
function closeButton(desk, redraw) {
  const close = async () => {
    if (desk.isBusy) return;
    desk.isBusy = true;
    redraw();
    const answer = await lendOperator(() => settle(left(desk)));
    desk.fault = answer.ok ? "" : problemWords(answer);
    desk.isBusy = false;
    redraw();
  };
  return button(t(begun(desk) ? "day_again" : "day_close"), close, { kind: "main", off: desk.isBusy });
}

/** An operator is asked for once, not for each lender: a refusal of that kind ends it. */
async function settle(rows) {
  for (const row of rows) {
    const answer = await post("/v1/settlements", { lender: row.lender, batch: row.batch, print: "once" });
    if (OPERATOR.test(answer.title ?? "")) return answer;
    Object.assign(row, answer.ok ? { report: answer.body, fault: "" } : { fault: problemWords(answer) });
  }
  return { ok: true };
}

function outcome({ name, batch, currency, report, fault }) {
  if (!report) return el("section", {}, el("h3", {}, t("day_report", { name, batch })),
    el("p", { class: "fault", role: "alert" }, fault || t("day_not_closed")));
  const { epoch, state, totals, differences, open: still } = report;
  return el("section", {},
    el("h3", {}, t("day_report", { name, batch })),
    el("p", { class: state === "matched" ? "done" : "note", role: "status" }, t(`day_${state}`)),
    differences?.length > 0 && differing(differences, epoch, currency),
    still && carried(still, currency),
    el("table", { class: "totals" }, el("tbody", {}, Object.entries(totals)
      .filter(([, sum]) => sum && typeof sum.count === "number")
      .map(([kind, { count, minor }]) => el("tr", {}, el("th", { scope: "row" }, wordsOf(kind)),
        el("td", {}, String(count)), el("td", {}, minor === undefined ? "" : money({ minor, currency })))))));
}

/** Where the two halves differ, and what each of them says. */
function differing(differences, epoch, currency) {
  const half = (where, says) => el("span", {}, `${t(where)} `, typeof says === "string"
    ? (isState(says) ? t(`day_${says}`) : says.slice(0, HEAD_CHARS))
    : `${says.count} × ${money({ minor: says.minor, currency })}`);
  const title = ({ what, name, number, ...about }) => what === "total" ? wordsOf(name) : what !== "entry" ? t(`day_${what}`)
    : [t("day_entry", { entry: `${epoch}-${number}` }), about.minor && money({ minor: about.minor, currency }), about.sale_id,
      isKnown(about.reason) ? said(about.reason, "cashier") : about.reason].filter(Boolean).join(" · ");
  return [el("ul", { class: "lines" }, differences.map((found) => el("li", {}, el("strong", {}, title(found)),
    found.lane !== "" && [half("day_here", found.lane), half("day_there", found.backend)]))),
    el("p", { class: "note" }, t("day_what_to_do"))];
}

/** What goes on into the next day, line by line, as on the printed report; a clean day says so. */
function carried({ unsent, held, items }, currency) {
  const lines = [
    unsent ? el("li", {}, el("strong", {}, t("day_unsent")), el("span", {}, String(unsent))) : null,
    held.count ? el("li", {}, el("strong", {}, `${t("day_held")} × ${held.count}`),
      el("span", {}, money({ minor: held.minor, currency }))) : null,
  ].filter(Boolean);
  if (!lines.length && !items.length) return el("p", { class: "done" }, t("day_nothing_carried"));
  return [el("h4", {}, t("day_carried")), lines.length ? el("ul", { class: "lines" }, lines) : null,
    exceptions(items.map((item) => [item, item.reason, item.minor ? money({ minor: item.minor, currency }) : ""]))];
}

/** What the backend did not simply accept, line by line, and what is to be done: the lane itself can resolve none of it. */
function exceptions(rows) {
  const states = STATES.filter((state) => rows.some(([item]) => item.state === state));
  return rows.length ? [el("ul", { class: "lines" }, rows.map((row) => line(...row))),
    states.map((state) => el("p", { class: "small" }, t("day_todo", { state: t(`day_${state}`), todo: t(`day_${state}_next`) })))] : null;
}

/** An entry that was not simply accepted; a word that this page does not know is shown as it is. */
function line({ state, epoch, number, sale_id: saleId }, reason, amount = "") {
  const why = isKnown(reason) ? said(reason, "cashier") : reason;
  return el("li", {}, el("strong", {}, STATES.includes(state) ? t(`day_${state}`) : state),
    el("code", {}, `${epoch}-${number}`), el("span", {}, [why, saleId].filter(Boolean).join(" · ")), el("span", {}, amount));
}

const isState = (says) => [...STATES, "accepted"].includes(says);

/** What a total counts; "plan.3x" is that of one plan. */
function wordsOf(kind) {
  return kind.startsWith(PLAN) ? t("total_plan", { plan: kind.slice(PLAN.length) }) : t(`total_${kind}`);
}
