// Amounts. The one rule: integers of minor units; a figure typed by hand is read digit by digit, never as a float.

export const MINOR_MAX = 9_999_999_999;
const SIGNS = { CNY: "¥", EUR: "€", GBP: "£", HKD: "HK$", KRW: "₩", MOP: "MOP$", TWD: "NT$", USD: "US$" };

/** Digits after the point: ISO 4217, as the browser knows it. */
export function exponentOf(currency) {
  return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
}

/** 1234.50, as it would be typed. */
export function plain({ minor, currency }) {
  const exponent = exponentOf(currency);
  const digits = String(Math.abs(minor)).padStart(exponent + 1, "0");
  const whole = digits.slice(0, digits.length - exponent);
  return exponent ? `${whole}.${digits.slice(-exponent)}` : whole;
}

/** ¥1,234.50 */
export function money(amount) {
  const [whole, part] = plain(amount).split(".");
  const figures = whole.replace(/\B(?=(\d{3})+$)/g, ",") + (part ? `.${part}` : "");
  return `${amount.minor < 0 ? "-" : ""}${SIGNS[amount.currency] ?? `${amount.currency} `}${figures}`;
}

/** What was typed, as minor units, `least` or more; or the key of the text that says why it is no amount. */
export function readAmount(typed, currency, { least = 1 } = {}) {
  const exponent = exponentOf(currency);
  const [whole, part = "", ...more] = typed.split(".");
  if (more.length || !/^\d*$/.test(whole + part)) return { refused: "amount_not_a_number" };
  if (part.length > exponent) return { refused: "amount_too_fine" };
  const minor = Number(`${whole}${part.padEnd(exponent, "0")}`);
  if (!typed || minor < least) return { refused: "amount_missing" };
  return minor > MINOR_MAX ? { refused: "amount_too_large" } : { minor };
}
