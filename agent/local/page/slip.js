// A slip of another lane: its money is given back here, online. The one rule: begun once, it is one refund under one id,
// until it is answered.

import { post } from "/page/api.js";
import { button, el } from "/page/dom.js";
import { money, readAmount } from "/page/money.js";
import { openDialog, problemWords } from "/page/notes.js";
import { lendOperator } from "/page/operator.js";
import { said, t } from "/page/texts.js";

export function refundSlip({ currency }, { slip, lane, saleId, lender }) {
  const desk = { request: crypto.randomUUID(), fault: "", done: null, isBusy: false };
  const field = el("input", { id: "slip-amount", inputmode: "decimal", autocomplete: "off", maxlength: "14" });
  openDialog(t("slip_other"), (redraw, close) => {
    const send = async (event) => {
      event.preventDefault();
      const { minor, refused } = readAmount(field.value, currency);
      desk.fault = refused ? t(refused) : "";
      if (!refused && !desk.isBusy) await ask(desk, { slip, lender, amount: { minor, currency } });
      redraw();
    };
    return [
      el("p", {}, t("slip_lane", { lane, sale: saleId.slice(0, 8) })),
      el("p", { class: "fault", role: "alert" }, desk.fault),
      desk.done ? el("p", { class: "done", role: "status" }, desk.done)
        : el("form", { class: "confirm", onsubmit: send }, el("label", { for: "slip-amount" }, t("amount")), field,
          el("button", { type: "submit", class: "button main" }, t("deed_refund"))),
      el("div", { class: "pair" }, button(t("close"), close, { key: "Esc" })),
    ];
  });
}

/** What was refused may be asked for anew; what was not answered is asked for again under the same id. */
async function ask(desk, body) {
  desk.isBusy = true;
  const answer = await lendOperator(() => post("/v1/refunds", { request_id: desk.request, ...body }));
  desk.isBusy = false;
  const words = answer.ok ? t("sentences", { first: said(answer.body.said, "cashier"), then: said(answer.body.said, "next") })
    : problemWords(answer);
  if (answer.body?.state === "approved") desk.done = `${money(answer.body.amount)} · ${words}`;
  else desk.fault = words;
  if (answer.body?.state === "declined") desk.request = crypto.randomUUID();
}
