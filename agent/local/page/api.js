// Calls of the local API. The one rule: an answer is always an object, a refusal too; nothing is thrown at a cashier.

const WAIT_MS = 20_000;

async function call(method, path, body) {
  const request = { method, headers: {}, signal: AbortSignal.timeout(WAIT_MS) };
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  try {
    const response = await fetch(path, request);
    const answer = await response.json();
    return response.ok ? { ok: true, ...answer, body: answer } : { ok: false, status: response.status, ...answer };
  } catch {
    return { ok: false, status: 0, title: "agent_gone" };
  }
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);
export const drop = (path) => call("DELETE", path, {});

/** The path of a call about one sale. */
export const ofSale = (saleId, what = "") => `/v1/sales/${encodeURIComponent(saleId)}${what && `/${what}`}`;
