"""The configuration of a lane: read once at start, checked as a whole, unchangeable afterwards.

The rule: every mistake is reported at once, with its key, its line, what is allowed and a suggestion, so that whoever
corrects the file does it once. Nothing but `ConfigError` is raised.
"""

import json
import re
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError

from agent.config_devices import Beeper, DeviceName, Display, Drawer, Printer, Scanner
from agent.config_fields import Section
from agent.config_problems import allowed, problems, section_at
from agent.config_sections import Backend, Lane, Limits, Local, Merchant, Uplink
from agent.errors import ConfigError, ConfigMissing, ConfigProblem

FILE_BYTES_MAX: Final = 1 << 20


class Config(Section):
    """Everything that can be set, by section; `scanner` maps a device name to its section."""

    lane: Lane = Lane()
    merchant: Merchant = Merchant()
    backend: Backend = Backend()
    scanner: dict[DeviceName, Scanner] = Field(default={}, max_length=8)
    printer: Printer = Printer()
    drawer: Drawer = Drawer()
    beeper: Beeper = Beeper()
    display: Display = Display()
    local: Local = Local()
    limits: Limits = Limits()
    uplink: Uplink = Uplink()

    @property
    def agent_socket(self) -> Path:
        """The Unix socket of the local API."""
        return self.lane.run_dir / self.local.socket_name

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain JSON values, defaults filled in."""
        return self.model_dump(mode="json")


DEFAULTS: Final = Config()


def load(path: Path) -> Config:
    """The configuration in the file; raises `ConfigError` with all problems."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        if len(data) > FILE_BYTES_MAX:
            raise ConfigError(f"{path}: larger than 1 MiB", ())
        text = data.decode()
    except FileNotFoundError:
        raise ConfigMissing(f"{path}: No such file", ()) from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or 'cannot be read'}", ()) from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}: line {line} is not UTF-8 text", ()) from None
    return parse(text, name=str(path))


def parse(text: str, *, name: str = "agent.toml") -> Config:
    """The configuration in the text of a file; raises `ConfigError` with all problems, in the order of their lines."""
    try:
        tree = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        line = re.search(r"line (\d+)", str(error))
        wrong = re.sub(r" \(at line .*\)$", "", str(error))
        problem = ConfigProblem("", int(line[1]) if line else None, f"not valid TOML: {wrong}")
        raise ConfigError(f"{name} cannot be read", (problem,)) from None
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        found = problems(error, Config, tree, text)
    raise ConfigError(f"{name}: {len(found)} problem{'s' * (len(found) > 1)}", found)


_INTRO: Final = """\
Counterfoil: the settings of one lane.

Every key is listed with its default. To change one, remove the # in front of it. Check the file with
`counterfoil config check`; a change takes effect when the agent is restarted.
"""


def template() -> str:
    """The text of an agent.toml that changes nothing and explains every key."""
    blocks = ["\n".join(_comment(_INTRO))]
    for name in Config.model_fields:
        if name == "scanner":
            blocks.append("\n".join(_section_lines("#[scanner.counter]", Scanner)))
        elif model := section_at(Config, (name,)):
            blocks.append("\n".join(_section_lines(f"[{name}]", model)))
    return "\n\n".join(blocks) + "\n"


def _section_lines(header: str, model: type[BaseModel]) -> Iterator[str]:
    yield from _comment(model.__doc__ or "")
    yield header
    inherited_last = sorted(model.model_fields.items(), key=lambda item: item[0] not in model.__annotations__)
    for key, field in inherited_last:
        yield from _comment(f"{field.description} Allowed: {allowed(field)}.")
        default = field.get_default()
        yield f"#{key} = {json.dumps(default, ensure_ascii=False, default=str)}"


def _comment(text: str) -> Iterator[str]:
    for paragraph in text.strip().split("\n\n"):
        yield from (f"# {line}" for line in textwrap.wrap(" ".join(paragraph.split()), 110))
