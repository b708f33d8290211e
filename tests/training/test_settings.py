"""A training counter's settings: the shop's name and devices perhaps, its state and its backend never."""

from pathlib import Path

import pytest

from agent import config
from agent.training.settings import SCANNER, Place, settings

PLACE = Place(Path("/tmp/training"), Path("/tmp/run"), 8765, 40_123)
SHOP = config.parse(
    """
[lane]
state_dir = "/var/lib/counterfoil"
language = "en"
[merchant]
name = "Corner \\"Shop\\" 街角"
[backend]
url = "https://bank.example:8443"
[local]
port = 8000
[printer]
address = "tcp:192.0.2.7:9100"
[scanner.counter]
address = "serial:/dev/ttyACM0"
"""
)


@pytest.mark.parametrize("with_devices", [True, False])
def test_state_sockets_port_and_backend_are_its_own(with_devices: bool) -> None:
    made = config.parse(settings(SHOP, PLACE, with_devices=with_devices))
    assert (made.lane.state_dir, made.lane.run_dir) == (PLACE.folder / "lane", PLACE.run_dir)
    assert (made.backend.url, made.local.port) == ("https://localhost:40123", 8765)
    assert (made.merchant, made.lane.language) == (SHOP.merchant, "en")


def test_its_devices_are_virtual_unless_the_shops_own_are_asked_for() -> None:
    virtual = config.parse(settings(SHOP, PLACE, with_devices=False))
    addresses = [virtual.printer.address, virtual.display.address, *(each.address for each in virtual.scanner.values())]
    assert all(address.startswith("virtual:") for address in addresses)
    own = config.parse(settings(SHOP, PLACE, with_devices=True))
    assert (own.printer, own.scanner["counter"]) == (SHOP.printer, SHOP.scanner["counter"])
    assert own.scanner[SCANNER].address.startswith("virtual:")
