// Elements of the page. The one rule: whatever comes from outside is text, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** Strokes on a grid of 24 by 24: each state has a shape of its own, so that colour is never the only sign. */
const SHAPES = {
  amount: "M4 7h16M4 12h10M4 17h7M17 14v6M14 17h6",
  scan: "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M7 12h10",
  plans: "M4 6h4v4H4zM4 14h4v4H4zM12 8h8M12 16h8",
  asking: "M7 3h10M7 21h10M8 3c0 5 8 6 8 9s-8 4-8 9M16 3c0 5-8 6-8 9s8 4 8 9",
  approved: "M4 13l5 5L20 6",
  offline: "M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6zM8 12l3 3 5-6",
  declined: "M6 6l12 12M18 6L6 18",
  phone: "M8 2h8v20H8zM11 18h2M10.500 10l1.500 1.500 2-2.500",
  person: "M12 12a4 4 0 100-8 4 4 0 000 8zM4 21c0-5 4-6 8-6s8 1 8 6",
  fault: "M12 3l10 18H2zM12 10v5M12 18v.5",
  back: "M9 5L4 10l5 5M4 10h10a5 5 0 010 10h-3",
  lost: "M3 3l18 18M5 12a10 10 0 013-2M19 12a10 10 0 00-5-3M8.500 15.500a5 5 0 017 0M12 19v.5",
  link: "M5 12a10 10 0 0114 0M8.500 15.500a5 5 0 017 0M12 19v.5",
  queue: "M12 4v12M7 9l5-5 5 5M5 20h14",
  bars: "M4 4v16h16M9 16v-4M13 16V8M17 16v-6",
  printer: "M7 8V3h10v5M7 17H4V8h16v9h-3M7 13h10v8H7z",
};

/** An element: properties that start with "on" are listeners, all others attributes; children are nodes or text. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An element of a drawing: its looks are attributes and classes, for the policy allows no style of its own. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

/** A drawing that says nothing to a screen reader: the words beside it do. */
export function icon(name) {
  const about = { viewBox: "0 0 24 24", class: `icon icon-${name}`, "aria-hidden": "true" };
  return svg("svg", about, svg("path", { d: SHAPES[name] }));
}

/** The state's own colour with its shape, and its word where one is said. */
export const sign = (shape, word) => el("div", { class: "sign" }, icon(shape), word && el("p", { class: "word" }, word));

/** An amount in the largest figures that its panel has room for. */
export function sum(words, label = null) {
  const kind = words.length > 12 ? "longest" : words.length > 9 ? "long" : "";
  return el("p", { class: `amount ${kind}` }, label && el("span", { class: "unseen" }, label), words);
}

/**
 * A button; `key` is shown beside its words and keeps the focus where it was when the page is drawn anew. The second half
 * of a double click may meet what was drawn meanwhile in the same place: it presses nothing but what is pressed `again`
 * and again, as digits are.
 */
export function button(words, press, { key = "", kind = "", off = false, label = null, again = kind === "digit" } = {}) {
  const onclick = again ? press : (event) => event.detail < 2 && press(event);
  const attributes = { type: "button", class: `button ${kind}`, "data-key": key || words, disabled: off, onclick };
  return el("button", { ...attributes, "aria-label": label }, el("span", {}, words), key && el("kbd", {}, key));
}

/** Draw `children` into `parent`, unless they are what is there; the focus stays on the button that has it. */
export function draw(parent, ...children) {
  const next = el("div", {}, ...children);
  if (parent.innerHTML === next.innerHTML && parent.dataset.drawn === "once") return;
  const focused = parent.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const scrolled = [...parent.querySelectorAll("[data-scroll]")].map((box) => [box.dataset.scroll, box.scrollTop]);
  parent.dataset.drawn = "once";
  parent.replaceChildren(...next.childNodes);
  for (const [name, top] of scrolled) {
    const box = parent.querySelector(`[data-scroll="${CSS.escape(name)}"]`);
    if (box) box.scrollTop = top;
  }
  if (focused) parent.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}
