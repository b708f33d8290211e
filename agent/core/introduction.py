"""A lender that joins after a lane was enrolled: what the backend's CA says of it.

The one rule: the CA, whose fingerprint ends the enrollment code, vouches for a new lender's root exactly as it did for
the first ones; so a line that somebody else speaks on can introduce nobody.

Form: COSE_Sign1 (RFC 9052), typ ``counterfoil-lender``, by the CA's key over {``lender``, ``name``, ``merchant``,
``root``: COSE_Key}.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from agent.core import cbor, cose
from agent.core.cose import CoseError, PublicKey, Signer
from agent.core.trust import TrustError

TYP: Final = "counterfoil-lender"
LENDER_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,15}")
NAME_CHARS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Introduction:
    """A lender for the lanes of one merchant; ``root`` is to be pinned."""

    lender: str
    name: str
    merchant: str
    root: PublicKey


def sign_introduction(said: Introduction, authority: Signer) -> bytes:
    """The signed document."""
    fields = {"lender": said.lender, "name": said.name, "merchant": said.merchant, "root": said.root.to_cose_key()}
    return cose.sign1(cbor.encode(fields), authority, typ=TYP)


def read_introduction(data: bytes, authority: PublicKey) -> Introduction:
    """What the CA vouches for. Raises TrustError: bad_signature, malformed."""
    try:
        payload = cose.verify1(data, authority, typ=TYP).payload
    except CoseError as error:
        raise TrustError("bad_signature", f"The introduction is not the backend's: {error}") from error
    try:
        fields: Any = cbor.decode(payload, deterministic=False)
        match fields:
            case {"lender": str(lender), "name": str(name), "merchant": str(merchant), "root": dict(root)}:
                if LENDER_ID.fullmatch(lender) and 0 < len(name) <= NAME_CHARS_MAX:
                    return Introduction(lender, name, merchant, PublicKey.from_cose_key(root))
    except (cbor.CborError, CoseError) as error:
        raise TrustError("malformed", f"The introduction cannot be read: {error}") from error
    raise TrustError("malformed", "The introduction does not say who the lender is.")
