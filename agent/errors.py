"""Faults of the agent's adapters and services, as one small tree.

The rule: what a caller may meet is listed here, each with a stable code and a hint that tells a person what to do;
a layer maps what its library raises to one of these, so that no library's exception (and no stack trace) gets further.
Refusals (declines, unreadable passes) are values of the core, not faults.
"""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar


class CounterfoilError(Exception):
    """A fault with a code for scripts, a sentence that says what happened, and a hint that says what to do."""

    code: ClassVar[str] = "internal"
    hint: ClassVar[str] = "Run the command again with --debug and send its output to support."

    def __init__(self, message: str = "") -> None:
        self.message = message or (type(self).__doc__ or self.code).splitlines()[0]
        super().__init__(self.message)

    def to_dict(self) -> dict[str, Any]:
        """The fault for `--json` output and problem documents: code, message, hint."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class OfferRefused(CounterfoilError):
    """A payment plan or a coupon that this sale cannot have; nothing was recorded, and the code is still good.

    ``reason`` is a key of the text catalogue.
    """

    code = "offer_refused"
    hint = "Ask for the offers again and let the customer choose."

    def __init__(self, reason: str = "plan_not_offered") -> None:
        super().__init__(f"This plan or coupon cannot be taken: {reason}.")
        self.reason = reason


class CodeNotShown(CounterfoilError):
    """The lane cannot show a code of its own for this sale; nothing was recorded. ``reason`` is a text key."""

    code = "code_not_shown"
    hint = "Let the customer show a code, or take another payment."

    def __init__(self, reason: str = "code_online_only", why: str = "") -> None:
        super().__init__(why or f"No code can be shown for this sale: {reason}.")
        self.reason = reason


class LedgerError(CounterfoilError):
    """The lane's ledger cannot be used."""

    code = "ledger"
    hint = "Run `counterfoil doctor`: it checks the disk, the permissions and the ledger in that order."


class LedgerUnavailable(LedgerError):
    """The ledger cannot be opened, read or written; nothing was recorded."""

    code = "ledger_unavailable"
    hint = "Check that the state directory exists, is writable and has free space; no sale was recorded, try it again."


class LedgerUnknownOutcome(LedgerError):
    """The disk failed at the moment of the commit, so the sale may or may not be recorded."""

    code = "ledger_unknown_outcome"
    hint = "Do not key the sale in again: ask for it by its sale id after the restart; the answer is then certain."


class TrainingMixed(CounterfoilError):
    """Training and real money do not mix: this belongs to the other kind of counter."""

    code = "training_mixed"
    hint = "Start a training counter with `counterfoil training` and a real one with `counterfoil run`."


class DiskFull(LedgerError):
    """The disk is full: no sale is begun. What was begun can still be captured, reversed and settled."""

    code = "disk_full"
    hint = "Delete files that are not Counterfoil's (`df -h` shows the disk); the lane then goes on by itself."


class LedgerInUse(LedgerError):
    """Another process holds the ledger."""

    code = "ledger_in_use"
    hint = "For this command, stop the agent first (`systemctl stop counterfoil`), and start it again afterwards."


class LedgerCorrupt(LedgerError):
    """The ledger fails its own checks."""

    code = "ledger_corrupt"
    hint = "Stop the lane, keep the state directory as it is, and call support: unsent sales may be saved from it."


class LedgerNewer(LedgerError):
    """The ledger was written by a newer version."""

    code = "ledger_newer"
    hint = "Install the newer version again: an older one would misread what it has recorded. Nothing was changed."


class IdempotencyConflict(CounterfoilError):
    """This id was used before with other content."""

    code = "idempotency_conflict"
    hint = (
        "Repeat the request exactly as it was, or use a new sale id for a new sale,"
        " a new request id for another capture or refund."
    )


class SaleUnknown(CounterfoilError):
    """The journal of this lane has nothing of the sale."""

    code = "sale_unknown"
    hint = "Look at the sale id on the slip, and at which lane it was sold: `counterfoil status` lists the last sales."


class NothingToRecover(CounterfoilError):
    """The backend has no other entries than this lane, as far as both know: there is nothing to recover."""

    code = "nothing_to_recover"
    hint = "Look at `counterfoil status`: a lane that needs recovery says so there, once it has reached the backend."


class LeftBefore(CounterfoilError):
    """The backend has begun another epoch after this one before: this ledger is an even older copy."""

    code = "left_before"
    hint = "Enroll this computer anew, `counterfoil enroll --replace`: it keeps this ledger beside the new one."


class UplinkError(CounterfoilError):
    """The backend cannot be used."""

    code = "uplink"
    hint = "Run `counterfoil doctor` for the link, the certificate and the clock."


class UplinkUnavailable(UplinkError):
    """The backend did not answer in time."""

    code = "uplink_unavailable"
    hint = "Check the shop's network and `backend.url`; the lane stands in meanwhile and sends its records later."


class UplinkRefused(UplinkError):
    """The backend refused this lane or its request; ``problem`` is the id of its problem document, if it sent one."""

    code = "uplink_refused"
    hint = "Check that the lane is enrolled and its certificate valid; `counterfoil doctor` names the reason."
    problem: str | None = None


class NotEnrolled(CounterfoilError):
    """This lane has no keys and no certificate yet."""

    code = "not_enrolled"
    hint = "Get a one-time code from the backend, then as root: `counterfoil enroll --code CODE`."


class AgentNotRunning(CounterfoilError):
    """The agent does not answer on its local socket."""

    code = "agent_not_running"
    hint = "Start it with `systemctl start counterfoil` (or `counterfoil run`), and look at its log if it stops again."


class HttpNotServed(CounterfoilError):
    """This lane has no token yet: its local API is not served over HTTP."""

    code = "http_not_served"
    hint = "Set `[local] port` in agent.toml, and restart the agent: it makes the token."


class OperatorsUnreadable(CounterfoilError):
    """The lane's file of operators cannot be used; what needs an operator is not done."""

    code = "operators_unreadable"
    hint = "Restore state_dir/operators.json, or remove it and add the operators again: `counterfoil operator add`."


class OperatorUnusable(CounterfoilError):
    """An operator cannot be added or changed so."""

    code = "operator_unusable"
    hint = "Choose another name or PIN; `counterfoil operator list` shows who there is."


class OperatorRefused(CounterfoilError):
    """Nobody is signed in who may do this, or a PIN was wrong. ``reason`` is a key of the text catalogue; ``wait_s``:
    how long until the PIN is looked at again, else 0."""

    code = "operator_refused"
    hint = "Sign in with an operator's PIN whose role may do this."

    def __init__(self, reason: str = "operator_required", wait_s: int = 0) -> None:
        super().__init__(f"An operator is needed: {reason}.")
        self.reason, self.wait_s = reason, wait_s


class UntrustedDocument(CounterfoilError):
    """A signed document (keys, policy, snapshot, time) does not verify; the one in force stays."""

    code = "untrusted_document"
    hint = "Fetch it again; if it is refused again, tell the backend team: signature, version or validity is wrong."


class DraftUnusable(CounterfoilError):
    """A draft that somebody is working on, a policy or a table of cases, cannot be used as it is."""

    code = "draft_unusable"
    hint = "Correct what is named, then try again."


class DeviceUnavailable(CounterfoilError):
    """A configured device cannot be used."""

    code = "device_unavailable"
    hint = "Check power and cable, then run `counterfoil devices list`; sales go on without it."


class DeviceMisnamed(DeviceUnavailable):
    """An address, option or command that no device has."""

    code = "device_misnamed"
    hint = "Run `counterfoil devices list`: it shows the address of each device; --help explains the rest."


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One mistake in the configuration file: dotted key, line (from 1, or None), what is wrong, what is allowed."""

    key: str
    line: int | None
    wrong: str
    allowed: str = ""
    suggestion: str = ""

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        allowed = f" (allowed: {self.allowed})" if self.allowed else ""
        suggestion = f"; did you mean {self.suggestion}?" if self.suggestion else ""
        return f"{place}{self.key}: {self.wrong}{allowed}{suggestion}" if self.key else f"{place}{self.wrong}"


class ConfigError(CounterfoilError):
    """The configuration file cannot be used."""

    code = "config_invalid"
    hint = (
        "Correct it and run `counterfoil config check`; `counterfoil config init` writes one that explains every key."
    )

    def __init__(self, message: str, problems: tuple[ConfigProblem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join([message, *(f"  {problem}" for problem in problems)]))

    def to_dict(self) -> dict[str, Any]:
        """As the base, with the list of problems as data."""
        return {**CounterfoilError.to_dict(self), "problems": [asdict(problem) for problem in self.problems]}


class ConfigMissing(ConfigError):
    """There is no configuration file."""

    code = "config_missing"
    hint = "Name another with `--config FILE`, or write it: `counterfoil config init FILE` explains every key."
