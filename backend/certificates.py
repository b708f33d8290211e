"""Certificates of lanes: issued at enrollment, renewed with the one before.

The one rule: every certificate is remembered with the journal that its device began with, so that what a device may do
never depends on what it says.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography import x509

from backend import access
from backend.database import rows
from backend.identity import Authority, IdentityError, LaneName
from backend.problems import Problem
from backend.schema import Certificate
from backend.wire import write

_CSR_ENCODING: Final = ("utf-8", "replace")


def issue(csr: str, name: LaneName, epoch: int, authority: Authority, *, now_s: int) -> str:
    """A certificate (PEM) for the device that begins with ``epoch``; for the same request the same one.

    To be called inside a transaction. Raises Problem("malformed").
    """
    request = csr.encode(*_CSR_ENCODING)
    asked = hashlib.sha256(request).digest()
    mine = (Certificate.lane == name.lane) & (Certificate.epoch == epoch) & (Certificate.request_hash == asked)
    known = rows(Certificate.select(Certificate.pem).where(mine))
    if known:
        return bytes(known[0][0]).decode()
    try:
        pem = authority.issue_lane(request, name, now_s)
    except IdentityError as error:
        raise Problem("malformed", f"csr: {error}") from None
    _remember(pem, name.lane, epoch, asked)
    return pem.decode()


def renew(csr: str, name: LaneName, authority: Authority, *, now_s: int) -> bytes:
    """The answer's bytes: the next certificate of the device that shows this one. To be called inside a transaction."""
    pem = issue(csr, name, access.epoch_of(name), authority, now_s=now_s)
    return write({"certificate": pem, "ca": authority.certificate_pem.decode()})


def remember(name: LaneName, epoch: int) -> None:
    """Take up a certificate that these books have forgotten (``backend.strangers``). Which request it answered is lost:
    a renewal that is repeated gets another one. To be called inside a transaction."""
    known = {"lane": name.lane, "serial": name.serial or "", "epoch": epoch, "expires_at": name.expires_at or 0}
    Certificate.insert(known | {"request_hash": b"", "pem": b""}).on_conflict_ignore().execute()


def _remember(pem: bytes, lane: str, epoch: int, asked: bytes) -> None:
    certificate = x509.load_pem_x509_certificate(pem)
    Certificate.create(
        lane=lane,
        serial=f"{certificate.serial_number:x}",
        epoch=epoch,
        request_hash=asked,
        pem=pem,
        expires_at=int(certificate.not_valid_after_utc.timestamp()),
    )
