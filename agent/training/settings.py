"""The configuration of a training counter: the shop's name and language, and devices, virtual or the shop's own.

The one rule: whatever holds state or leads to a backend is the training counter's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.config import Config, parse

SCANNER: Final = "training"
"""The scanner that reads what the trainee lets customers show; it is there beside real ones, too."""
DEVICES: Final = {"scanner", "printer", "drawer", "beeper", "display"}
FREE_SPACE_MIN_MB: Final = 50


@dataclass(frozen=True, slots=True)
class Place:
    """Where the counter lives: ``folder`` for what it keeps, ``run_dir`` for sockets, ``port`` of its pages, and the
    port of its line to the backend."""

    folder: Path
    run_dir: Path
    port: int
    line_port: int

    @property
    def config_path(self) -> Path:
        return self.folder / "agent.toml"


def settings(shop: Config, place: Place, *, with_devices: bool) -> str:
    """The text of the training counter's agent.toml, made from the shop's. Raises ConfigError."""
    own = _own_devices(shop) if with_devices else _virtual_devices(place)
    own["scanner"] = own.get("scanner", {}) | {SCANNER: {"address": f"virtual:{place.run_dir}/scanner"}}
    lane = shop.lane.model_dump(mode="json", include={"language", "timezone", "currency"})
    tree = {
        "lane": lane | {"state_dir": str(place.folder / "lane"), "run_dir": str(place.run_dir)},
        "merchant": shop.merchant.model_dump(mode="json"),
        "backend": {"url": f"https://localhost:{place.line_port}"},
        "local": {"port": place.port},
        "limits": {"free_space_min_mb": FREE_SPACE_MIN_MB},
        "uplink": {"poll_s": 1, "backoff_max_s": 2},
        **own,
    }
    text = "\n".join(_toml(tree)) + "\n"
    parse(text, name=str(place.config_path))
    return text


def _own_devices(shop: Config) -> dict[str, Any]:
    return shop.model_dump(mode="json", include=DEVICES, exclude_unset=True)


def _virtual_devices(place: Place) -> dict[str, Any]:
    return {
        "printer": {"address": f"virtual:{place.folder}/slips"},
        "drawer": {"attached": True, "open_level": "high"},
        "beeper": {"attached": True, "command": "esc_b"},
        "display": {"address": f"virtual:{place.run_dir}/display", "character_set": "gb18030"},
    }


def _toml(tree: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """A section for each mapping; a JSON string, number, list or truth value is one of TOML as well (TOML 1.0)."""
    values = {key: value for key, value in tree.items() if not isinstance(value, Mapping)}
    if path and values:
        yield f"[{path}]"
    yield from (f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())
    for key, section in tree.items():
        if isinstance(section, Mapping):
            yield from _toml(section, f"{path}.{key}" if path else key)
