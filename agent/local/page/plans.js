// The plans that a customer may choose from. The one rule: all that each costs is shown before any is taken.

import { el } from "/page/dom.js";
import { money } from "/page/money.js";
import { languageNow, t } from "/page/texts.js";

export const inWords = (offer) => offer.shown[languageNow()];

/** "3 × ¥80.00", and the first payment where it is another. */
export function paymentsOf(offer) {
  const { currency } = offer.amount;
  const [first, ...others] = offer.payments;
  const rest = others.at(-1) ?? first;
  const each = money({ minor: rest.minor, currency });
  if (offer.payments.length === 1) return each;
  if (first.minor === rest.minor) return `${offer.payments.length} × ${each}`;
  return `${money({ minor: first.minor, currency })} + ${others.length} × ${each}`;
}

/** All plans beside each other. `choose(offer or null)` and `chosen` (a plan's id) only where one can be pressed. */
export function plansTable(sale, { chosen = null, choose = null } = {}) {
  const heads = ["plan", "payments", "cost", "total", "rate"].map((name) => el("th", { scope: "col" }, t(`plan_${name}`)));
  const rows = sale.offers.map((offer, index) => planRow(offer, index + 1, chosen, choose));
  const head = el("tr", {}, choose && el("td", { "aria-hidden": "true" }), heads);
  return el("table", { class: "plans" }, el("caption", { class: "unseen" }, t("plans_title")), el("thead", {}, head),
    el("tbody", {}, choose && fullRow(sale, chosen, choose), rows));
}

function planRow(offer, number, chosen, choose) {
  const { currency } = offer.amount;
  const name = inWords(offer).name;
  const pick = choose && el("td", {}, pickButton(String(number), name, chosen === offer.plan, () => choose(offer)));
  return el("tr", { class: chosen === offer.plan ? "chosen" : "", onclick: choose && (() => choose(offer)) }, pick,
    el("th", { scope: "row" }, name, offer.coupon && el("em", {}, t("plan_coupon"))),
    el("td", {}, paymentsOf(offer)),
    el("td", {}, money({ minor: offer.fee_minor, currency })),
    el("td", {}, money({ minor: offer.total_minor, currency })),
    el("td", { class: "rate" }, `${offer.nominal_percent}%`));
}

function fullRow(sale, chosen, choose) {
  const pick = el("td", {}, pickButton("0", t("plan_none"), chosen === null, () => choose(null)));
  return el("tr", { class: chosen === null ? "chosen" : "", onclick: () => choose(null) }, pick,
    el("th", { scope: "row" }, t("plan_none")), el("td", {}, money(sale.amount)), el("td", {}, "—"),
    el("td", {}, money(sale.amount)), el("td", {}, "—"));
}

function pickButton(number, name, isChosen, press) {
  const listener = (event) => { event.stopPropagation(); press(); };
  const about = { "aria-label": `${number}: ${name}`, "aria-pressed": String(isChosen) };
  return el("button", { type: "button", class: "pick", "data-key": `plan ${number}`, onclick: listener, ...about }, number);
}

/** One plan's whole statement: every row that the law and the lender want seen, the prominent ones first to the eye. */
export function statementOf(offer) {
  const rows = inWords(offer).rows.map(([label, figure, isProminent]) =>
    figure
      ? el("div", { class: isProminent ? "prominent" : "" }, el("dt", {}, label), el("dd", {}, figure))
      : el("div", { class: "words" }, el("dt", { class: "unseen" }, t("statement_words")), el("dd", {}, label)));
  const about = { class: "statement", tabindex: "0", role: "region", "data-scroll": "statement" };
  return el("div", { ...about, "aria-label": t("statement_title") },
    el("h2", {}, t("statement_title")), el("dl", {}, rows));
}
