// The middle of the cashier's page. The one rule: amount, what to do now and whether it went through stand in one panel,
// in the same place whatever happens.

import { ownCode } from "/page/code.js";
import { button, el, sign, sum } from "/page/dom.js";
import { money, readAmount } from "/page/money.js";
import { inWords, plansTable, statementOf } from "/page/plans.js";
import { isOver, lookOf, waitsForCode, waitsForPhone } from "/page/states.js";
import { t } from "/page/texts.js";

const PAD = ["7", "8", "9", "4", "5", "6", "1", "2", "3", "0", "00", "."];

/** The panel of a sale, or of the amount that is typed. */
export function panel({ sale, counter, entry, isConnected }) {
  const look = lookOf(sale, "cashier", isConnected);
  const amount = sale ? money(sale.amount) : typed(entry, counter);
  const refused = !sale && isConnected && entry.refused;
  const isTyped = !sale && isConnected && entry.text !== "";
  const headline = refused ? t(refused) : isTyped ? t("typed_cashier") : look.headline;
  const next = refused ? t("amount_again") : isTyped ? t("typed_next") : look.next;
  return el("section", { class: `panel tone-${look.tone}`, "data-state": look.state, "aria-labelledby": "headline" },
    sign(look.shape, look.word),
    (sale || isConnected) && sum(amount, t("amount")),
    el("h1", { id: "headline" }, headline === look.word ? next : headline),
    headline !== look.word && el("p", { class: "next" }, next));
}

function typed(entry, counter) {
  if (!entry.text) return money({ minor: 0, currency: counter?.currency ?? "CNY" });
  const read = readAmount(entry.text, counter.currency);
  return read.minor ? money({ minor: read.minor, currency: counter.currency }) : entry.text;
}

function facts(sale, counter) {
  const rows = [
    ["fact_lender", sale.lender && (counter.lenders[sale.lender] ?? sale.lender)],
    ["fact_account", sale.account],
    ["fact_authorization", sale.authorization_code],
    ["fact_response", sale.response_code],
    ["fact_plan", sale.plan && inWords(sale.plan).name],
    ["fact_refunded", sale.refunded?.minor ? money(sale.refunded) : null],
    ["fact_slip", sale.print_jobs?.length ? t(sale.printed ? "slip_printed" : "slip_waits") : null],
    ["fact_sent", sale.hold ? t(sale.acknowledged ? "sent_yes" : "sent_later") : null],
  ].filter(([, value]) => value);
  const row = ([label, value]) => el("div", {}, el("dt", {}, t(label)), el("dd", {}, value));
  return rows.length ? el("dl", { class: "facts" }, rows.map(row)) : null;
}

/** Beside the panel: the keys of the amount, the plans, or what can be done now. */
export function side(state, acts) {
  const { sale, counter, isConnected } = state;
  if (!isConnected) return el("section", { class: "side" });
  if (!sale) return keypad(acts);
  if (sale.state === "choosing") return choosing(sale, state, acts);
  return el("section", { class: "side actions", "aria-label": t("actions") }, facts(sale, counter), actions(sale, acts));
}

function keypad(acts) {
  const keys = PAD.map((key) => button(key, () => acts.type(key), { kind: "digit" }));
  const erase = button("⌫", acts.back, { kind: "digit", label: t("erase") });
  const clear = button(t("clear"), acts.escape, { kind: "digit", key: "Esc" });
  const charge = button(t("charge"), acts.enter, { key: "Enter", kind: "main" });
  return el("section", { class: "side keypad", "aria-label": t("keypad") }, keys, erase, clear, charge);
}

function actions(sale, acts) {
  if (isOver(sale) && !waitsForCode(sale)) {
    return [
      button(t("this_sale"), acts.open, { key: "F3" }),
      button(t("next_sale"), acts.enter, { key: "Enter", kind: "main" }),
    ];
  }
  if (waitsForPhone(sale)) {
    const words = t(sale.said === "wallet_pending" ? "give_up_wallet" : "give_up_code");
    return [
      ...(sale.own_code ? [ownCode(sale), button(t("print_code"), () => acts.showCode(), { key: "F5" })] : []),
      button(words, acts.escape, { key: "Esc", kind: "danger" }),
    ];
  }
  if (sale.state === "asking") return [el("p", { class: "hint" }, t("asking_hint"))];
  return [
    el("p", { class: "hint" }, t(sale.state === "declined" ? "scan_again_hint" : "scan_hint")),
    ...(sale.may?.includes("merchant-code") ? [button(t("show_code"), () => acts.showCode(), { key: "F5" })] : []),
    button(t("give_up"), acts.escape, { key: "Esc", kind: "danger" }),
  ];
}

function choosing(sale, { isBusy }, acts) {
  const offer = sale.offers.find(({ plan }) => plan === sale.looked_at);
  const words = offer ? t("take_plan", { plan: inWords(offer).name }) : t("take_none");
  return el("section", { class: "side choosing", "aria-label": t("plans_title") },
    el("div", { class: "table" }, plansTable(sale, { chosen: sale.looked_at, choose: acts.look })),
    offer ? statementOf(offer) : el("p", { class: "hint" }, t(sale.offers.length ? "plans_hint" : "plans_nothing")),
    el("div", { class: "pair" },
      button(words, acts.enter, { key: "Enter", kind: "main", off: isBusy }),
      button(t("give_up"), acts.escape, { key: "Esc", kind: "danger", off: isBusy })));
}
