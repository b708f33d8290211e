// The shift at this drawer: opened with what lies in it, closed with what was counted. The one rule: an amount is sent as
// it was counted; what should have been there is told afterwards.

import { get, post } from "/page/api.js";
import { button, el } from "/page/dom.js";
import { money, readAmount } from "/page/money.js";
import { openDialog, problemWords } from "/page/notes.js";
import { lendOperator, operatorNow } from "/page/operator.js";
import { t, timeOf } from "/page/texts.js";

const NONE = "shift_none";

export async function askShift({ currency, lenders }) {
  const answer = await get("/v1/shift");
  const isNone = answer.title === NONE;
  const desk = { shift: answer.ok ? answer.body : null, fault: answer.ok || isNone ? "" : problemWords(answer), isBusy: false };
  const isKnown = answer.ok || isNone;
  openDialog(t("shift"), (redraw, close) => [
    desk.shift && told(desk.shift, lenders),
    isKnown && (desk.shift?.state === "open" ? closing : opening)(desk, currency, redraw),
    el("div", { class: "pair" }, button(t("close"), close, { key: "Esc" })),
  ]);
}

/** A shift in words: the difference is the last line, in a colour and with its sign. */
function told({ number, operator, currency, state, lenders: sold, ...shift }, names) {
  const sum = (minor) => money({ minor, currency });
  const credit = sold.map(({ lender, totals }) => [names[lender] ?? lender, sum(totals.captured.minor)]);
  const rows = [
    [t("pin_operator"), operator],
    [t("shift_since"), timeOf(shift.opened_at)],
    shift.closed_at && [t("shift_until"), timeOf(shift.closed_at)],
    [t("shift_float"), sum(shift.float_minor)],
    ...credit,
    state === "closed" && [t("shift_expected"), sum(shift.expected_minor)],
    state === "closed" && [t("shift_counted"), sum(shift.counted_minor)],
  ].filter(Boolean);
  return el("section", {},
    el("h3", {}, t(state === "open" ? "shift_is_open" : "shift_is_closed", { number })),
    el("dl", { class: "facts" }, rows.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value)))),
    state === "closed" && difference(shift.difference_minor, sum));
}

function difference(minor, sum) {
  if (!minor) return el("p", { class: "done", role: "status" }, t("shift_exact"));
  return el("p", { class: "note", role: "status" }, t(minor > 0 ? "shift_over" : "shift_short", { amount: sum(Math.abs(minor)) }));
}

function opening(desk, currency, redraw) {
  const name = field("shift-operator", operatorNow()?.operator ?? desk.shift?.operator ?? "", { maxlength: "16" });
  const float = field("shift-float", "", { inputmode: "decimal", maxlength: "14" });
  return form("shift_open_go", desk, redraw, [["pin_operator", name], ["shift_float", float]], () => {
    const read = readAmount(float.value, currency, { least: 0 });
    return read.refused ? read : { call: "/v1/shift/opening", body: { operator: name.value.trim(), float_minor: read.minor } };
  });
}

function closing(desk, currency, redraw) {
  const counted = field("shift-counted", "", { inputmode: "decimal", maxlength: "14" });
  const cash = field("shift-cash", "0", { inputmode: "decimal", maxlength: "15" });
  return form("shift_close_go", desk, redraw, [["shift_counted", counted], ["shift_cash", cash]], () => {
    const [there, taken] = [readAmount(counted.value, currency, { least: 0 }), readSigned(cash.value, currency)];
    const refused = there.refused ?? taken.refused;
    return refused ? { refused } : { call: "/v1/shift/closing", body: { counted_minor: there.minor, cash_minor: taken.minor } };
  });
}

/** What a till took in cash less what it gave: it may have given more. */
function readSigned(typed, currency) {
  const isLess = typed.trim().startsWith("-");
  const read = readAmount(typed.trim().replace(/^-/, ""), currency, { least: 0 });
  return isLess && !read.refused ? { minor: -read.minor } : read;
}

const field = (id, value, more) => el("input", { id, value, autocomplete: "off", ...more });

/** `asked()` reads the fields: {call, body}, or the key of why they cannot be sent, {refused}. */
function form(label, desk, redraw, rows, asked) {
  const fault = el("p", { class: "fault", role: "alert" }, desk.fault);
  const send = async (event) => {
    event.preventDefault();
    const { call, body, refused } = asked();
    fault.textContent = refused ? t(refused) : "";
    if (refused || desk.isBusy) return;
    desk.isBusy = true;
    const answer = await lendOperator(() => post(call, { ...body, print: "once" }));
    desk.isBusy = false;
    if (!answer.ok) fault.textContent = problemWords(answer);
    else Object.assign(desk, { shift: answer.body, fault: "" });
    if (answer.ok) redraw();
    document.querySelector("dialog[open] form input")?.focus();
  };
  return el("form", { class: "confirm", onsubmit: send }, fault,
    rows.map(([text, input]) => [el("label", { for: input.id }, t(text)), input]).flat(),
    el("button", { type: "submit", class: "button main" }, t(label)));
}
