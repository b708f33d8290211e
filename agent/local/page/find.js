// Earlier sales: found by the list, their id, slip, amount, account or day, and what can become of them. The one
// rule: what moves money is confirmed with its amount before it is asked for, and asked for under one id.

import { get, ofSale, post } from "/page/api.js";
import { button, el, icon } from "/page/dom.js";
import { money, plain, readAmount } from "/page/money.js";
import { openDialog, problemWords } from "/page/notes.js";
import { lendOperator } from "/page/operator.js";
import { inWords } from "/page/plans.js";
import { lookOf } from "/page/states.js";
import { t, timeOf } from "/page/texts.js";

/** What can be done with a hold, by its state; `typed`: how much is asked, at most what `left` says. */
const DEEDS = {
  authorized: [["capture", (sale) => sale.amount], ["reversal"]],
  partly_captured: [["capture", leftOf("amount", "captured")], ["reversal"]],
  captured: [["refund", leftOf("captured", "refunded")], ["void"]],
  partly_refunded: [["refund", leftOf("captured", "refunded")]],
};

function leftOf(all, gone) {
  return (sale) => ({ minor: sale[all].minor - sale[gone].minor, currency: sale.amount.currency });
}

/** Open the dialog: on one sale if its id is known, else on the list of the last ones. */
export async function findSale(counter, saleId = null) {
  const desk = { counter, sale: null, found: [], typed: "", day: "", deed: null, fault: "", said: "", isBusy: false,
    requests: {} };
  if (saleId) await load(desk, saleId);
  if (!desk.sale) await list(desk);
  openDialog(t("find_title"), (redraw, close) => (desk.sale ? one(desk, redraw, close) : all(desk, redraw, close)));
}

async function load(desk, saleId) {
  const answer = await get(ofSale(saleId));
  desk.requests = {}; // whoever sees how the sale stands now asks for something new
  Object.assign(desk, answer.ok ? { sale: answer.body, fault: "" } : { sale: null, fault: problemWords(answer) });
}

async function list(desk, asked = ["limit=10"]) {
  const answers = await Promise.all(asked.map((each) => get(`/v1/sales?${each}`)));
  const refused = answers.find((answer) => !answer.ok);
  desk.found = answers.flatMap((answer) => answer.sales ?? []);
  desk.fault = refused ? problemWords(refused) : desk.fault;
}

/** What was typed is a sale's id, or its amount, or the last four of its account, or both of these. */
async function search(desk) {
  const typed = desk.typed.trim().replace(/^\*+/, "");
  if (typed.length > 7 && !/^\d+\.\d+$/.test(typed)) return load(desk, typed);
  const { minor } = readAmount(typed, desk.counter.currency);
  const day = desk.day ? `day=${desk.day}` : "";
  const tail = /^[\da-f]{4}$/i.test(typed) && typed;
  const asked = [minor && `amount_minor=${minor}`, tail && `account_tail=${tail}`].filter(Boolean);
  desk.fault = "";
  await list(desk, typed ? asked.map((each) => `${each}&${day}`) : [day]);
  if (!desk.found.length) desk.fault ||= t("find_none");
}

function all(desk, redraw, close) {
  const about = { autocomplete: "off", maxlength: "36", spellcheck: "false" };
  const field = el("input", { id: "sale-id", value: desk.typed, ...about });
  const day = el("input", { type: "date", id: "sale-day", "aria-label": t("find_day"), value: desk.day });
  const go = async (event) => {
    event.preventDefault();
    const keep = () => Object.assign(desk, { typed: field.value, day: day.value });
    keep();
    await search(desk);
    keep(); // what is typed meanwhile stays
    redraw();
  };
  const pick = async (saleId) => { await load(desk, saleId); redraw(); };
  return [
    el("form", { class: "search", onsubmit: go }, el("label", { for: "sale-id" }, t("find_label")), field, day,
      el("button", { type: "submit", class: "button" }, t("find_go"))),
    el("p", { class: "fault", role: "alert" }, desk.fault),
    el("ul", { class: "sales", tabindex: "0", "aria-label": t("find_recent") }, desk.found.map((sale) => line(sale, pick))),
    el("div", { class: "pair" }, button(t("close"), close, { key: "Esc" })),
  ];
}

function line(sale, pick) {
  const look = lookOf(sale, "cashier");
  return el("li", {}, el("button", { type: "button", class: "sale", onclick: () => pick(sale.sale_id) },
    el("span", { class: `dot tone-${look.tone}` }, icon(look.shape)), el("span", {}, timeOf(sale.recorded_at)),
    el("strong", {}, money(sale.amount)), el("span", {}, look.word), el("code", {}, sale.account ?? sale.sale_id.slice(0, 8))));
}

function one(desk, redraw, close) {
  const { sale } = desk;
  const look = lookOf(sale, "cashier");
  const back = async () => { Object.assign(desk, { sale: null, deed: null, fault: "", said: "" }); await list(desk); redraw(); };
  return [
    el("div", { class: `head tone-${look.tone}` }, icon(look.shape), el("strong", {}, money(sale.amount)),
      el("span", {}, look.headline)),
    el("dl", { class: "facts" }, facts(sale).map(([label, value]) =>
      el("div", {}, el("dt", {}, t(label)), el("dd", {}, value)))),
    el("p", { class: "fault", role: "alert" }, desk.fault),
    el("p", { class: "done", role: "status" }, desk.said),
    desk.deed ? confirmation(desk, redraw) : deeds(desk, redraw),
    el("div", { class: "pair" }, button(t("find_back"), back), button(t("close"), close, { key: "Esc" })),
  ];
}

function facts(sale) {
  return [
    ["fact_sale", sale.sale_id],
    ["fact_time", sale.recorded_at && timeOf(sale.recorded_at)],
    ["fact_authorization", sale.authorization_code],
    ["fact_account", sale.account],
    ["fact_plan", sale.plan && inWords(sale.plan).name],
    ["fact_captured", sale.captured?.minor ? money(sale.captured) : null],
    ["fact_refunded", sale.refunded?.minor ? money(sale.refunded) : null],
  ].filter(([, value]) => value);
}

function deeds(desk, redraw) {
  const rows = DEEDS[desk.sale.hold] ?? [];
  const ask = (name, left) => () => {
    const about = `${desk.sale.sale_id} ${name}`; // until it is answered, what is asked again is the same request
    desk.deed = { name, about, left: left?.(desk.sale), request: (desk.requests[about] ??= crypto.randomUUID()) };
    redraw();
  };
  return el("div", { class: "pair" },
    button(t("deed_reprint"), async () => { await printAgain(desk); redraw(); }),
    rows.map(([name, left]) => button(t(`deed_${name}`), ask(name, left), { kind: "danger" })));
}

async function printAgain(desk) {
  const answer = await post(ofSale(desk.sale.sale_id, "reprint"));
  Object.assign(desk, answer.ok ? { said: t("slip_again"), fault: "" } : { said: "", fault: problemWords(answer) });
}

function confirmation(desk, redraw) {
  const { name, left } = desk.deed;
  const field = left && amountField(desk.deed.typed ?? plain(left));
  const act = async (event) => {
    event.preventDefault();
    desk.deed.typed = field?.value; // a refused amount is corrected, never replaced by all of it
    const read = left ? readAmount(field.value, left.currency) : {};
    if (read.refused || (left && read.minor > left.minor)) {
      desk.fault = t(read.refused ?? "amount_above", { left: left && money(left) });
      redraw();
    } else if (!desk.isBusy) {
      await perform(desk, read.minor);
      redraw();
    }
  };
  return el("form", { class: "confirm", onsubmit: act },
    el("p", {}, t(`confirm_${name}`, { amount: money(left ?? desk.sale.amount) })),
    left && [el("label", { for: "deed-amount" }, t("amount")), field],
    el("div", { class: "pair" }, el("button", { type: "submit", class: "button main" }, t(`deed_${name}`)),
      button(t("not_now"), () => { desk.deed = null; redraw(); })));
}

function amountField(value) {
  const about = { id: "deed-amount", inputmode: "decimal", autocomplete: "off", maxlength: "14" };
  return el("input", { ...about, value });
}

async function perform(desk, minor) {
  const { name, about, request } = desk.deed;
  const body = name === "capture" || name === "refund" ? { amount_minor: minor, request_id: request } : {};
  desk.isBusy = true;
  const answer = await lendOperator(() => post(ofSale(desk.sale.sale_id, name), body));
  desk.isBusy = false;
  if (answer.ok) delete desk.requests[about];
  if (!answer.ok) desk.fault = problemWords(answer);
  else Object.assign(desk, { sale: answer.body, deed: null, fault: "", said: t("deed_done") });
}
