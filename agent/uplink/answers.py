"""The shapes of the backend's answers, as tables: field name to what it must be.

The one rule: an answer has every field of its shape, of the right type and size, or it is no answer. Unknown fields are
dropped, so that a newer backend can say more; unknown values of a closed list are refused.
"""

import json
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from agent.core import cbor

Check: TypeAlias = Callable[[object], bool]
Shape: TypeAlias = Mapping[str, Check]

MINOR_END: Final = 2**53  # amounts survive a JSON number
EPOCH_REASONS: Final = frozenset({"enrolled", "replaced"})
CLAIM_RESULTS: Final = frozenset({"accepted", "duplicate", "known"})
_TEXT_MAX: Final = 256
_PEM_MAX: Final = 8192
_LIST_MAX: Final = 10_000
_CURSOR_MAX: Final = 4096


class Shapeless(ValueError):
    """The value does not have the shape; the text names the field."""


def shaped(value: object, shape: Shape) -> dict[str, Any]:
    """The fields of `value` that `shape` names. Raises Shapeless."""
    if not isinstance(value, dict):
        raise Shapeless("the answer is not an object")
    for name, check in shape.items():
        if not check(value.get(name)):
            raise Shapeless(f"its field {name} is missing or malformed")
    return {name: value.get(name) for name in shape}


def plain_fields(fields: Mapping[str, Any]) -> dict[cbor.Key, cbor.Value]:
    """The fields that can be handed on as CBOR: bounded depth, no number that is not an integer of 64 bits."""
    return {name: value for name, value in fields.items() if _is_plain(value)}


def encode_json(body: Mapping[str, Any]) -> bytes:
    """JSON that is the same bytes for the same body: a repeated one is compared by them. Bytes are base64url."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=encode_base64url)
    return text.encode()


def encode_base64url(data: bytes) -> str:
    """Binary on the wire: base64url without padding (RFC 4648 section 5)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64url(text: object) -> bytes:
    """The inverse; raises Shapeless for anything else than base64url text without padding."""
    if not isinstance(text, str):
        raise Shapeless("binary is not given as text")
    try:
        return b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as error:  # binascii.Error is one
        raise Shapeless("binary is not base64url") from error


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < MINOR_END


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _TEXT_MAX


def _is_amount(value: object) -> bool:
    match value:
        case {"minor": int(minor), "currency": str(currency)}:
            return type(minor) is int and 0 < minor < MINOR_END and len(currency) == 3
    return False


def _is_base64url(value: object) -> bool:
    try:
        return bool(decode_base64url(value))
    except Shapeless:
        return False


def _is_hash(value: object) -> bool:
    return _is_base64url(value) and len(decode_base64url(value)) == 32


def _is_pem(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _PEM_MAX


def _is_cursor(value: object) -> bool:
    """Opaque, but it goes back in a header."""
    return isinstance(value, str) and len(value) <= _CURSOR_MAX and value.isascii() and value.isprintable()


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _is_account(value: object) -> bool:
    return isinstance(value, str) and len(value) == 32 and set(value) <= set("0123456789abcdef")


def _is_plain(value: object) -> bool:
    """Whether it can be handed on as CBOR: bounded depth, no number that is not an integer."""
    try:
        cbor.encode(value, depth_max=5)
    except cbor.CborError:
        return False
    return True


def _optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and len(value) <= _LIST_MAX and all(map(check, value))


def _object(shape: Shape) -> Check:
    return lambda value: isinstance(value, dict) and all(check(value.get(name)) for name, check in shape.items())


def _is_plain_object(value: object) -> bool:
    return isinstance(value, dict) and _is_plain(value)


def _is_totals(value: object) -> bool:
    """By name; they are set beside the lane's own."""
    total = _object({"count": _is_count, "minor": _is_count})
    return _is_plain_object(value) and isinstance(value, dict) and all(map(total, value.values()))


AUTHORIZATION: Final[Shape] = {
    "approved": _is_bool,
    "response_code": _is_text,
    "reason": _is_text,
    "rules": _list_of(_is_text),
    "policy_version": _optional(_is_count),
    "authorization_code": _optional(_is_text),
    "amount": _optional(_is_amount),
    "lease_used_minor": _is_count,
    "decided_at": _is_text,
    "pending": _optional(_is_bool),
    "account": _optional(_is_account),
}
REFUND: Final[Shape] = {
    "approved": _is_bool,
    "response_code": _is_text,
    "reason": _is_text,
    "attempt": _optional(_is_count),
    "amount": _optional(_is_amount),
}
JOURNAL: Final[Shape] = {
    "acknowledged_through": _is_count,
    "results": _list_of(
        _object(
            {
                "number": _is_count,
                "result": _is_text,
                "reason": _optional(_is_text),
            }
        )
    ),
}
SNAPSHOT: Final[Shape] = {
    "sequence": _is_count,
    "layers": _list_of(
        _object({"sequence": _is_count, "base": _is_bool, "size": _is_count, "sha256": _is_digest, "url": _is_text})
    ),
}
HEARTBEAT: Final[Shape] = {
    "time": _is_base64url,
    "layers_wanted": _optional(_list_of(_object({"lender": _is_text, "sequence": _is_count}))),
    "recovering": _optional(_is_bool),
    "journals": _optional(_list_of(_object({"epoch": _is_count, "stored_through": _is_count}))),
    "lenders": _optional(_list_of(_is_text)),
}
LENDERS: Final[Shape] = {"lenders": _list_of(_object({"lender": _is_text, "introduction": _is_base64url}))}
EXCEPTIONS: Final[Shape] = {
    "exceptions": _list_of(
        _object(
            {
                "epoch": _is_count,
                "number": _is_count,
                "result": _is_text,
                "reason": _optional(_is_text),
                "bearer": _optional(_is_text),
            }
        )
    ),
    "cursor": _is_text,
}
EPOCH: Final[Shape] = {
    "epoch": _is_count,
    "previous": _object({"epoch": _is_count, "number": _is_count, "hash": _is_hash}),
}
SETTLEMENT: Final[Shape] = {
    "matched": _is_bool,
    "differences": _list_of(_is_plain_object),
    "totals": _is_totals,
    "chain_head": _optional(_is_text),
}
EVENT: Final[Shape] = {"id": _is_cursor, "type": _is_text, "data": _is_plain_object}
EVENTS: Final[Shape] = {"events": _list_of(_object(EVENT)), "cursor": _is_cursor}
CA: Final[Shape] = {"ca": _is_pem}
ENROLLMENT: Final[Shape] = {
    "lane": _is_text,
    "store": _is_text,
    "merchant": _is_text,
    "merchant_name": _is_text,
    "category": _is_text,
    "currency": _is_text,
    "epoch": _is_count,
    "certificate": _is_pem,
    "ca": _is_pem,
    "lenders": _list_of(_object({"lender": _is_text, "name": _is_text, "root": _is_base64url, "keys": _is_base64url})),
    "rails": _optional(_list_of(_object({"rail": _is_text, "name": _is_text}))),
    "reason": _optional(lambda value: isinstance(value, str) and value in EPOCH_REASONS),
    "previous": _optional(_object({"epoch": _is_count, "number": _is_count, "hash": _is_hash})),
}
CERTIFICATE: Final[Shape] = {"certificate": _is_pem, "ca": _is_pem}
CLAIM: Final[Shape] = {
    "result": lambda value: isinstance(value, str) and value in CLAIM_RESULTS,
    "sale_id": _is_text,
    "lane": _is_text,
    "epoch": _is_count,
}


def authorization(value: object) -> dict[str, Any]:
    """An answer to an authorization. Raises Shapeless, also for an approval that names no amount or is pending."""
    answer = shaped(value, AUTHORIZATION)
    if answer["approved"] and answer["amount"] is None:
        raise Shapeless("it approves no amount")
    answer["pending"] = bool(answer["pending"])
    if answer["approved"] and answer["pending"]:
        raise Shapeless("it approves what is pending")
    return answer


def refund(value: object) -> dict[str, Any]:
    """An answer to a refund. Raises Shapeless, also for an approval that names no amount or no attempt."""
    answer = shaped(value, REFUND)
    if answer["approved"] and (answer["amount"] is None or answer["attempt"] is None):
        raise Shapeless("it approves nothing")
    return answer


def settlement(value: object) -> dict[str, Any]:
    """An answer to a settlement. Raises Shapeless."""
    return shaped(value, SETTLEMENT)


def journal(value: object) -> dict[str, Any]:
    """An answer to an upload. Raises Shapeless."""
    return shaped(value, JOURNAL)


def snapshot(value: object) -> dict[str, Any]:
    """The list of a stack's layers. Raises Shapeless."""
    return shaped(value, SNAPSHOT)


def heartbeat(value: object) -> dict[str, Any]:
    """An answer to a heartbeat. Raises Shapeless."""
    return shaped(value, HEARTBEAT)


def lenders(value: object) -> dict[str, Any]:
    """The lenders of this lane. Raises Shapeless."""
    return shaped(value, LENDERS)


def exceptions(value: object) -> dict[str, Any]:
    """A page of the lane's exceptions. Raises Shapeless."""
    return shaped(value, EXCEPTIONS)


def epoch(value: object) -> dict[str, Any]:
    """A new epoch. Raises Shapeless."""
    return shaped(value, EPOCH)


def event(value: object) -> dict[str, Any]:
    """One event of a push. Raises Shapeless."""
    return shaped(value, EVENT)


def events(value: object) -> dict[str, Any]:
    """An answer to a long poll. Raises Shapeless."""
    return shaped(value, EVENTS)


def ca(value: object) -> dict[str, Any]:
    """The CA's certificate. Raises Shapeless."""
    return shaped(value, CA)


def enrollment(value: object) -> dict[str, Any]:
    """An answer to an enrollment. Raises Shapeless."""
    return shaped(value, ENROLLMENT)


def certificate(value: object) -> dict[str, Any]:
    """A renewed certificate. Raises Shapeless."""
    return shaped(value, CERTIFICATE)


def claim(value: object) -> dict[str, Any]:
    """What became of a slip's claim. Raises Shapeless."""
    return shaped(value, CLAIM)
