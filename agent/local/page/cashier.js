// The cashier's page: what is pressed becomes a call, what the agent says is drawn. The one rule: the agent alone knows
// where a sale stands; a key that is pressed twice is one call.

import { get, ofSale, post } from "/page/api.js";
import { askDay } from "/page/day.js";
import { button, draw } from "/page/dom.js";
import { draft, draftOf, forget, heardBy, wasHeardBy } from "/page/draft.js";
import { askDrawer } from "/page/drawer.js";
import { Entry } from "/page/entry.js";
import { Feed } from "/page/feed.js";
import { findSale } from "/page/find.js";
import { askInsights } from "/page/insights.js";
import { readAmount } from "/page/money.js";
import { isDialogOpen, problemWords, toast } from "/page/notes.js";
import { leave, operatorNow, watchOperator } from "/page/operator.js";
import { askShift } from "/page/shift.js";
import { refundSlip } from "/page/slip.js";
import { panel, side } from "/page/stage.js";
import { isOver, isSettled, lookOf, waitsForCode, waitsForPhone } from "/page/states.js";
import { beginWith, languageNow, loadTexts, otherLanguage, setLanguage, t } from "/page/texts.js";
import { alerts, topBar } from "/page/top.js";

const [top, strips, stage, keys, told] = ["top", "alerts", "stage", "keys", "told"].map((id) => document.getElementById(id));
const entry = new Entry();
let feed = null;
let isBusy = false;
let isOpening = false;

/** The sale that is shown: none while the next amount is typed over one that is over. */
const shown = () => (entry.text && isOver(feed.sale) && !waitsForCode(feed.sale) ? null : feed.sale);

function show() {
  const { counter, isConnected } = feed ?? {};
  if (!feed || (!counter && isConnected)) return;
  if (counter) beginWith(counter.merchant.language);
  if (feed.sale && (!isOver(feed.sale) || waitsForCode(feed.sale))) entry.drop(); // no amount waits behind an open sale
  const state = { sale: shown(), counter, entry, isConnected, isBusy };
  const look = lookOf(state.sale, "cashier", isConnected);
  document.title = `${look.word} · Counterfoil`;
  draw(top, ...topBar(counter, switchLanguage));
  draw(strips, ...(counter && isConnected ? [alerts(counter)] : []));
  stage.ariaBusy = isBusy;
  stage.className = state.sale?.state === "choosing" && isConnected ? "chooses" : "";
  draw(stage, panel(state), side(state, acts));
  draw(keys, ...menu(isConnected));
  const words = `${look.word}. ${look.headline}. ${look.next}`;
  if (told.textContent !== words) told.textContent = words;
}

function menu(isConnected) {
  const off = !isConnected;
  const operator = operatorNow()?.operator;
  return Object.entries(FUNCTIONS).filter(([key, [label]]) => label && (key !== LEAVE || operator)).map(([key, [label, press]]) =>
    button(t(label, { operator }), press, { key, off }));
}

function switchLanguage() {
  setLanguage(otherLanguage());
  show();
}

/** One call at a time: what is pressed meanwhile is the same press. */
async function once(work) {
  if (isBusy) return;
  isBusy = true;
  show();
  try {
    await work();
  } finally {
    isBusy = false;
    show();
  }
}

async function open(sale) {
  const answer = await feed.follow(post("/v1/sales", sale));
  if (answer.ok) heardBy(feed.run);
  return answer;
}

const charge = () => once(async () => {
  const { minor, refused } = readAmount(entry.text, feed.counter.currency);
  entry.refused = refused ?? null;
  if (refused) return;
  const answer = await open(draftOf(minor, feed.counter.currency));
  if (answer.status === 0) return; // the agent is away: the draft is sent again when it is back
  if (!answer.ok) forget();
  if (!answer.ok) toast(problemWords(answer));
  entry.clear();
});

const dismiss = (sale) => once(async () => {
  forget();
  entry.clear();
  const isOnPhone = waitsForPhone(sale);
  const call = post(ofSale(sale.sale_id, isOnPhone ? "abandonment" : "dismissal"));
  const answer = await (isOnPhone ? call : feed.follow(call, () => null));
  if (!answer.ok) toast(problemWords(answer));
});

const showCode = () => once(async () => {
  const sale = feed.sale;
  if (!sale?.may?.includes("merchant-code")) return;
  const print = Boolean(sale.own_code); // pressed again, it goes to paper
  const answer = await feed.follow(post(ofSale(sale.sale_id, "merchant-code"), { print }));
  if (!answer.ok) toast(problemWords(answer));
});

const take = (sale) => once(async () => {
  const offer = sale.offers.find(({ plan }) => plan === sale.looked_at);
  const choice = offer ? { plan: offer.plan, statement: offer.statement, language: languageNow() } : {};
  const answer = await post(ofSale(sale.sale_id, "choice"), choice);
  if (!answer.ok) toast(problemWords(answer));
  await feed.look();
});

const lookAt = (sale, plan) => once(async () => {
  await feed.follow(post(ofSale(sale.sale_id, "preview"), { plan }));
});

const acts = {
  type(characters) {
    entry.type(characters);
    show();
  },
  back() {
    entry.back();
    show();
  },
  enter() {
    const sale = shown();
    if (!sale) return charge();
    if (sale.state === "choosing") return take(sale);
    return isOver(sale) && !waitsForCode(sale) ? dismiss(sale) : null;
  },
  escape() {
    const sale = shown();
    if (sale && (sale.state !== "asking" || waitsForPhone(sale))) return dismiss(sale);
    entry.clear();
    return show();
  },
  look: (offer) => feed.sale?.state === "choosing" && lookAt(feed.sale, offer?.plan ?? null),
  showCode,
  open: () => feed.sale?.hold && findSale(feed.counter, feed.sale.sale_id),
};

/** A dialog asks the agent before it is there: the key that is pressed again meanwhile opens no second one. */
const opening = (open) => async () => {
  if (isOpening) return;
  isOpening = true;
  try {
    await open();
  } finally {
    isOpening = false;
  }
};

const signOut = () => once(async () => {
  const answer = await leave();
  toast(answer.ok ? t("signed_out") : problemWords(answer), answer.ok);
});

const LEAVE = "F10";
/** What the function keys do: the label at the foot of the page ("" for none), and the deed. */
const FUNCTIONS = {
  F2: ["find", opening(() => findSale(feed.counter))],
  F3: ["", opening(() => acts.open())],
  F4: ["drawer", askDrawer],
  F5: ["", showCode],
  F6: ["insights", opening(askInsights)],
  F7: ["shift", opening(() => askShift(feed.counter))],
  F8: ["day", opening(() => askDay(feed.counter))],
  F9: ["", switchLanguage],
  [LEAVE]: ["sign_out", signOut],
};

function step(by) {
  const sale = feed.sale;
  const plans = [null, ...sale.offers.map(({ plan }) => plan)];
  const at = (plans.indexOf(sale.looked_at) + by + plans.length) % plans.length;
  lookAt(sale, plans[at]);
}

function pressed(event) {
  if (isDialogOpen() || event.ctrlKey || event.altKey || event.metaKey || !feed?.counter) return;
  const { key } = event;
  const isOnButton = document.activeElement?.tagName === "BUTTON" && !document.activeElement.classList.contains("digit");
  if (isOnButton && (key === "Enter" || key === " ")) return;
  const isBurst = key.length === 1 || key === "Enter" ? entry.isBurst(event.timeStamp) : false;
  if (isBurst) {
    event.preventDefault();
    return show();
  }
  const choosing = shown()?.state === "choosing";
  const deed = FUNCTIONS[key]?.[1]
    ?? { Enter: acts.enter, Escape: acts.escape, Backspace: acts.back }[key]
    ?? (choosing && { ArrowDown: () => step(1), ArrowUp: () => step(-1) }[key])
    ?? (choosing && /^[0-9]$/.test(key) && (() => chooseNumber(Number(key))))
    ?? null;
  if (!deed && !/^[0-9.]$/.test(key)) return;
  event.preventDefault();
  if (event.repeat && key === "Enter") return;
  if (deed) deed();
  else if (!shown() || isOver(shown())) acts.type(key);
}

function chooseNumber(number) {
  if (number <= feed.sale.offers.length) lookAt(feed.sale, feed.sale.offers[number - 1]?.plan ?? null);
}

/** A sale that the agent forgot in a restart while it waited for a code is opened again under the same id. */
async function resume() {
  const kept = draft();
  if (!kept || !feed.isConnected || isBusy) return;
  const isHeard = wasHeardBy(feed.run);
  const isOlder = !isHeard && feed.counter.has_just_started && feed.sale?.sale_id !== kept.sale_id;
  const sale = isOlder ? null : feed.sale; // after a restart the agent shows the sale before this one
  const hasEnded = sale ? sale.sale_id !== kept.sale_id || isSettled(sale) : isHeard;
  if (hasEnded) return forget();
  const known = sale || isHeard ? null : await get(ofSale(kept.sale_id));
  if (known?.ok) return forget(); // it has an outcome, and the agent thinks that it is old
  const isForgotten = sale ? !isHeard && sale.state === "declined" && !waitsForCode(sale) : known?.status === 404;
  if (isForgotten) await open(kept);
}

function scanned({ kind, value, lane, lender, sale_id: saleId }) {
  if (kind === "slip" && lane && lane !== feed.counter.lane) refundSlip(feed.counter, { slip: value, lane, saleId, lender });
  else if (kind === "slip") findSale(feed.counter, saleId ?? value.split(":").at(-1));
  else if (value === null) toast(t("scan_amount_first"));
  else toast(t("scan_for_pos", { value }), true);
}

await loadTexts();
feed = new Feed({ changed: () => { show(); resume(); }, scanned });
watchOperator(show);
document.addEventListener("keydown", pressed);
window.addEventListener("storage", async () => { await loadTexts(); show(); });
