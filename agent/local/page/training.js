// The trainee's tray: what comes to a training counter. The one rule: it lets things happen, and sells nothing itself.

import { post } from "/page/api.js";
import { button, draw, el } from "/page/dom.js";
import { openDialog, problemWords, toast } from "/page/notes.js";
import { languageNow } from "/page/texts.js";

const CUSTOMERS = ["pays", "step_up", "expired", "torn", "declined", "real"];
const LESSONS = 7;
const words = {};
const word = (key) => words[languageNow() ?? "zh-CN"][key];
const tray = el("nav", { id: "tray" });
let now = { line: "up", paper: "in" };

async function play(what) {
  const answer = await post("/v1/scenes", { what });
  if (answer.ok) now = answer.body;
  else toast(problemWords(answer));
  show();
}

/** Whoever has pressed goes on at the sale: Enter is the cashier's key again. */
const scene = (what, kind = "") => button(word(what), (event) => {
  if (event.detail) event.currentTarget.blur();
  play(what);
}, { kind, again: true });

function lessons() {
  const items = [...Array(LESSONS).keys()].map((number) => el("li", {}, word(`lesson_${number + 1}`)));
  openDialog(word("lessons"), (redraw, close) => [el("ol", {}, items), button(word("close"), close, { kind: "main" })]);
}

function show() {
  tray.setAttribute("aria-label", word("tray"));
  draw(tray, CUSTOMERS.map((what) => scene(what)),
    scene(now.line === "up" ? "cut" : "restore", now.line === "up" ? "" : "on"),
    scene(now.paper === "in" ? "paper_out" : "paper_in", now.paper === "in" ? "" : "on"),
    button(word("lessons"), lessons, { kind: "main" }));
}

for (const language of ["zh-CN", "en"]) {
  words[language] = await (await fetch(`/page/training.${language}.json`)).json();
}
document.getElementById("training").after(tray);
new MutationObserver(show).observe(document.documentElement, { attributeFilter: ["lang"] });
await play("look");
