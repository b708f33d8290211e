"""Records the examples of the calls' description from a run of the suite against the reference backend.

    python -m tests.conformance.record > tests/conformance/examples.json

The one rule: an example is what was really sent and answered, the shortest of its call.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from agent.conformance import suite
from agent.conformance.exchange import Exchange
from agent.conformance.line import Line
from backend.openapi import CALLS
from tests.conformance.served import serving

TEMPLATES = {call.key: re.compile(re.sub(r"\{[a-z_]+\}", "[^/?]+", call.path) + r"(\?.*)?") for call in CALLS}


class RecordingLine(Line):
    """Keeps the shortest good exchange of each call."""

    found: ClassVar[dict[str, tuple[int, dict[str, Any]]]] = {}

    def ask(self, method: str, path: str, **rest: Any) -> Exchange:
        exchange = super().ask(method, path, **rest)
        if exchange.status == 200 and exchange.media_type == "application/json":
            self._keep(method, path, rest.get("content"), exchange)
        return exchange

    def _keep(self, method: str, path: str, content: bytes | None, exchange: Exchange) -> None:
        key = next((key for key, form in TEMPLATES.items() if key.startswith(method) and form.fullmatch(path)), None)
        length = len(exchange.content) + len(content or b"")
        if key in (None, "GET /v1/openapi.json") or self.found.get(key, (10**9,))[0] <= length:
            return
        example = {"answer": json.loads(exchange.content)}
        try:
            request = {} if content is None else {"request": json.loads(content)}
        except ValueError:
            return  # compressed
        self.found[key] = (length, request | example)


def main() -> None:
    import agent.conformance.enrollment
    import agent.conformance.world

    for module in (agent.conformance.enrollment, agent.conformance.world):
        module.Line = RecordingLine
    with tempfile.TemporaryDirectory() as directory, serving(Path(directory)) as (url, kit):
        suite.run(url, kit, suite.chosen(), tell=lambda _: None)
    json.dump({key: RecordingLine.found[key][1] for key in sorted(RecordingLine.found)}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
