// What is wrong with the lane, and where it stands: header and alerts. The one rule: every trouble says what to do.

import { button, el, icon } from "/page/dom.js";
import { otherLanguage, said, t } from "/page/texts.js";

const WORST_FIRST = ["error", "warning", "info"];
const SHOWN_MAX = 2;
/** Told by the chips of the header: no strip of its own while the lane sells on. */
const CALM = ["uplink_unavailable", "batch_pending", "backend_recovering"];

function chip(shape, words, tone = "") {
  return el("li", { class: `chip ${tone}` }, icon(shape), el("span", {}, words));
}

function chips({ link, queue, conditions, print_jobs_waiting: slips }) {
  const depth = queue.depth;
  const printer = conditions.some(({ code }) => code === "printer");
  return el("ul", { class: "chips", "aria-label": t("lane_state") },
    link.up ? chip("link", t("online")) : chip("lost", t("offline"), "warn"),
    depth ? chip("queue", t("queue_depth", { count: depth }), link.up ? "busy" : "warn") : null,
    slips ? chip("printer", t("slips_waiting", { count: slips }), printer ? "warn" : "busy") : null);
}

export function topBar(counter, press) {
  const names = counter ? `${counter.merchant.name} · ${counter.merchant.store_name}` : "Counterfoil";
  const other = t(`language_${otherLanguage()}`);
  return [
    el("p", { class: "shop" }, el("strong", {}, names), counter && el("span", {}, t("lane", { lane: counter.lane }))),
    counter && chips(counter),
    button(other, press, { key: "F9", kind: "quiet" }),
  ];
}

/** Strips for what a cashier must do something about, the worst first. */
export function alerts(counter) {
  const rank = ({ severity }) => WORST_FIRST.indexOf(severity);
  const found = counter.conditions.filter(({ code }) => !CALM.includes(code)).sort((a, b) => rank(a) - rank(b));
  const more = found.length - SHOWN_MAX;
  const strips = found.slice(0, SHOWN_MAX).map(({ code, severity }) =>
    el("li", { class: `alert ${severity}` }, icon("fault"),
      el("strong", {}, said(code, "cashier")), el("span", {}, said(code, "next"))));
  return el("ul", {}, strips, more > 0 && el("li", { class: "alert info" }, t("more_alerts", { count: more })));
}
