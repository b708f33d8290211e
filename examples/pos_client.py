"""POS software in forty lines: a sale over the local API, sent again until it is answered, and followed as it happens.

    python examples/pos_client.py http://127.0.0.1:PORT /run/counterfoil/pos-token 2580 [CODE]

Without a code, the sale waits for the next scan. The one rule: the sale's id is made once; sent again, it is one sale.
"""

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


def ask(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    request = urllib.request.Request(
        URL + path, json.dumps(body or {}).encode() if body else None, headers, method=method
    )
    return urllib.request.urlopen(request, timeout=75)


def events() -> Iterator[tuple[str, Any]]:
    """Everything that happens from now on; the first one is a reset, with the state as it is."""
    kind = ""
    for line in ask("GET", "/v1/events"):
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)


def sell(amount_minor: int, code: str | None) -> dict[str, Any]:
    """The sale as it is answered; a lost answer is asked for again, under the same id."""
    sale = {"sale_id": str(uuid.uuid4()), "amount": {"minor": amount_minor, "currency": "CNY"}, "code": code}
    while True:
        try:
            return dict(json.load(ask("POST", "/v1/sales", sale)))
        except urllib.error.HTTPError as refused:
            if refused.code != 503:
                raise SystemExit(refused.read().decode()) from None
        except OSError:
            pass
        time.sleep(1)


heard = events()
next(heard)
sale = sell(int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None)
while sale["state"] in ("waiting", "asking"):
    kind, data = next(heard)
    sale = data if kind == "sale" and data["sale_id"] == sale["sale_id"] else sale
print(sale["state"], sale.get("authorization_code"), "-", sale["texts"]["cashier"], "-", sale["texts"]["next"])
