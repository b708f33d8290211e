"""What can be configured: one frozen class per section of agent.toml, with every default, range, unit and explanation.

The rule: a key exists once, here. The file that ships (`packaging/agent.toml`), checks and messages are made from it.
No key holds a secret: the lane's keys live in its state directory and are never typed in.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from drivers.printers.profiles import PROFILES


def _whole(default: int, low: int, high: int, unit: str, why: str) -> Any:
    allowed = f"a whole number from {low} to {high} {unit}"
    return Field(default=default, ge=low, le=high, description=why, json_schema_extra={"allowed": allowed})


def _text(default: str, pattern: str, allowed: str, why: str) -> Any:
    return Field(default=default, pattern=pattern, description=why, json_schema_extra={"allowed": allowed})


def _value(default: object, allowed: str, why: str, *, strict: bool = True) -> Any:
    return Field(default=default, description=why, strict=strict, json_schema_extra={"allowed": allowed})


def _must(holds: Callable[[Any], bool]) -> AfterValidator:
    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError("not allowed")
        return value

    return AfterValidator(check)


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


AbsolutePath = Annotated[Path, _must(Path.is_absolute)]
ZoneName = Annotated[str, _must(_is_zone)]
HttpsOrigin = Annotated[str, _must(_is_https_origin)]
ProfileName = Annotated[str, _must(PROFILES.__contains__)]
DeviceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
_NAME = r"^\S(.{0,62}\S)?$"


class Section(BaseModel):
    """A section of the file: unknown keys are refused, nothing is converted silently, nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Lane(Section):
    """The lane itself. Its number, store and merchant id come from enrollment, not from this file."""

    state_dir: AbsolutePath = _value(
        Path("/var/lib/counterfoil"),
        "an absolute path",
        "Ledger, snapshots and keys. Back it up; never copy it to another lane.",
        strict=False,
    )
    run_dir: AbsolutePath = _value(
        Path("/run/counterfoil"),
        "an absolute path",
        "Sockets between the processes; empty after a restart.",
        strict=False,
    )
    language: Literal["zh-CN", "en"] = Field(
        default="zh-CN", description="Language of the page at start and of the slip."
    )
    timezone: ZoneName = _value(
        "Asia/Shanghai",
        "an IANA time zone name",
        "Business days and the times on slips follow it; records are kept in UTC.",
    )
    currency: str = _text(
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
    """Who sells: printed on every slip."""

    name: str = _text("未命名商户", _NAME, "1 to 64 characters", "The merchant's name.")
    store_name: str = _text("未命名门店", _NAME, "1 to 64 characters", "The store's name.")
    category: str = _text(
        "5411",
        r"^[0-9]{4}$",
        "four digits (ISO 18245)",
        "Merchant category code; limits and rules of the policy depend on it.",
    )


class Backend(Section):
    """The central authorization backend."""

    url: HttpsOrigin = _value(
        "https://localhost:8443",
        "https://host[:port] without path, user or password",
        "Its address; the lane proves itself by its certificate.",
    )
    online_budget_ms: int = _whole(
        1500, 200, 10_000, "milliseconds", "How long a sale waits for the backend before the lane stands in."
    )
    connect_timeout_ms: int = _whole(
        700, 50, 5_000, "milliseconds", "How long to wait for a connection; not more than online_budget_ms."
    )
    wallet_poll_s: int = _whole(
        2, 1, 30, "seconds", "How often a wallet payment is asked about while its customer confirms it."
    )
    wallet_wait_max_s: int = _whole(
        60, 10, 300, "seconds", "How long the customer may take; then the sale is declined, and payment goes back."
    )
    transfer_timeout_s: int = _whole(30, 5, 600, "seconds", "How long an upload or a part of a download may take.")

    @model_validator(mode="after")
    def _connects_within_budget(self) -> "Backend":
        if self.connect_timeout_ms > self.online_budget_ms:
            raise ValueError("connect_timeout_ms is larger than online_budget_ms, so no sale could ever wait for it")
        return self


class SerialLine(Section):
    """The settings of a serial line; other addresses do without them."""

    baud: int = _whole(9600, 300, 4_000_000, "baud", "Speed of a serial line.")
    parity: Literal["none", "even", "odd"] = Field(default="none", description="Parity of a serial line.")
    data_bits: Literal[7, 8] = Field(default=8, description="Data bits of a serial line.")
    flow_control: Literal["none", "xon-xoff", "rts-cts", "dsr-dtr"] = Field(
        default="none", description="Flow control of a serial line."
    )

    def _line_options(self, address: str) -> dict[str, object]:
        if not address.startswith(("serial:", "usb:", "auto")):
            return {}
        flow: dict[str, object] = {} if self.flow_control == "none" else {self.flow_control.replace("-", "_"): True}
        return {"baud": self.baud, "parity": self.parity, "data_bits": self.data_bits} | flow


class Scanner(SerialLine):
    """A code scanner. Several may be listed, up to 8; the name is what pages and logs call it."""

    address: str = _text(
        "serial:/dev/ttyACM0",
        r"^(auto|usb:[0-9a-fA-F]{4}:[0-9a-fA-F]{4}(:\S+)?|(serial|hidraw|evdev|camera|virtual):\S+)$",
        "auto, usb:VENDOR:PRODUCT[:SERIAL], serial:PATH, hidraw:PATH, evdev:PATH, camera:PATH or virtual:PATH",
        "Where it is, as `counterfoil devices list` shows it. auto: the first scanner that is plugged in. A path in "
        "/dev/serial/by-id or /dev/input/by-id stays the same wherever it is plugged in. evdev: a scanner that types; "
        "what it types reaches no other program.",
    )
    suffix: Literal["cr", "lf", "crlf", "tab", "etx", "none"] = Field(
        default="cr", description="What the scanner sends after a code; none: a pause ends the code."
    )
    pause_ms: int = _whole(0, 0, 10_000, "milliseconds", "The pause that ends a code; 0: what suits the suffix.")
    aim_prefix: bool = _value(True, "true or false", "Whether an AIM identifier (]Q3 …) before a code is understood.")
    layout: Literal["us", "uk", "de", "fr", "es"] = Field(
        default="us", description="The keyboard that a typing scanner was set to."
    )
    gs_text: str = _text(
        "",
        r"^\S{0,8}$",
        "up to 8 characters",
        "What a typing scanner writes for GS (FNC1) where it cannot type Ctrl+].",
    )

    region: str = _text(
        "0,0,100,100",
        r"^[0-9]{1,3}(,[0-9]{1,3}){3}$",
        "left,top,width,height in per cent",
        "The part of a camera's picture that is looked at.",
    )
    cpu_percent_max: int = _whole(25, 1, 100, "per cent", "How much of one processor core reading a camera may take.")

    @property
    def options(self) -> dict[str, object]:
        """The options of `drivers.registry.open_scanner`."""
        scheme = self.address.partition(":")[0]
        if scheme == "camera":
            return {"region": self.region, "cpu_percent_max": self.cpu_percent_max}
        if scheme == "hidraw":
            return {}
        options: dict[str, object] = {
            "suffix": {"none": "timeout"}.get(self.suffix, self.suffix),
            "pause_s": self.pause_ms / 1000,
            "aim_prefix": self.aim_prefix,
        }
        if scheme in ("evdev", "usb", "auto"):
            options |= {"layout": self.layout, "gs_text": self.gs_text}
        return options | self._line_options(self.address)


class Printer(SerialLine):
    """The slip printer."""

    address: str = _text(
        "",
        r"^(|tcp:\S+:[0-9]{1,5}|usb:[0-9a-fA-F]{4}:[0-9a-fA-F]{4}(:\S+)?|(serial|file|virtual):\S+)$",
        "tcp:HOST:PORT, usb:VENDOR:PRODUCT[:SERIAL], serial:PATH, file:PATH, virtual:PATH or nothing",
        "Where it is; empty: no printer, slips are shown only.",
    )
    profile: ProfileName = _value(
        "generic-80", "one of " + ", ".join(PROFILES), "What this model can do, and how wide its paper is."
    )
    characters: Literal["model", "gb18030", "big5", "shift_jis", "cp949", "none"] = Field(
        default="model",
        description="Ideographs in its memory; model: as its profile says; none: lines that need them are drawn.",
    )
    logo: str = _text(
        "",
        r"^(|nv:[1-9][0-9]{0,2}|/\S+)$",
        "the path of a picture, nv:NUMBER or nothing",
        "Printed on top of each slip; nv: the picture that was stored in the printer under that number.",
    )

    @property
    def options(self) -> dict[str, object]:
        """The options of `drivers.registry.open_printer`."""
        own: dict[str, object] = {"profile": self.profile, "logo": self.logo}
        own |= {} if self.characters == "model" else {"characters": self.characters}
        return own | (self._line_options(self.address) if self.address.startswith("serial:") else {})


class Drawer(Section):
    """The cash drawer on the slip printer's drawer socket."""

    attached: bool = _value(False, "true or false", "Whether there is one.")
    pin: Literal[2, 5] = Field(default=2, description="Pin of the socket that opens it.")
    pulse_ms: int = _whole(120, 50, 500, "milliseconds", "How long the pulse lasts; odd ones lose one.")
    open_level: Literal["model", "high", "low", "none"] = Field(
        default="model", description="The sensor's level while it is open; model: as the printer's profile says."
    )

    @property
    def options(self) -> dict[str, object]:
        """The options of `drivers.registry.open_drawer`."""
        return {"pin": self.pin, "pulse_ms": self.pulse_ms // 2 * 2, "open_level": self.open_level}


class Beeper(Section):
    """The beeper in or on the slip printer."""

    attached: bool = _value(False, "true or false", "Whether there is one.")
    command: Literal["model", "esc_paren_a", "esc_b", "bel"] = Field(
        default="model", description="What makes it sound; model: as the printer's profile says."
    )
    on_decline: bool = _value(True, "true or false", "Three sounds when a sale is declined.")
    on_attention: bool = _value(
        True, "true or false", "One when the customer has to choose, or to confirm on the phone, before it goes on."
    )

    @property
    def options(self) -> dict[str, object]:
        """The options of `drivers.registry.open_beeper`."""
        return {"command": self.command}


class Display(SerialLine):
    """The customer's line display. It shows the amount and where the sale stands, and nothing of the account."""

    address: str = _text(
        "",
        r"^(|tcp:\S+:[0-9]{1,5}|(serial|virtual):\S+)$",
        "tcp:HOST:PORT, serial:PATH, virtual:PATH or nothing",
        "Where it is; empty: no line display.",
    )
    columns: int = _whole(20, 8, 40, "columns", "Characters in a row.")
    rows: int = _whole(2, 1, 4, "rows", "Rows.")
    character_set: Literal["ascii", "cp437", "cp850", "cp1252", "gb18030"] = Field(
        default="cp437", description="What this model can show; gb18030: Chinese."
    )

    @property
    def options(self) -> dict[str, object]:
        """The options of `drivers.registry.open_display`."""
        screen: dict[str, object] = {"columns": self.columns, "rows": self.rows, "character_set": self.character_set}
        return screen | self._line_options(self.address)


class Local(Section):
    """The local interface for the page, POS software and this command."""

    socket_name: str = _text("agent.sock", r"^[A-Za-z0-9._-]{1,64}$", "a file name", "The Unix socket in run_dir.")
    port: int = _whole(
        0,
        0,
        65_535,
        "(0: none)",
        "Port of HTTP on 127.0.0.1, for the page and for POS software that has no Unix socket.",
    )


class Limits(Section):
    """What ends standing in before something breaks. Amounts and risk limits are in the signed policy, not here."""

    queue_entries_max: int = _whole(
        100_000, 1_000, 10_000_000, "entries", "Records not yet acknowledged by the backend."
    )
    free_space_min_mb: int = _whole(200, 50, 1_000_000, "MB", "Free space on the disk of state_dir.")
    clock_holdover_max_s: int = _whole(
        259_200, 3_600, 2_592_000, "seconds", "How long the clock is trusted after the last signed time."
    )
    print_job_ttl_s: int = _whole(14_400, 60, 604_800, "seconds", "Older slips are no longer printed unasked.")


class Uplink(Section):
    """How the lane brings its records to the backend and fetches what is new."""

    poll_s: int = _whole(15, 1, 3_600, "seconds", "Time between two looks for new policy, snapshot and keys.")
    upload_entries_max: int = _whole(500, 1, 1_000, "entries", "Records in one upload; backends take 1000 at most.")
    backoff_max_s: int = _whole(60, 1, 3_600, "seconds", "Longest pause between two attempts.")
    breaker_failures: int = _whole(
        3, 1, 100, "failures", "After so many in a row a sale no longer waits for the backend, until one call succeeds."
    )
