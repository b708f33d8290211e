"""Refusals as RFC 9457 problem documents.

The one rule: every refusal has a stable ``type``; whatever a peer sends, it gets one of these and never a stack trace.
"""

from __future__ import annotations

import json
from typing import Any, Final

TYPE_PREFIX: Final = "urn:counterfoil:problem:"
MEDIA_TYPE: Final = "application/problem+json"

PROBLEMS: Final[dict[str, tuple[int, str]]] = {
    "malformed": (400, "The request cannot be read"),
    "key_mismatch": (400, "The idempotency key does not belong to the request"),
    "certificate_required": (401, "A lane certificate is required"),
    "code_refused": (403, "The enrollment code is unknown or has expired"),
    "lane_mismatch": (403, "The certificate belongs to another lane"),
    "lane_unknown": (403, "This lane is not enrolled here"),
    "upload_signature": (403, "The upload is not signed by the lane's journal key"),
    "not_found": (404, "There is nothing here"),
    "lender_unknown": (404, "This backend does not serve the lender"),
    "snapshot_none": (404, "No snapshot has been built for this lane"),
    "authorization_unknown": (404, "This attempt has not been asked for"),
    "method_not_allowed": (405, "The method is not allowed here"),
    "code_used": (409, "The enrollment code was used for another request"),
    "idempotency_conflict": (409, "The same key came with another request"),
    "epoch_unknown": (409, "This lane has no journal of that epoch"),
    "journal_gap": (409, "Entries are missing before these"),
    "journal_fork": (409, "The entries do not continue the journal that is stored here"),
    "journal_behind": (409, "The journal has not been received so far"),
    "settlement_conflict": (409, "The batch was closed with other figures"),
    "too_large": (413, "The request is too large"),
    "range": (416, "The range lies outside the file"),
    "journal_malformed": (422, "An entry is not what an entry must be"),
    "unavailable": (503, "The backend cannot store anything just now"),
}
"""Every problem: HTTP status and title."""


class Problem(Exception):
    """A refusal on its way to the peer; ``more`` are extra members of the document."""

    def __init__(self, problem: str, detail: str = "", **more: Any) -> None:
        super().__init__(f"{problem}: {detail}")
        self.problem = problem
        self.detail = detail
        self.more = more

    @property
    def http_status(self) -> int:
        return PROBLEMS[self.problem][0]

    def document(self) -> bytes:
        http_status, title = PROBLEMS[self.problem]
        members = {"type": TYPE_PREFIX + self.problem, "title": title, "status": http_status}
        if self.detail:
            members["detail"] = self.detail
        return json.dumps(members | self.more, ensure_ascii=False).encode()
