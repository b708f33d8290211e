"""Refusals as RFC 9457 problem documents.

The one rule: every refusal has a stable ``type``; whatever a peer sends, it gets one of these and never a stack trace.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

TYPE_PREFIX: Final = "urn:counterfoil:problem:"
MEDIA_TYPE: Final = "application/problem+json"


class Kind(NamedTuple):
    """What a problem is: HTTP status, title, and whether the same request may succeed later without anybody's help."""

    http_status: int
    title: str
    may_retry: bool = False


PROBLEMS: Final[dict[str, Kind]] = {
    "malformed": Kind(400, "The request cannot be read"),
    "key_mismatch": Kind(400, "The idempotency key does not belong to the request"),
    "certificate_required": Kind(401, "A lane certificate is required"),
    "code_refused": Kind(403, "The enrollment code is unknown or has expired"),
    "lane_mismatch": Kind(403, "The certificate belongs to another lane"),
    "lane_unknown": Kind(403, "This lane is not enrolled here"),
    "lane_revoked": Kind(403, "This device may no longer act for the lane"),
    "lane_replaced": Kind(403, "Another device has taken this lane's place"),
    "certificate_expired": Kind(403, "The lane's certificate has expired"),
    "upload_signature": Kind(403, "The upload is not signed by the lane's journal key"),
    "not_found": Kind(404, "There is nothing here"),
    "lender_unknown": Kind(404, "This backend does not serve the lender"),
    "snapshot_none": Kind(404, "No snapshot has been built for this lane", True),
    "authorization_unknown": Kind(404, "This attempt has not been asked for"),
    "sale_unknown": Kind(404, "This lane has made no such sale"),
    "method_not_allowed": Kind(405, "The method is not allowed here"),
    "too_slow": Kind(408, "The request did not arrive in time", True),
    "code_used": Kind(409, "The enrollment code was used for another request"),
    "idempotency_conflict": Kind(409, "The same key came with another request"),
    "epoch_unknown": Kind(409, "This lane has no journal of that epoch"),
    "journal_gap": Kind(409, "Entries are missing before these"),
    "journal_fork": Kind(409, "The entries do not continue the journal that is stored here"),
    "journal_behind": Kind(409, "The journal has not been received so far", True),
    "settlement_conflict": Kind(409, "The batch was closed with other figures"),
    "layer_conflict": Kind(409, "Another layer of that sequence is stored here"),
    "too_large": Kind(413, "The request is too large"),
    "range": Kind(416, "The range lies outside the file"),
    "journal_malformed": Kind(422, "An entry is not what an entry must be"),
    "claim_signature": Kind(422, "The claim is not one that the lane signed"),
    "layer_untrusted": Kind(422, "The layer is not one that this lender signed for this lane"),
    "too_many_requests": Kind(429, "This lane asks too often", True),
    "headers_too_large": Kind(431, "The request's header is too large"),
    "internal": Kind(500, "The backend has made a mistake", True),
    "unavailable": Kind(503, "The backend cannot store anything just now", True),
    "recovering": Kind(503, "The backend is asking its lanes what it has forgotten", True),
}
"""Every problem by its id."""


class Problem(Exception):
    """A refusal on its way to the peer; ``more`` are extra members of the document.

    ``retry_after_s`` becomes the header Retry-After (RFC 9110 section 10.2.3).
    """

    def __init__(self, problem: str, detail: str = "", *, retry_after_s: int | None = None, **more: Any) -> None:
        super().__init__(f"{problem}: {detail}")
        self.problem = problem
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.more = more

    @property
    def http_status(self) -> int:
        return PROBLEMS[self.problem].http_status

    def headers(self) -> dict[str, str]:
        return {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}

    def document(self) -> bytes:
        kind = PROBLEMS[self.problem]
        members = {"type": TYPE_PREFIX + self.problem, "title": kind.title, "status": kind.http_status}
        members["retry"] = kind.may_retry
        if self.detail:
            members["detail"] = self.detail
        return json.dumps(members | self.more, ensure_ascii=False).encode()
