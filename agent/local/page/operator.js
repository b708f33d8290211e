// Who does it: sensitive deeds ask for an operator's PIN where operators are configured. The one rule: the PIN goes to the
// agent and is kept nowhere.

import { drop, get, post } from "/page/api.js";
import { button, el } from "/page/dom.js";
import { openDialog, problemWords, toast } from "/page/notes.js";
import { t } from "/page/texts.js";

const LENDS = "supervisor";
const NEEDS_OPERATOR = ["operator_required", "role_required"];

let here = null;
let idleMs = 300_000;
let gone;
let told = () => {};

/** Who is signed in at this page, {operator, role}; null: nobody that it knows of. */
export const operatorNow = () => here;

/** Ask once who is signed in, from before a reload; `changed` is called whenever that is somebody else. */
export async function watchOperator(changed) {
  told = changed;
  const answer = await get("/v1/operators");
  if (!answer.ok) return;
  idleMs = answer.idle_max_s * 1000;
  isHere(answer.signed_in);
}

export async function leave() {
  const answer = await drop("/v1/operator-session");
  if (answer.ok) isHere(null);
  return answer;
}

/** The agent forgets who does nothing for a while; so does the page, without asking: asking would be doing something. */
function isHere(operator) {
  here = operator;
  clearTimeout(gone);
  if (here) gone = setTimeout(() => isHere(null), idleMs);
  told();
}

/**
 * The answer of `deed`; when it needs an operator, asks for the PIN and tries once more. A supervisor lends the PIN for this
 * one deed: the page is nobody's again as soon as it is answered.
 */
export async function lendOperator(deed) {
  const answer = await deed();
  if (answer.ok && here) isHere(here);
  if (answer.ok || !NEEDS_OPERATOR.includes(answer.title)) return answer;
  if (!(await askPin(answer))) return answer;
  const done = await deed();
  if (here?.role === LENDS) await giveBack(here.operator);
  return done;
}

async function giveBack(operator) {
  const answer = await leave();
  toast(answer.ok ? t("lent_back", { operator }) : problemWords(answer), answer.ok);
}

function askPin(refusal) {
  return new Promise((resolve) => {
    let fault = problemWords(refusal);
    let isIn = false;
    let isAsking = false;
    const name = el("input", { id: "operator", autocomplete: "off", maxlength: "32" });
    const pin = el("input", { id: "pin", type: "password", inputmode: "numeric", autocomplete: "off", maxlength: "12" });
    openDialog(t("pin_title"), (redraw, close) => {
      const enter = async (event) => {
        event.preventDefault();
        if (isAsking) return; // each try counts: pressed twice, it is one
        isAsking = true;
        const answer = await post("/v1/operator-session", { operator: name.value, pin: pin.value });
        isAsking = false;
        pin.value = "";
        isIn = answer.ok;
        if (isIn) isHere(answer.body);
        fault = answer.ok ? "" : problemWords(answer);
        if (isIn) close();
        else redraw();
      };
      return el("form", { onsubmit: enter },
        el("p", { class: "fault", role: "alert" }, fault),
        el("label", { for: "operator" }, t("pin_operator")), name,
        el("label", { for: "pin" }, t("pin_pin")), pin,
        el("div", { class: "pair" }, el("button", { type: "submit", class: "button main" }, t("pin_enter")),
          button(t("close"), close, { key: "Esc" })));
    }, { closed: () => resolve(isIn) });
  });
}
