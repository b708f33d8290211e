// The customer's display. The one rule: it shows, and can do nothing.

import { ownCode } from "/page/code.js";
import { draw, el, sign, sum } from "/page/dom.js";
import { Feed } from "/page/feed.js";
import { money } from "/page/money.js";
import { inWords, plansTable, statementOf } from "/page/plans.js";
import { lookOf } from "/page/states.js";
import { beginWith, loadTexts, t } from "/page/texts.js";

const [top, stage, told] = ["top", "stage", "told"].map((id) => document.getElementById(id));

function show({ counter, sale, isConnected }) {
  if (!counter && isConnected) return;
  if (counter) beginWith(counter.merchant.language);
  const look = lookOf(sale, "customer", isConnected);
  document.title = look.headline;
  draw(top, el("p", { class: "shop" }, el("strong", {}, counter && sale ? counter.merchant.name : "")));
  top.hidden = !sale;
  const chooses = isConnected && sale?.state === "choosing";
  const chosen = chooses ? sale.offers.find(({ plan }) => plan === sale.looked_at) : null;
  draw(stage, el("section", { class: `panel tone-${look.tone}`, "data-state": look.state },
    look.state !== "ready" && sign(look.shape),
    sale ? sum(money(sale.amount)) : counter && el("p", { class: "welcome" }, counter.merchant.name),
    isConnected && ownCode(sale),
    el("h1", {}, look.headline),
    isConnected && sale?.own_code && el("p", { class: "next" }, counter.lenders[sale.lender] ?? sale.lender),
    look.state === "approved_offline" && el("p", { class: "next" }, t("guaranteed_customer")),
    sale?.plan && isConnected && look.tone === "good" && el("p", { class: "next" }, inWords(sale.plan).name)),
  chosen ? statementOf(chosen) : chooses && sale.offers.length ? plansTable(sale) : null);
  if (told.textContent !== look.headline) told.textContent = look.headline;
}

await loadTexts();
let feed;
const redraw = () => feed && show(feed);
feed = new Feed({ changed: redraw });
window.addEventListener("storage", async () => { await loadTexts(); redraw(); });
