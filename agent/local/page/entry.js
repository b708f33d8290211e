// The amount that is being typed. The one rule: a scanner that types like a keyboard changes nothing here.

const BURST_MS = 28;
const BURST_KEYS = 4;
const QUIET_MS = 120;
const LENGTH_MAX = 13;

export class Entry {
  constructor() {
    this.clear();
  }

  clear() {
    this.drop();
    this.run = 0;
    this.last = -Infinity;
  }

  /** Forget what was typed; how fast the keys come is still known. */
  drop() {
    this.text = "";
    this.refused = null;
    this.before = "";
  }

  /**
   * Whether the key that was struck at `now` (ms) comes too fast for a hand: from the fourth on, what the burst has typed is
   * taken back. When it was struck, not when it is handled: a busy page gets a hand's keys all at once.
   */
  isBurst(now) {
    const gap = now - this.last;
    this.last = now;
    if (this.run >= BURST_KEYS && gap < QUIET_MS) return true;
    if (gap >= BURST_MS) {
      this.run = 1;
      this.before = this.text;
      return false;
    }
    this.run += 1;
    if (this.run < BURST_KEYS) return false;
    this.text = this.before;
    return true;
  }

  /** Append what a key or a button says: digits, or the point. */
  type(characters) {
    this.refused = null;
    const next = this.text === "0" && characters !== "." ? characters : this.text + characters;
    const [, part = ""] = next.split(".");
    if (next.split(".").length > 2) this.refused = "amount_not_a_number";
    else if (part.length > 2) this.refused = "amount_too_fine";
    else if (next.length > LENGTH_MAX) this.refused = "amount_too_large";
    else this.text = next;
  }

  back() {
    this.refused = null;
    this.text = this.text.slice(0, -1);
  }
}
