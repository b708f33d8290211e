"""What can be configured of devices: one frozen class per section of agent.toml, and the options that a driver gets.

The one rule: a key exists once, here; a driver is told only what it understands.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from agent.config_fields import Section, must, text, value, whole
from drivers.printers.profiles import PROFILES

DeviceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
ProfileName = Annotated[str, must(PROFILES.__contains__)]


class SerialLine(Section):
    """The settings of a serial line; other addresses do without them."""

    baud: int = whole(9600, 300, 4_000_000, "baud", "Speed of a serial line.")
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

    address: str = text(
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
    pause_ms: int = whole(0, 0, 10_000, "milliseconds", "The pause that ends a code; 0: what suits the suffix.")
    aim_prefix: bool = value(True, "true or false", "Whether an AIM identifier (]Q3 …) before a code is understood.")
    layout: Literal["us", "uk", "de", "fr", "es"] = Field(
        default="us", description="The keyboard that a typing scanner was set to."
    )
    gs_text: str = text(
        "",
        r"^\S{0,8}$",
        "up to 8 characters",
        "What a typing scanner writes for GS (FNC1) where it cannot type Ctrl+].",
    )

    region: str = text(
        "0,0,100,100",
        r"^[0-9]{1,3}(,[0-9]{1,3}){3}$",
        "left,top,width,height in per cent",
        "The part of a camera's picture that is looked at.",
    )
    cpu_percent_max: int = whole(25, 1, 100, "per cent", "How much of one processor core reading a camera may take.")

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

    address: str = text(
        "",
        r"^(|tcp:\S+:[0-9]{1,5}|usb:[0-9a-fA-F]{4}:[0-9a-fA-F]{4}(:\S+)?|(serial|file|virtual):\S+)$",
        "tcp:HOST:PORT, usb:VENDOR:PRODUCT[:SERIAL], serial:PATH, file:PATH, virtual:PATH or nothing",
        "Where it is; empty: no printer, slips are shown only.",
    )
    profile: ProfileName = value(
        "generic-80", "one of " + ", ".join(PROFILES), "What this model can do, and how wide its paper is."
    )
    characters: Literal["model", "gb18030", "big5", "shift_jis", "cp949", "none"] = Field(
        default="model",
        description="Ideographs in its memory; model: as its profile says; none: lines that need them are drawn.",
    )
    logo: str = text(
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

    attached: bool = value(False, "true or false", "Whether there is one.")
    pin: Literal[2, 5] = Field(default=2, description="Pin of the socket that opens it.")
    pulse_ms: int = whole(120, 50, 500, "milliseconds", "How long the pulse lasts; odd ones lose one.")
    open_level: Literal["model", "high", "low", "none"] = Field(
        default="model", description="The sensor's level while it is open; model: as the printer's profile says."
    )

    @property
    def options(self) -> dict[str, object]:
        """The options of `drivers.registry.open_drawer`."""
        return {"pin": self.pin, "pulse_ms": self.pulse_ms // 2 * 2, "open_level": self.open_level}


class Beeper(Section):
    """The beeper in or on the slip printer."""

    attached: bool = value(False, "true or false", "Whether there is one.")
    command: Literal["model", "esc_paren_a", "esc_b", "bel"] = Field(
        default="model", description="What makes it sound; model: as the printer's profile says."
    )
    on_decline: bool = value(True, "true or false", "Three sounds when a sale is declined.")
    on_attention: bool = value(
        True, "true or false", "One when the customer has to choose, or to confirm on the phone, before it goes on."
    )

    @property
    def options(self) -> dict[str, object]:
        """The options of `drivers.registry.open_beeper`."""
        return {"command": self.command}


class Display(SerialLine):
    """The customer's line display. It shows the amount and where the sale stands, and nothing of the account."""

    address: str = text(
        "",
        r"^(|tcp:\S+:[0-9]{1,5}|(serial|virtual):\S+)$",
        "tcp:HOST:PORT, serial:PATH, virtual:PATH or nothing",
        "Where it is; empty: no line display.",
    )
    columns: int = whole(20, 8, 40, "columns", "Characters in a row.")
    rows: int = whole(2, 1, 4, "rows", "Rows.")
    character_set: Literal["ascii", "cp437", "cp850", "cp1252", "gb18030"] = Field(
        default="cp437", description="What this model can show; gb18030: Chinese."
    )

    @property
    def options(self) -> dict[str, object]:
        """The options of `drivers.registry.open_display`."""
        screen: dict[str, object] = {"columns": self.columns, "rows": self.rows, "character_set": self.character_set}
        return screen | self._line_options(self.address)
