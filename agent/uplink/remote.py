"""The backend as `run` sees it: every call goes through the uplink process, and none outlasts its budget.

The one rule: before anything has left, the answer is UplinkUnavailable, at once; after that, it is an answer or None,
an unknown outcome. The two are never confused, because standing in after them differs (`online_unknown`).
"""

from collections.abc import Mapping
from typing import Any, Final

from agent.core.cbor import Value
from agent.errors import UplinkRefused, UplinkUnavailable
from agent.ports import AttemptUnknown
from agent.uplink import answers
from agent.uplink.channel import CallFailed, Channel, Handler, NoReply
from agent.uplink.lane_calls import lane_handlers
from agent.uplink.lane_side import LaneSide, LinkState

ANSWER_MARGIN_S: Final = 0.05
"""The uplink gives up so much before the budget ends; one that stays silent even then hangs."""

SETTLE_BUDGET_S: Final = 10.0
CLAIM_BUDGET_S: Final = 10.0
EPOCH_BUDGET_S: Final = 30.0
READ_BYTES_MAX: Final = 1 << 20
"""`run` reads documents, never batches: small messages keep the decoder out of the way of a sale."""


class BackendRefused(UplinkRefused):
    """The backend refused the request; `problem` is the id of its problem document, `fields` its other members."""

    def __init__(self, problem: str, message: str, fields: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.problem = problem
        self.fields = fields


class RemoteBackend:
    """`ports.Backend` over the channel, whose server gets `handlers` and `attach`: the newest channel counts."""

    def __init__(self, lane: LaneSide) -> None:
        self._lane_handlers = lane_handlers(lane)
        self.handlers: Mapping[str, Handler] = {
            **self._lane_handlers,
            "link": self._on_link,
            "next_upload": self._on_next_upload,
        }
        self._channel: Channel | None = None
        self._link = LinkState.DOWN
        self._poked = False

    def attach(self, channel: Channel) -> None:
        """Use this channel from now on; the link counts as down until the uplink tells otherwise."""
        if self._channel is not None:
            self._channel.close()
        self._channel = channel
        self._link = LinkState.DOWN
        self._poked = False

    @property
    def available(self) -> bool:
        """Whether a sale may wait for the backend."""
        return self._channel is not None and not self._channel.closed and self._link is LinkState.UP

    async def authorize(self, request: Mapping[str, Any], budget_s: float) -> dict[str, Any] | None:
        """The backend's decision on `request` (the wire's body of POST /v1/authorizations); None: unknown outcome.

        Raises UplinkUnavailable (nothing left this machine) and BackendRefused.
        """
        if not self.available:
            raise UplinkUnavailable("The link to the backend is down.")
        return _decision(await self._ask("authorize", _fields(request), budget_s))

    async def inquire(
        self, lender: str, sale_id: str, attempt: int, budget_s: float
    ) -> dict[str, Any] | AttemptUnknown | None:
        """What the backend has decided on an attempt; None: no answer. Raises UplinkUnavailable and BackendRefused."""
        try:
            return _decision(await self._ask("inquire", [lender, sale_id, attempt], budget_s))
        except BackendRefused as refused:
            if refused.problem == "authorization_unknown":
                return AttemptUnknown()
            raise

    async def refund(self, request: Mapping[str, Any], budget_s: float) -> dict[str, Any] | None:
        """What the backend says to a refund of another lane's sale; None: unknown, ask again with the same request.

        Raises UplinkUnavailable (nothing left this machine) and BackendRefused.
        """
        if not self.available:
            raise UplinkUnavailable("The link to the backend is down.")
        answer = await self._ask("refund", _fields(request), budget_s)
        try:
            return None if answer is None else answers.refund(answer)
        except answers.Shapeless:
            return None

    async def settle(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The backend's view of a batch. Raises UplinkUnavailable (no answer: settle again, it is idempotent) and
        BackendRefused (`journal_behind`: upload first)."""
        answer = await self._ask("settle", _fields(body), SETTLE_BUDGET_S)
        try:
            return answers.settlement(answer)
        except answers.Shapeless as error:
            raise UplinkUnavailable("The backend did not answer the settlement.") from error

    async def open_epoch(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A new epoch for a restored lane. Raises UplinkUnavailable (no answer: ask again, the same way) and
        BackendRefused."""
        answer = await self._ask("open_epoch", _fields(body), EPOCH_BUDGET_S)
        try:
            return answers.epoch(answer)
        except answers.Shapeless as error:
            raise UplinkUnavailable("The backend did not answer the request for a new epoch.") from error

    async def claim(self, text: str) -> dict[str, Any]:
        """What the backend makes of the code of a slip. Raises UplinkUnavailable (no answer: send it again, it counts
        once) and BackendRefused."""
        answer = await self._ask("claim", text, CLAIM_BUDGET_S)
        try:
            return answers.claim(answer)
        except answers.Shapeless as error:
            raise UplinkUnavailable("The backend did not answer the claim.") from error

    def poke(self) -> None:
        """There are new entries: upload now. Free to call for every entry."""
        if self._channel is not None and not self._poked:
            self._poked = True
            self._channel.tell("poke")

    async def _ask(self, kind: str, body: Value, budget_s: float) -> Value:
        """The answer, or None for an unknown outcome. Raises UplinkUnavailable and BackendRefused."""
        channel = self._channel
        if channel is None:
            raise UplinkUnavailable("The uplink process is not connected.")
        try:
            outcome = await channel.call(kind, [_ms(budget_s - ANSWER_MARGIN_S), body], budget_s)
        except NoReply:
            if channel is self._channel:
                self._link = LinkState.DOWN  # it hangs or is gone: the next sale must not wait for it too
            return None
        except CallFailed:
            return None
        return _opened(outcome)

    async def _on_link(self, body: Value) -> Value:
        match body:
            case [("up" | "down" | "refused" | "recovering") as state, _]:
                self._link = LinkState(state)
        return await self._lane_handlers["link"](body)

    async def _on_next_upload(self, body: Value) -> Value:
        self._poked = False
        return await self._lane_handlers["next_upload"](body)


def _opened(outcome: Value) -> Value:
    """What the uplink says became of a call: the answer, or None for an unknown outcome."""
    match outcome:
        case ["answer", answer]:
            return answer
        case ["not_sent", str(detail)]:
            raise UplinkUnavailable(detail)
        case ["refused", str(problem), str(detail), dict(fields)]:
            raise BackendRefused(problem, detail, {str(name): value for name, value in fields.items()})
    return None


def _decision(answer: Value) -> dict[str, Any] | None:
    try:
        return None if answer is None else answers.authorization(answer)
    except answers.Shapeless:
        return None


def _fields(body: Mapping[str, Any]) -> Value:
    return dict(body.items())


def _ms(seconds: float) -> int:
    return max(0, int(seconds * 1000))
