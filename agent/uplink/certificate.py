"""Renewal: the lane's TLS certificate is replaced by one for a new key, long before it ends.

The one rule: at every moment the disk holds one key and certificate that fit each other and work. The new key is there
before it is asked for, and takes the place of the old pair in one rename; a crash in between only asks again.
"""

import asyncio
import logging
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Final, NoReturn, Protocol

from cryptography import x509

from agent.errors import CounterfoilError, UntrustedDocument
from agent.uplink.backoff import Backoff, Rng
from agent.uplink.client import BackendClient
from agent.uplink.identity import CA_FILE, certificate_life, load_certificate, save_certificate
from agent.uplink.lane_keys import fitting, prepare_renewal
from agent.uplink.lane_side import LaneSide

RENEW_AT: Final = Fraction(2, 3)
"""Of the certificate's life: the last third is for whatever may stand in the way."""
LOOK_S: Final = 3600.0
AGAIN_BASE_S: Final = 60.0
AGAIN_MAX_S: Final = 6 * 3600.0
"""At least four tries a day, whatever is wrong."""

_log = logging.getLogger(__name__)


class HasCertificate(Protocol):
    """The line whose certificate is renewed: where it lies on the disk, and how a new one comes into use."""

    @property
    def identity_dir(self) -> Path: ...

    async def take_new_certificate(self) -> None: ...


class Renewal:
    """Looks every hour and when the backend calls the certificate expired; renews when it is time."""

    def __init__(self, lane: LaneSide, client: BackendClient, line: HasCertificate, rng: Rng) -> None:
        self._lane, self._client, self._line = lane, client, line
        self._identity_dir = line.identity_dir
        self._expired = client.access.expired
        self._pace = Backoff(AGAIN_MAX_S, rng, base_s=AGAIN_BASE_S)

    async def run(self) -> NoReturn:
        while True:
            pause_s = await self._look()
            if self._expired.is_set():  # tried just now, and failed
                await asyncio.sleep(pause_s)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._expired.wait()

    async def _look(self) -> float:
        """Renew if it is time; returns the seconds to the next look."""
        try:
            if not self._is_due(await self._now_s()):
                return LOOK_S
            await self._renew()
        except (CounterfoilError, OSError) as fault:
            _log.warning("the lane's certificate is not renewed: %s", fault)
            return self._pace.next_s(getattr(fault, "retry_after_s", None))
        self._pace.reset()
        self._expired.clear()
        await self._line.take_new_certificate()
        return LOOK_S

    async def _now_s(self) -> int:
        """The lane's best time: a lender's signed time where there is one."""
        return max(state.now_s for state in await self._lane.lenders())

    def _is_due(self, now_s: int) -> bool:
        """By the lane's time, or by the backend's, which calls it expired."""
        begin_s, end_s = certificate_life(self._identity_dir)
        is_late = now_s >= begin_s + (end_s - begin_s) * RENEW_AT
        return is_late or self._expired.is_set()

    async def _renew(self) -> None:
        request = prepare_renewal(self._identity_dir)
        answer = await self._client.renew(request.csr)
        ca = x509.load_pem_x509_certificate((self._identity_dir / CA_FILE).read_bytes())
        renewed = fitting(answer["certificate"].encode(), ca, request)
        if renewed.subject != load_certificate(self._identity_dir).subject:
            raise UntrustedDocument("The new certificate names another lane.")
        save_certificate(self._identity_dir, answer["certificate"].encode())
        _log.info("the lane's certificate is renewed until %s", renewed.not_valid_after_utc.date())
