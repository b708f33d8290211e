"""What can be configured beside devices (`config_devices`): one frozen class per section of agent.toml, with every
default, range, unit and explanation.

The rule: a key exists once, here. The file that ships (`packaging/agent.toml`), checks and messages are made from it.
No key holds a secret: the lane's keys live in its state directory and are never typed in.
"""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from agent.config_fields import Section, must, text, value, whole


def _is_zone(name: str) -> bool:
    try:
        return bool(ZoneInfo(name).key)
    except (KeyError, ValueError, OSError):
        return False


def _is_https_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or "@" in parts.netloc) and parts.path in ("", "/")
    return parts.scheme == "https" and bool(parts.hostname) and plain and port_is_fine


AbsolutePath = Annotated[Path, must(Path.is_absolute)]
ZoneName = Annotated[str, must(_is_zone)]
HttpsOrigin = Annotated[str, must(_is_https_origin)]
_NAME = r"^\S(.{0,62}\S)?$"


def _latin(length: int) -> str:
    """Printable ASCII without blanks at its ends, or nothing (EMVCo, ids 59 and 60)."""
    return rf"([!-~]([ -~]{{0,{length - 2}}}[!-~])?)?"


class Lane(Section):
    """The lane itself. Its number, store and merchant id come from enrollment, not from this file."""

    state_dir: AbsolutePath = value(
        Path("/var/lib/counterfoil"),
        "an absolute path",
        "Ledger, snapshots and keys. Back it up; never copy it to another lane.",
        strict=False,
    )
    run_dir: AbsolutePath = value(
        Path("/run/counterfoil"),
        "an absolute path",
        "Sockets between the processes; empty after a restart.",
        strict=False,
    )
    language: Literal["zh-CN", "en"] = Field(
        default="zh-CN", description="Language of the page at start and of the slip."
    )
    timezone: ZoneName = value(
        "Asia/Shanghai",
        "an IANA time zone name",
        "Business days and the times on slips follow it; records are kept in UTC.",
    )
    currency: str = text(
        "CNY", r"^[A-Z]{3}$", "an ISO 4217 code of three capital letters", "Currency of every sale of this lane."
    )

    @property
    def identity_dir(self) -> Path:
        """Keys, certificate and lenders' roots."""
        return self.state_dir / "identity"

    @property
    def ledger_file(self) -> Path:
        return self.state_dir / "ledger.db"

    @property
    def reserve_file(self) -> Path:
        return self.state_dir / "reserve"

    @property
    def witness_file(self) -> Path:
        """Beside the state directory: no backup of that brings an old witness back together with an old ledger."""
        return self.state_dir.with_name(f"{self.state_dir.name}-witness") / "head"

    @property
    def http_secret_file(self) -> Path:
        """From it, tokens and cookies of the local API over HTTP are derived."""
        return self.state_dir / "http-secret"

    @property
    def operators_file(self) -> Path:
        return self.state_dir / "operators.json"

    @property
    def snapshots_dir(self) -> Path:
        return self.state_dir / "snapshots"

    @property
    def pos_token_file(self) -> Path:
        """The token of POS software over HTTP, for the group to read."""
        return self.run_dir / "pos-token"

    @property
    def uplink_socket(self) -> Path:
        """Between the two processes; the local API's socket is `Config.agent_socket`."""
        return self.run_dir / "uplink.sock"


class Merchant(Section):
    """Who sells: printed on every slip. With latin_name and latin_city the lane can show a code of its own, which a
    customer pays by scanning it with the lender's app (EMVCo, merchant-presented mode)."""

    name: str = text("未命名商户", _NAME, "1 to 64 characters", "The merchant's name.")
    store_name: str = text("未命名门店", _NAME, "1 to 64 characters", "The store's name.")
    category: str = text(
        "5411",
        r"^[0-9]{4}$",
        "four digits (ISO 18245)",
        "Merchant category code; limits and rules of the policy depend on it.",
    )
    latin_name: str = text(
        "",
        rf"^{_latin(25)}$",
        "up to 25 printable ASCII characters",
        "The merchant's name in the lane's own code; empty: it shows none.",
    )
    latin_city: str = text(
        "", rf"^{_latin(15)}$", "up to 15 printable ASCII characters", "The merchant's city in the lane's own code."
    )
    country: str = text("CN", r"^[A-Z]{2}$", "two capital letters (ISO 3166-1)", "Country in the lane's own code.")

    @model_validator(mode="after")
    def _has_both_or_none(self) -> "Merchant":
        if bool(self.latin_name) is not bool(self.latin_city):
            raise ValueError("latin_name and latin_city are set both or neither: the lane's own code names both")
        return self


class Backend(Section):
    """The central authorization backend."""

    url: HttpsOrigin = value(
        "https://localhost:8443",
        "https://host[:port] without path, user or password",
        "Its address; the lane proves itself by its certificate.",
    )
    online_budget_ms: int = whole(
        1500, 200, 10_000, "milliseconds", "How long a sale waits for the backend before the lane stands in."
    )
    connect_timeout_ms: int = whole(
        700, 50, 5_000, "milliseconds", "How long to wait for a connection; not more than online_budget_ms."
    )
    wallet_poll_s: int = whole(
        2, 1, 30, "seconds", "How often a wallet payment is asked about while its customer confirms it."
    )
    wallet_wait_max_s: int = whole(
        60, 10, 300, "seconds", "How long the customer may take; then the sale is declined, and payment goes back."
    )
    code_wait_max_s: int = whole(
        120, 10, 600, "seconds", "How long a code that the lane shows may be paid; then the sale is declined."
    )
    transfer_timeout_s: int = whole(30, 5, 600, "seconds", "How long an upload or a part of a download may take.")

    @model_validator(mode="after")
    def _connects_within_budget(self) -> "Backend":
        if self.connect_timeout_ms > self.online_budget_ms:
            raise ValueError("connect_timeout_ms is larger than online_budget_ms, so no sale could ever wait for it")
        return self


class Local(Section):
    """The local interface for the page, POS software and this command."""

    socket_name: str = text("agent.sock", r"^[A-Za-z0-9._-]{1,64}$", "a file name", "The Unix socket in run_dir.")
    port: int = whole(
        0,
        0,
        65_535,
        "(0: none)",
        "Port of HTTP on 127.0.0.1, for the page and for POS software that has no Unix socket.",
    )


class Limits(Section):
    """What ends standing in before something breaks. Amounts and risk limits are in the signed policy, not here."""

    queue_entries_max: int = whole(
        100_000, 1_000, 10_000_000, "entries", "Records not yet acknowledged by the backend."
    )
    free_space_min_mb: int = whole(200, 50, 1_000_000, "MB", "Free space on the disk of state_dir.")
    clock_holdover_max_s: int = whole(
        259_200, 3_600, 2_592_000, "seconds", "How long the clock is trusted after the last signed time."
    )
    print_job_ttl_s: int = whole(14_400, 60, 604_800, "seconds", "Older slips are no longer printed unasked.")


class Uplink(Section):
    """How the lane brings its records to the backend and fetches what is new."""

    poll_s: int = whole(15, 1, 3_600, "seconds", "Time between two looks for new policy, snapshot and keys.")
    upload_entries_max: int = whole(500, 1, 1_000, "entries", "Records in one upload; backends take 1000 at most.")
    backoff_max_s: int = whole(60, 1, 3_600, "seconds", "Longest pause between two attempts.")
    breaker_failures: int = whole(
        3, 1, 100, "failures", "After so many in a row a sale no longer waits for the backend, until one call succeeds."
    )
