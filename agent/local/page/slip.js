// A slip of another lane: its money is given back here, online. The one rule: begun once, it is one refund of one amount
// under one id until it is answered, also after the dialog was closed or the page loaded anew.

import { post } from "/page/api.js";
import { button, el } from "/page/dom.js";
import { money, readAmount } from "/page/money.js";
import { openDialog, problemWords } from "/page/notes.js";
import { lendOperator } from "/page/operator.js";
import { said, t } from "/page/texts.js";

const ASKED = "counterfoil.refund.";

export function refundSlip({ currency }, { slip, lane, saleId, lender }) {
  const desk = { asked: JSON.parse(localStorage.getItem(ASKED + slip)), fault: "", done: null, isBusy: false };
  const field = el("input", { id: "slip-amount", inputmode: "decimal", autocomplete: "off", maxlength: "14" });
  openDialog(t("slip_other"), (redraw, close) => {
    const send = async (event) => {
      event.preventDefault();
      const { minor, refused } = desk.asked ?? readAmount(field.value, currency);
      desk.fault = refused ? t(refused) : "";
      desk.asked ??= refused ? null : { request_id: crypto.randomUUID(), slip, lender, amount: { minor, currency } };
      if (desk.asked && !desk.isBusy) await ask(desk);
      redraw();
    };
    return [
      el("p", {}, t("slip_lane", { lane, sale: saleId.slice(0, 8) })),
      el("p", { class: "fault", role: "alert" }, desk.fault),
      desk.done ? el("p", { class: "done", role: "status" }, desk.done)
        : el("form", { class: "confirm", onsubmit: send },
          desk.asked ? el("p", {}, money(desk.asked.amount)) : [el("label", { for: "slip-amount" }, t("amount")), field],
          el("button", { type: "submit", class: "button main" }, t("deed_refund"))),
      el("div", { class: "pair" }, button(t("close"), close, { key: "Esc" })),
    ];
  });
}

/** What was refused at once may be asked for anew; what was ever left without an answer is asked for as it was. */
async function ask(desk) {
  desk.isBusy = true;
  const isNew = !localStorage.getItem(ASKED + desk.asked.slip);
  localStorage.setItem(ASKED + desk.asked.slip, JSON.stringify(desk.asked));
  const answer = await lendOperator(() => post("/v1/refunds", desk.asked));
  desk.isBusy = false;
  const words = answer.ok ? t("sentences", { first: said(answer.body.said, "cashier"), then: said(answer.body.said, "next") })
    : problemWords(answer);
  if (answer.body?.state === "approved") desk.done = `${money(answer.body.amount)} · ${words}`;
  else desk.fault = words;
  if (!answer.ok && !(isNew && answer.status >= 400 && answer.status < 500)) return;
  localStorage.removeItem(ASKED + desk.asked.slip);
  desk.asked = null;
}
