"""POS software in sixty lines: a sale over the local API, sent again until it is answered, and followed as it happens.

    python examples/pos_client.py http://127.0.0.1:PORT /run/counterfoil/pos-token 2580 [CODE]

Without a code, the sale waits for the next scan. The one rule: the sale's id is made once; sent again, after a lost
answer or a restart of the agent, it is one sale.
"""

import http.client
import json
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

URL, TOKEN = sys.argv[1], Path(sys.argv[2]).read_text().strip()
LOST = (OSError, http.client.HTTPException)


def ask(method: str, path: str, body: dict[str, Any] | None = None, **more: str) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"} | more
    data = json.dumps(body).encode() if body else None
    try:
        return urllib.request.urlopen(urllib.request.Request(URL + path, data, headers, method=method), timeout=75)
    except urllib.error.HTTPError as refused:
        if refused.code != 503:  # not now; all else stays refused, and says why
            raise SystemExit(refused.read().decode()) from None
        raise


def events() -> Iterator[tuple[str, Any]]:
    """All that happens from now on. A lost stream goes on behind its last event, or with a reset: ask anew."""
    told: dict[str, str] = {}
    while True:
        try:
            for line in ask("GET", "/v1/events", **{"Last-Event-ID": told.get("id", "")}):
                name, _, told[name] = line.decode().rstrip("\n").partition(": ")
                if name == "data":
                    yield told["event"], json.loads(told["data"])
        except LOST:
            time.sleep(1)


def sell(sale: dict[str, Any]) -> dict[str, Any]:
    """The sale as it is answered; a lost answer is asked for again, under the same id."""
    while True:
        try:
            return dict(json.load(ask("POST", "/v1/sales", sale)))
        except LOST:
            time.sleep(1)


wanted = {"sale_id": str(uuid.uuid4()), "amount": {"minor": int(sys.argv[3]), "currency": "CNY"}}
wanted |= {"code": sys.argv[4]} if len(sys.argv) > 4 else {}
heard = events()
sale: dict[str, Any] = {"state": "waiting"}
while sale["state"] in ("waiting", "asking"):
    kind, data = next(heard)
    sale = sell(wanted) if kind == "reset" else data if data.get("sale_id") == wanted["sale_id"] else sale
print(sale["state"], sale.get("authorization_code"), "-", sale["texts"]["cashier"], "-", sale["texts"]["next"])
