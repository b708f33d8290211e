// What a day's credit sales came to, for the owner of the shop. The one rule: the agent counts, this only draws; what it
// was not told is said to be unknown and never drawn as nothing.

import { get } from "/page/api.js";
import { bars, columns } from "/page/charts.js";
import { button, draw, el, icon } from "/page/dom.js";
import { money } from "/page/money.js";
import { openDialog, problemWords } from "/page/notes.js";
import { isKnown, languageNow, said, t } from "/page/texts.js";

const CALL = "/v1/insights";
const REASONS_MAX = 6;
const USUAL = [8, 21];
const DAY_MS = 86_400_000;

/** Open the dialog on the store's day. */
export async function askInsights() {
  const today = await get(CALL);
  if (!today.ok) return openDialog(t("insights"), (_, close) => [
    el("p", { class: "fault", role: "alert" }, problemWords(today)), button(t("close"), close, { key: "Esc" })]);
  const view = el("div", { class: "insights" });
  draw(view, ...charts(today.body));
  return openDialog(t("insights"), (_, close) => [chooser(view, today.body.day, close), view], { kind: "wide" });
}

/** Which day is looked at; what is drawn for it is announced when it is there. */
function chooser(view, today, close) {
  const day = el("input", { type: "date", id: "insights-day", value: today, max: today, min: "2000-01-01" });
  const heard = el("p", { class: "unseen", role: "status" });
  const csv = el("a", { class: "button", download: "" }, t("insights_csv"));
  const point = () => csv.setAttribute("href", `${CALL}?day=${day.value}&format=csv`);
  const look = async () => {
    if (!day.value || !day.validity.valid) return;
    const wanted = day.value;
    point();
    const answer = await get(`${CALL}?day=${wanted}`);
    if (wanted !== day.value) return; // another day was chosen meanwhile
    draw(view, ...(answer.ok ? charts(answer.body) : [el("p", { class: "fault", role: "alert" }, problemWords(answer))]));
    heard.textContent = answer.ok ? summary(answer.body) : "";
  };
  const step = (days) => () => {
    const next = new Date(Date.parse(day.value || today) + days * DAY_MS).toISOString().slice(0, 10);
    if (next > today) return;
    day.value = next;
    look();
  };
  day.addEventListener("change", look);
  point();
  return el("div", { class: "days" }, el("span", { class: "fill" }),
    button("‹", step(-1), { again: true, label: t("day_before") }),
    el("label", { for: "insights-day", class: "unseen" }, t("insights_day")),
    day, button("›", step(1), { again: true, label: t("day_after") }), heard, el("span", { class: "fill" }), csv,
    button(t("close"), close, { key: "Esc" }));
}

const share = (part, whole) => (whole ? part / whole : 0);
const percent = (part) => new Intl.NumberFormat(languageNow(), { style: "percent", maximumFractionDigits: 1 }).format(part);
const count = (number) => new Intl.NumberFormat(languageNow()).format(number);
const tries = ({ approved, declined }) => approved.count + declined.count;

function summary(day) {
  const { approved, currency } = day;
  return t("insights_summary", { day: day.day, count: count(approved.count), amount: money({ minor: approved.minor, currency }) });
}

function charts(day) {
  const column = (...drawn) => el("div", {}, drawn);
  const drawn = tries(day) ? [
    column(chart(t("insights_hours"), ...hours(day)), chart(t("insights_basket"), ...baskets(day))),
    column(chart(t("insights_plans"), plans(day)), chart(t("insights_reasons"), reasons(day))),
  ] : [el("p", { class: "empty" }, icon("bars"), t("insights_none", { day: day.day }))];
  return [tries(day) || day.refunded.count || day.undone.count ? tiles(day) : "", ...drawn, el("p", { class: "small" }, t(day.is_over ? "insights_over" : "insights_so_far"))];
}

function chart(title, ...drawn) {
  return el("section", { class: "chart" }, el("h3", {}, title), drawn);
}

/** The day at a glance. */
function tiles({ approved, declined, offline, with_coupon: coupon, undone, refunded, currency }) {
  const sum = ({ minor }) => money({ minor, currency });
  const back = { count: undone.count + refunded.count, minor: undone.minor + refunded.minor };
  const tile = ([label, figure, words]) => el("div", { class: "tile" }, el("dt", {}, label), el("dd", {}, figure), el("dd", {}, words));
  const all = approved.count + declined.count;
  return el("dl", { class: "tiles" }, [
    [t("total_approved"), sum(approved), t("insights_sales", { count: count(approved.count) })],
    [t("insights_rate"), all ? percent(share(approved.count, all)) : "–", t("insights_declined", { count: count(declined.count) })],
    [t("insights_offline"), approved.count ? percent(share(offline.count, approved.count)) : "–", sum(offline)],
    [t("insights_coupon"), approved.count ? percent(share(coupon.count, approved.count)) : "–", sum(coupon)],
    [t("insights_back"), sum(back), t("insights_sales", { count: count(back.count) })],
  ].map(tile));
}

/** 24 columns of what was approved; the same as a table for whoever wants the figures. */
function hours({ hours: rows, currency }) {
  const busiest = rows.reduce((best, row) => (row.approved.minor > best.approved.minor ? row : best));
  const hour = (row) => String(row.hour).padStart(2, "0");
  const sum = (minor) => money({ minor, currency });
  const words = t("insights_busiest", { hour: hour(busiest), amount: sum(busiest.approved.minor) });
  const table = el("table", {}, el("thead", {}, el("tr", {},
    ["insights_hour", "total_approved", "amount", "total_declined"].map((key) => el("th", { scope: "col" }, t(key))))),
  el("tbody", {}, rows.filter(tries).map((row) => el("tr", {}, el("th", { scope: "row" }, `${hour(row)}:00`),
    [count(row.approved.count), sum(row.approved.minor), count(row.declined.count)].map((cell) => el("td", {}, cell))))));
  return [
    columns(openHours(rows).map((row) => ({ label: hour(row), value: row.approved.minor })), { amount: round(currency), words }),
    el("p", { class: "small" }, words),
    el("details", {}, el("summary", {}, t("insights_table")), table),
  ];
}

/** From the first hour that sold to the last, and at least a shop's usual day: no half of the drawing is night. */
function openHours(rows) {
  const sold = rows.filter(({ approved }) => approved.minor).map(({ hour }) => hour);
  return rows.filter(({ hour }) => hour >= Math.min(...sold, USUAL[0]) && hour <= Math.max(...sold, USUAL[1]));
}

/** Ticks of an axis: ¥1,000 without the decimals that say nothing. */
const round = (currency) => (minor) => money({ minor: Math.round(minor), currency }).replace(/\.0+$/, "");

function plans({ plans: rows, currency }) {
  const most = Math.max(...rows.map(({ approved }) => approved.minor));
  const name = ({ plan }) => (plan ? t("total_plan", { plan }) : t("plan_none"));
  return bars(t("insights_plans"), ["plan_plan", "insights_part", "amount", "insights_count"].map((key) => t(key)), rows
    .filter(({ approved }) => approved.count).sort((a, b) => b.approved.minor - a.approved.minor)
    .map((row) => ({ label: name(row), part: share(row.approved.minor, most),
      cells: [money({ minor: row.approved.minor, currency }), count(row.approved.count)] })));
}

function reasons({ reasons: rows, approved, declined }) {
  const all = approved.count + declined.count;
  const sorted = [...rows].sort((a, b) => b.count - a.count);
  const shown = sorted.slice(0, REASONS_MAX);
  const rest = sorted.slice(REASONS_MAX).reduce((sum, row) => sum + row.count, 0);
  const lines = shown.map((row) => ({ label: why(row), part: share(row.count, all), cells: [count(row.count)],
    tone: row.outcome === "approved" ? "good" : "bad" }));
  if (rest) lines.push({ label: t("insights_rest"), part: share(rest, all), cells: [count(rest)], tone: "column" });
  return bars(t("insights_reasons"), ["insights_why", "insights_part", "insights_count"].map((key) => t(key)), lines);
}

/** A shape for the outcome, the outcome for whoever cannot see it, and the reason. */
function why({ outcome, reason, text }) {
  const words = isKnown(reason) ? said(reason, "cashier") : text;
  return [icon(outcome), el("span", { class: "unseen" }, `${t(`total_${outcome}`)}: `), words];
}

/** With credit beside without; null is a POS that has not told, which is not nothing sold. */
function baskets({ basket: { credit, other }, currency }) {
  const most = Math.max(credit.average_minor ?? 0, other?.average_minor ?? 0);
  const row = (label, basket, tone) => ({ label, part: share(basket?.average_minor ?? 0, most), tone, cells: [
    basket?.average_minor ? money({ minor: basket.average_minor, currency }) : "–",
    basket ? t("insights_sales", { count: count(basket.count) }) : ""] });
  const heads = ["insights_tender", "insights_part", "insights_average", "insights_count"].map((key) => t(key));
  const known = [row(t("insights_credit"), credit, "column"), other && row(t("insights_other"), other, "other")];
  return [bars(t("insights_basket"), heads, known.filter(Boolean)), other ? null : el("p", { class: "small" }, t("insights_untold"))];
}
