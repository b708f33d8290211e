// What is at the counter, as the agent tells it. The one rule: after every break the agent is asked for the whole state;
// the page never goes on from what it remembers.

import { get } from "/page/api.js";
import { stamped } from "/page/code.js";

const EVENTS = ["reset", "sale", "counter", "queue", "refund", "devices", "link", "printing", "conditions"];
const AGAIN_MS = 400;
const SETTLE_MS = 120;
const LOOK_MS = 15_000;
const OPEN = ["waiting", "asking", "choosing", "unknown"];

export class Feed {
  /** `changed(feed)`: something is to be drawn anew; `scanned(event)`: a code that pays for nothing was read. */
  constructor({ changed, scanned = () => {} }) {
    this.changed = changed;
    this.scanned = scanned;
    this.counter = null;
    this.isConnected = false;
    this.sales = 0;
    this.run = null; // of the agent: another one after its restart
    this.seen = 0; // the number of the last event of this run that is in what is shown
    this.listen();
    setInterval(() => this.isConnected && this.look(), LOOK_MS);
  }

  get sale() {
    return stamped(this.counter?.sale ?? null);
  }

  listen() {
    const source = new EventSource("/v1/events");
    source.onerror = () => {
      source.close();
      this.isConnected = false;
      this.changed(this);
      setTimeout(() => this.listen(), AGAIN_MS);
    };
    for (const kind of EVENTS) source.addEventListener(kind, (event) => {
      if (kind === "reset" || this.isNew(event.lastEventId)) this.take(kind, JSON.parse(event.data), event.lastEventId);
    });
    source.addEventListener("scan", (event) => this.scanned(JSON.parse(event.data)));
  }

  /** Whether an event is not yet in what the agent has told of itself as a whole: a burst arrives later than an answer. */
  isNew(id) {
    const [run, number] = id.split("-");
    return run !== this.run || Number(number) > this.seen;
  }

  take(kind, data, id) {
    if (kind === "reset") {
      this.sawAll(id);
      this.begin(data);
    } else if (kind === "sale" && (data.sale_id === this.sale?.sale_id || OPEN.includes(data.state))) {
      this.tell(data);
    } else if (kind === "counter" && !data.sale) {
      this.tell(null);
    } else {
      this.lookIn(SETTLE_MS);
    }
  }

  sawAll(id) {
    const [run, number] = id.split("-");
    [this.run, this.seen] = [run, Number(number)];
  }

  lookIn(ms) {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.look(), ms);
  }

  /** The whole state, as a stream begins with it. */
  begin(counter) {
    this.sales += 1;
    this.counter = counter;
    this.isConnected = true;
    this.changed(this);
  }

  /** The sale at the counter, by whoever has just heard of it. */
  tell(sale) {
    this.sales += 1;
    if (this.counter) this.counter = { ...this.counter, sale, has_just_started: false };
    this.changed(this);
  }

  /** The answer of a call about the sale at the counter, told unless an event has overtaken it; `after(body)` is that sale. */
  async follow(call, after = (body) => body) {
    const before = this.sales;
    const answer = await call;
    if (answer.ok && before === this.sales) this.tell(after(answer.body));
    else if (answer.ok) this.look();
    return answer;
  }

  /** Ask for everything; an answer that a later event has overtaken is asked for again. */
  async look() {
    const before = this.sales;
    const answer = await get("/v1/counter");
    if (answer.ok && before !== this.sales) return this.look();
    this.isConnected = answer.ok;
    if (answer.ok) this.sawAll(answer.last_event_id);
    if (answer.ok) this.counter = answer.body;
    else if (answer.status === 401 || answer.status === 403) location.reload();
    else this.lookIn(AGAIN_MS); // one answer that was lost is no agent that is lost
    return this.changed(this);
  }
}
