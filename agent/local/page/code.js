// The lane's own code, which the lender's app scans. The one rule: the agent draws it and says how long it may be paid.

import { el } from "/page/dom.js";
import { t } from "/page/texts.js";

const LEFT = ".code-left";

/** The code of a sale that waits for somebody to pay it, with the time that is left; null for any other sale. */
export function ownCode(sale) {
  if (!sale?.own_code) return null;
  const src = `/v1/sales/${encodeURIComponent(sale.sale_id)}/merchant-code.svg?attempt=${sale.attempt}`;
  return el("figure", { class: "own-code" },
    el("img", { src, alt: t("code_picture") }),
    el("figcaption", { class: "code-left", "data-until": sale.own_code.until }, left(sale.own_code.until)));
}

/** Note when the code ends by this screen's own clock, as soon as the agent has said how long that is. */
export function stamped(sale) {
  if (sale?.own_code) sale.own_code.until ??= Math.round(performance.now() + 1000 * sale.own_code.left_s);
  return sale;
}

function left(until) {
  const seconds = Math.max(0, Math.round((until - performance.now()) / 1000));
  return t("code_left", { left: `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}` });
}

setInterval(() => {
  for (const each of document.querySelectorAll(LEFT)) each.textContent = left(Number(each.dataset.until));
}, 1000);
