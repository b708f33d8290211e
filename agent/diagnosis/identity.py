"""Who this lane is: identity, keys, certificate, and whether the clock fits what was signed and recorded.

The one rule: keys are read to see that they fit, and never shown.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from agent.diagnosis.case import Case
from agent.diagnosis.examination import Finding, failed, ok, warning
from agent.diagnosis.machine import user_name
from agent.errors import NotEnrolled
from agent.uplink.identity import CA_FILE, CERTIFICATE_FILE, IDENTITY_FILE, JOURNAL_KEY_FILE, load_journal_key
from agent.uplink.lane_keys import public_der

RENEW_D: Final = 14
"""Days before the end of the certificate at which somebody should look: the lane has tried to renew for months."""
DAY_S: Final = 86_400
AGAIN: Final = "Enroll the lane again with a new one-time code; keep the state directory until it is done."
SET_CLOCK: Final = "Set it: timedatectl set-ntp true (or timedatectl set-time …), then look at the clock's battery."


def identity(case: Case) -> Iterator[Finding]:
    try:
        enrolled = case.enrolled
    except NotEnrolled as error:
        begun = (case.identity_dir / JOURNAL_KEY_FILE).exists() and not (case.identity_dir / IDENTITY_FILE).exists()
        yield _half_enrolled() if begun else failed("not enrolled", error.message, error.hint)
        return
    lenders = ", ".join(lender.lender for lender in enrolled.lenders)
    kind = "TRAINING, no real money: " if enrolled.is_training else ""
    yield ok(f"{kind}{enrolled.lane} of store {enrolled.store}, {enrolled.merchant_name}; lenders: {lenders}")


def _half_enrolled() -> Finding:
    cause = "Its keys are made, but the backend's answer has never arrived."
    return failed("half enrolled", cause, "Run `counterfoil enroll` again, with the same code while it is valid.")


def keys(case: Case) -> Iterator[Finding]:
    owner = case.config.lane.state_dir.stat().st_uid
    strangers = [path for path in case.identity_dir.rglob("*") if path.stat().st_uid != owner]
    if strangers:
        user, cause = user_name(owner), f"{strangers[0]} belongs to {user_name(strangers[0].stat().st_uid)}."
        yield failed("a key of another user", cause, f"As root: chown -R {user}: {case.identity_dir}")
        return
    paths = [case.identity_dir / name for name in (CERTIFICATE_FILE, JOURNAL_KEY_FILE)]
    try:
        open_to_others = [path for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077]
        tls = serialization.load_pem_private_key(paths[0].read_bytes(), password=None)
        load_journal_key(case.identity_dir)
    except (OSError, ValueError, TypeError, NotEnrolled) as error:
        cause = error.message if isinstance(error, NotEnrolled) else _reason(error)
        yield failed("a key cannot be read", cause, f"Run this as root. If it still fails: {AGAIN}")
        return
    if open_to_others:
        names = " ".join(map(str, open_to_others))
        yield failed("a key is open to other users", f"{names}: mode is not 0600.", f"As root: chmod 600 {names}")
    elif public_der(tls.public_key()) != public_der(_certificate(case, CERTIFICATE_FILE).public_key()):
        yield failed("key and certificate do not fit", "They are of two different enrollments.", AGAIN)
    else:
        yield ok("both keys are there, private, and fit the certificate")


def certificate(case: Case) -> Iterator[Finding]:
    try:
        lane, authority = _certificate(case, CERTIFICATE_FILE), _certificate(case, CA_FILE)
        lane.verify_directly_issued_by(authority)
    except (OSError, ValueError, TypeError, InvalidSignature) as error:
        yield failed("the certificate is not one of the backend's", _reason(error), AGAIN)
        return
    begin_s, end_s = _span(lane)
    until = f"valid until {_day(end_s)}"
    if case.now_s >= end_s:
        cause = f"The backend no longer takes it, if it is true that today is {_day(case.now_s)}."
        yield failed(f"expired on {_day(end_s)}", cause, AGAIN)
    elif case.now_s < begin_s:
        yield failed(f"valid from {_day(begin_s)}", f"This computer says {_day(case.now_s)}.", SET_CLOCK)
    elif case.now_s > _span(authority)[1]:
        yield failed("the backend's CA has expired", f"It ended on {_day(_span(authority)[1])}.", AGAIN)
    elif end_s - case.now_s < RENEW_D * DAY_S:
        days = (end_s - case.now_s) // DAY_S
        cause = f"The certificate ends in {days} days, and the lane could not renew it."
        yield warning(until, cause, f"Bring the line to the backend up: it renews by itself. If it does not: {AGAIN}")
    else:
        yield ok(until)


def clock(case: Case) -> Iterator[Finding]:
    """A wall clock behind what was signed or recorded is wrong, whatever else is right."""
    facts = case.facts
    known = {f"the last sale of {lender}": at_s for lender, at_s in facts["journal"]["lease_horizons"].items()}
    known |= {f"the snapshot of {row['lender']}": row["snapshot_built_at"] or 0 for row in facts["lenders"]}
    what, latest_s = max(known.items(), key=lambda item: item[1], default=("", 0))
    now, told = _minute(case.now_s), facts["clock"]
    doubted = {row["lender"]: row["clock"]["reason"] for row in facts["lenders"] if not row["clock"]["trusted"]}
    if case.now_s < latest_s:
        cause = f"It is behind {what}, which is of {_minute(latest_s)}."
        yield failed(f"{now} cannot be right", cause, SET_CLOCK)
    elif doubted:
        lenders = ", ".join(f"{lender} ({reason})" for lender, reason in doubted.items())
        cause = f"The lane does not believe it, so it approves nothing offline of {lenders}."
        yield failed(now, cause, "Bring the line to the backend up: one signed time mends it.")
    else:
        yield ok(f"{now}, believed ({told['source']})")


def _certificate(case: Case, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((case.identity_dir / name).read_bytes())


def _span(certificate: x509.Certificate) -> tuple[int, int]:
    return (
        int(certificate.not_valid_before_utc.timestamp()),
        int(certificate.not_valid_after_utc.timestamp()),
    )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}."
    return "The file is damaged." if not isinstance(error, InvalidSignature) else "Another CA has signed it."


def _day(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d")


def _minute(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
