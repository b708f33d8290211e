"""What a case plays with: lanes, phones and hooks of the kit, handed out so that no case meets another's leftovers.

The one rule: a lane goes back into the pool only if its case held and left it honest; after a failure it is given up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from agent.conformance import enrollment, snapshot
from agent.conformance.enrollment import Applicant
from agent.conformance.exchange import Broken, Skipped
from agent.conformance.kit import HookFailed, Kit, Phone
from agent.conformance.lane import Lane, Lease
from agent.conformance.line import Line, pinned, with_certificate
from agent.conformance.snapshot import Installed

T = TypeVar("T")
PAUSE_S = 0.1


class World:
    """One run against one backend."""

    def __init__(self, url: str, kit: Kit) -> None:
        self.url, self.kit = url, kit
        self._codes, self._phones = list(kit.codes), list(kit.phones[:-1])
        self._coupons = list(kit.coupons)
        self._pool: list[Lane] = []
        self._lent: list[tuple[Lane, bool]] = []
        self._opened: list[Line] = []
        self._installed: dict[str, Installed] = {}
        self.ca_pem = enrollment.fetch_ca(url, kit.codes[0])
        self.stranger = self._keep(Line(url, pinned(self.ca_pem)))

    def close(self) -> None:
        for line in self._opened:
            line.close()

    def _keep(self, line: Line) -> Line:
        self._opened.append(line)
        return line

    # --- lanes -------------------------------------------------------------------------------------------------
    def code(self) -> str:
        """A one-time code that has not been used."""
        if not self._codes:
            raise Skipped("the kit has no code left")
        return self._codes.pop(0)

    def lane(self) -> Lane:
        """A lane in good order, with nothing left to send."""
        lane = self._pool.pop() if self._pool else self._enroll()
        self._lent.append((lane, True))
        lane.flush()
        return lane

    def fresh_lane(self) -> Lane:
        """A lane with nothing but the first entry in its journal, that no case after this one gets."""
        lane = self._enroll()
        self._lent.append((lane, False))
        return lane

    def _enroll(self) -> Lane:
        applicant = Applicant.new()
        answer = self.stranger.post("/v1/enroll", applicant.body(self.code())).ok()
        return self.adopt(applicant, answer)

    def adopt(self, applicant: Applicant, answer: dict[str, object]) -> Lane:
        """The lane that the answer to an applicant's enrollment makes."""
        lane = enrollment.enrolled(self.url, self.ca_pem, applicant, answer)
        self._keep(lane.line)
        return lane

    def line_of(self, certificate_pem: str, key_pem: str) -> Line:
        """A line with a certificate of its own."""
        return self._keep(Line(self.url, with_certificate(pinned(self.ca_pem), certificate_pem, key_pem)))

    def spoil(self, lane: Lane) -> None:
        """No other case is to get this lane."""
        self._lent = [(lent, good and lent is not lane) for lent, good in self._lent]

    @contextmanager
    def of_one_case(self) -> Iterator[World]:
        """Lanes lent within go back afterwards, unless the case failed."""
        self._lent = []
        try:
            yield self
        except BaseException:
            self._lent = []
            raise
        self._pool.extend(lane for lane, good in self._lent if good)

    # --- phones and leases -------------------------------------------------------------------------------------
    @property
    def lender(self) -> str:
        return self.kit.lenders[0]

    def phone(self) -> Phone:
        """A phone whose account has not been touched."""
        if not self._phones:
            raise Skipped("the kit has no phone left")
        return self._phones.pop(0)

    def roomy_phone(self, lane: Lane, minor: int) -> Phone:
        """A phone of whose account so much is free, whatever lanes have leased of it. Raises Skipped, not Broken, if it
        is not: then the kit is not as the cases need it. ``lane`` asks, and declines what it is given."""
        phone = self.phone()
        sale_id, answer = lane.buy(phone, minor)
        if not answer["approved"]:
            raise Skipped(
                f"{minor} of the {phone.limit_minor} minor units of an untouched account are not free: "
                "the kit's accounts are leased to each lane with at most a thousandth of their limit"
            )
        lane.decline(phone, minor, sale_id)
        lane.send()
        return phone

    def coupon(self) -> tuple[Phone, str]:
        """A coupon that has not been used, and the phone of its account."""
        if not self._coupons:
            raise Skipped("the kit has no coupon left")
        return self._coupons.pop(0)

    def bystander(self) -> Phone:
        """The phone of a question that is refused, or of an entry that moves nothing: it may serve again and again."""
        return self.kit.phones[-1]

    def leasing_lane(self) -> Lane:
        """A lane with a snapshot in force, journaled as installed; it has told how far its journal is."""
        lane = self.lane()
        lane.report(self.lender)
        if lane.name not in self._installed:
            self._installed[lane.name] = self.install(lane)
        return lane

    def install(self, lane: Lane, *, above: int = 0) -> Installed:
        """Wait for a snapshot newer than ``above``, check it, and journal that it is in force."""
        keys = snapshot.key_list(lane, self.lender)
        found = self.wait_for(
            f"a snapshot above sequence {above}",
            lambda: snapshot.fetch(lane, self.lender, keys, above=above),
            self.kit.snapshot_wait_s,
        )
        snapshot.journal_installed(lane, self.lender, found)
        lane.send()
        self._installed[lane.name] = found
        return found

    def lease(self, lane: Lane, phone: Phone, *, least_minor: int = 400) -> Lease:
        """What the lane's snapshot grants it of the phone's account."""
        lease = self._installed[lane.name].lease(phone.account, lane)
        if lease is None or lease.granted_minor < least_minor:
            raise Skipped(f"the snapshot grants less than {least_minor} minor units of the account")
        return lease

    def installed(self, lane: Lane) -> Installed:
        return self._installed[lane.name]

    # --- operators ---------------------------------------------------------------------------------------------
    def hook(self, name: str, **values: object) -> str:
        """Have the operator do something. Raises Skipped if the kit has no such hook, or the hook fails."""
        if name not in self.kit.hooks:
            raise Skipped(f"the kit has no hook {name}")
        try:
            return self.kit.hooks[name](**values)
        except HookFailed as failed:
            raise Skipped(f"the hook {name} failed: {failed}") from failed

    def wait_for(self, what: str, check: Callable[[], T | None], timeout_s: float) -> T:
        """The first value of ``check`` that is not None. Raises Broken."""
        deadline = time.monotonic() + timeout_s
        while (value := check()) is None:
            if time.monotonic() > deadline:
                raise Broken(f"{what} within {timeout_s:.0f} s", came="nothing of the kind")
            time.sleep(PAUSE_S)
        return value
