"""The one-time code by which a lane enrolls, as a person types it.

The one rule: a code carries what proves the backend as well as what proves the lane.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from agent.errors import CounterfoilError

SECRET_BYTES: Final = 16
FINGERPRINT_BYTES: Final = 16


class BadCode(CounterfoilError):
    """This is not an enrollment code."""

    code = "enrollment_code"
    hint = "Copy the whole code (13 groups of 4 characters) as the backend shows it; capitals do not matter."


@dataclass(frozen=True, slots=True)
class Code:
    """A one-time code: its secret, and the first 16 bytes of SHA-256 over the CA's certificate (DER)."""

    secret: bytes
    ca_fingerprint: bytes

    @classmethod
    def parse(cls, text: str) -> "Code":
        """Read base32 (RFC 4648, no padding) in any grouping and case. Raises BadCode."""
        compact = re.sub(r"[\s-]", "", text).upper()
        try:
            raw = base64.b32decode(compact + "=" * (-len(compact) % 8))
        except ValueError as error:  # binascii.Error is one
            raise BadCode() from error
        if len(raw) != SECRET_BYTES + FINGERPRINT_BYTES:
            raise BadCode(f"The code has {len(compact)} characters, a whole one has 52.")
        return cls(raw[:SECRET_BYTES], raw[SECRET_BYTES:])

    def __str__(self) -> str:
        text = base64.b32encode(self.secret + self.ca_fingerprint).decode().rstrip("=")
        return "-".join(text[at : at + 4] for at in range(0, len(text), 4))

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.secret + self.ca_fingerprint).hexdigest()
