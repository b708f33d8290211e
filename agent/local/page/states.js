// How each state of a sale looks. The one rule: a colour, a shape and words for each; no state goes without one of them.

import { said, t } from "/page/texts.js";

/** By state: tone (colour), shape, and the word above the sentence. */
const LOOKS = {
  ready: ["calm", "amount"],
  waiting: ["active", "scan"],
  choosing: ["choice", "plans"],
  asking: ["busy", "asking"],
  code: ["active", "scan"],
  approved: ["good", "approved"],
  approved_offline: ["good", "offline"],
  declined: ["bad", "declined"],
  step_up: ["caution", "phone"],
  refer: ["caution", "person"],
  unknown: ["fault", "fault"],
  lost: ["fault", "lost"],
  reversed: ["back", "back"],
  voided: ["back", "back"],
  refunded: ["back", "back"],
  refunded_in_part: ["back", "back"],
  expired: ["back", "back"],
};

/** The name of what is shown: finer than the sale's state where people must do something else. */
export function stateOf(sale) {
  if (!sale) return "ready";
  if (sale.own_code) return "code";
  if (sale.state === "approved" && sale.mode === "stand_in") return "approved_offline";
  if (sale.state === "declined" && LOOKS[sale.said]) return sale.said;
  return LOOKS[sale.state] ? sale.state : "unknown";
}

/** {state, tone, shape, word, headline, next} of a sale, for "cashier" or "customer". */
export function lookOf(sale, whom, isConnected = true) {
  const state = isConnected ? stateOf(sale) : "lost";
  const [tone, shape] = LOOKS[state];
  const key = state === "lost" ? "" : sale?.said;
  const headline = key ? said(key, whom) : t(`${state}_${whom}`);
  const next = key ? said(key, "next") : t(`${state}_next`);
  return { state, tone, shape, word: t(`state_${state}`), headline, next };
}

/** Whether a code that is scanned now would pay. */
export const waitsForCode = (sale) => Boolean(sale?.waiting_for_code);

/** Whether the customer's phone is waited for, which the cashier may stop. */
export const waitsForPhone = (sale) => Boolean(sale?.may?.includes("abandonment"));

/** Whether the sale has an end: the cashier may go on. */
export const isOver = (sale) => Boolean(sale) && !["waiting", "asking", "choosing"].includes(sale.state);

/** Whether the sale went through, or was: no code can pay it any more. */
export const isSettled = (sale) => isOver(sale) && !["declined", "unknown"].includes(sale.state);
