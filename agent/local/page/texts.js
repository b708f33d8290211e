// The words of the page. The one rule: every sentence is the catalogue's, in the language chosen now.

const LANGUAGES = ["zh-CN", "en"];
const KEY = "counterfoil.language";
const catalogues = {};
let language = null;

/** Load all languages, so that a switch needs no network; begin with the one used last here, else the shop's. */
export async function loadTexts() {
  const load = async (each) => {
    catalogues[each] = await (await fetch(`/page/texts.${each}.json`)).json();
  };
  await Promise.all(LANGUAGES.map(load));
  const kept = localStorage.getItem(KEY);
  setLanguage(LANGUAGES.includes(kept) ? kept : "zh-CN", false);
}

/** The shop's own language, unless somebody has chosen another at this screen. */
export function beginWith(shopLanguage) {
  if (!localStorage.getItem(KEY) && shopLanguage !== language) setLanguage(shopLanguage, false);
}

export function setLanguage(chosen, isKept = true) {
  language = chosen;
  document.documentElement.lang = chosen;
  if (isKept) localStorage.setItem(KEY, chosen);
}

export function languageNow() {
  return language;
}

export function otherLanguage() {
  return LANGUAGES.find((each) => each !== language);
}

/** A label of the page, its {places} filled. */
export function t(key, values = {}) {
  const sentence = catalogues[language].page[key] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
}

/** What a reason or condition says to the "cashier", the "customer", or what to do "next". */
export function said(key, field) {
  const reasons = catalogues[language].reasons;
  return (reasons[key] ?? reasons.unknown)[field].replace("{key}", key);
}

/** Whether the catalogue has sentences of its own for this key. */
export function isKnown(key) {
  return key in catalogues[language].reasons;
}

/** A UTC second as the time of day at this counter. */
export function timeOf(seconds) {
  const day = { month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hour12: false };
  return new Date(seconds * 1000).toLocaleString(language, day);
}
