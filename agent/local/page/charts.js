// Charts of the insights, as drawings and as words at once. The one rule: every figure that a drawing shows stands as text
// beside it or in the table under it; a colour never says anything alone.

import { el, svg } from "/page/dom.js";

/** The drawing of the columns, in its own units: the screen scales it. */
const [WIDE, HIGH, LEFT, RIGHT, TOP, FOOT] = [520, 168, 64, 8, 20, 24];
const GAP = 0.28;
const LABEL_EVERY = 2;
const TICKS = 4;

/** The least round number that `TICKS` steps of 1, 2, 2.5 or 5 by a power of ten reach. */
export function topOf(largest) {
  const least = Math.max(largest, TICKS) / TICKS;
  const power = 10 ** Math.floor(Math.log10(least));
  return TICKS * power * [1, 2, 2.5, 5, 10].find((step) => step * power >= least);
}

/** Columns: `rows` of {label, value}; `amount(value)` writes a tick; `words` is what the drawing says in one sentence. */
export function columns(rows, { amount, words }) {
  const largest = Math.max(...rows.map(({ value }) => value));
  const top = topOf(largest);
  const [width, height] = [(WIDE - LEFT - RIGHT) / rows.length, HIGH - TOP - FOOT];
  const y = (value) => TOP + height * (1 - value / top);
  const ticks = Array.from({ length: TICKS + 1 }, (_, index) => (top / TICKS) * index).map((value) => [
    svg("line", { class: value ? "grid" : "grid zero", x1: LEFT, x2: WIDE - RIGHT, y1: y(value), y2: y(value) }),
    svg("text", { x: LEFT - 8, y: y(value) + 5, "text-anchor": "end" }, amount(value)),
  ]);
  const bars = rows.map(({ label, value }, index) => {
    const x = LEFT + index * width;
    const at = { x: x + (width * GAP) / 2, y: y(value), width: width * (1 - GAP), height: Math.max(0, HIGH - FOOT - y(value)) };
    const middle = { x: x + width / 2, "text-anchor": "middle" };
    const isMost = value && value === largest;
    return [
      value ? svg("rect", { class: "column", rx: 2, ...at }) : null,
      isMost ? svg("text", { class: "most", ...middle, y: at.y - 4 }, amount(value)) : null,
      index % LABEL_EVERY ? null : svg("text", { ...middle, y: HIGH - 7 }, label),
    ];
  });
  return svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "columns", role: "img", "aria-label": words }, ticks, bars);
}

/** A part of a whole, or of the largest, as a bar; what it says stands beside it. */
function bar(part, tone) {
  return svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", class: "bar", "aria-hidden": "true" },
    svg("rect", { class: "track", width: 100, height: 10 }),
    svg("rect", { class: tone, width: Math.round(part * 1000) / 10, height: 10 }));
}

/** Bars in a table: `rows` of {label, part (0 to 1), cells (texts), tone}; `heads` names the columns for who cannot see. */
export function bars(title, heads, rows) {
  const head = el("tr", {}, heads.map((each) => el("th", { scope: "col" }, each)));
  const row = ({ label, part, cells, tone = "column" }) => el("tr", {}, el("th", { scope: "row" }, label),
    el("td", { class: "drawn" }, bar(part, tone)), cells.map((cell) => el("td", {}, cell)));
  return el("table", { class: "bars" }, el("caption", { class: "unseen" }, title), el("thead", { class: "unseen" }, head),
    el("tbody", {}, rows.map(row)));
}
