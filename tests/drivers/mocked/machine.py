"""A process that sees devices which are not there, by umockdev; started by `test_mocked_devices.py`, one story a run.

Run under `umockdev-wrapper`; prints one JSON value a line. The descriptions are ours: devices as Linux shows them.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from drivers.device import DataEvent, DeviceEvent, ErrorEvent, StatusUpdateEvent
from drivers.hotplug import Hotplug
from drivers.inventory import look
from drivers.registry import open_scanner
from drivers.scanners.wedge import EV_SYN, INPUT_EVENT
from tests.drivers.machines import HIDPOS_DESCRIPTOR
from tests.drivers.scanners.typing_scanner import keys_for

KEYS = "10000 7 ff87207ac14057ff febeffdfffefffff fffffffffffffffe"


def usb(port: int, ids: str, maker: str, product: str, serial: str) -> str:
    vendor_id, product_id = ids.split(":")
    return f"""P: /devices/pci0000:00/usb1/1-{port}
N: bus/usb/001/{port:03d}
E: SUBSYSTEM=usb
E: DEVTYPE=usb_device
A: idVendor={vendor_id}
A: idProduct={product_id}
A: manufacturer={maker}
A: product={product}
A: serial={serial}
"""


def keyboard(port: int, number: int, ids: str, product: str) -> str:
    vendor_id, product_id = ids.split(":")
    base = f"/devices/pci0000:00/usb1/1-{port}/1-{port}:1.0/input/input{number}"
    return f"""P: {base}/event{number}
N: input/event{number}
S: input/by-id/usb-{product.replace(" ", "_")}-event-kbd
E: DEVNAME=/dev/input/event{number}
E: DEVLINKS=/dev/input/by-id/usb-{product.replace(" ", "_")}-event-kbd
E: SUBSYSTEM=input
E: ID_INPUT_KEYBOARD=1
A: dev=13:{64 + number}
L: device=../../input{number}

P: {base}
E: SUBSYSTEM=input
E: PRODUCT=3/{vendor_id}/{product_id}/110
A: name={product}
A: id/bustype=0003
A: id/vendor={vendor_id}
A: id/product={product_id}
A: capabilities/key={KEYS}

{usb(port, ids, "Symbol", product, "S1")}"""


def hidpos(port: int, number: int, ids: str, product: str, serial: str) -> str:
    base = f"/devices/pci0000:00/usb1/1-{port}/1-{port}:1.0/0003:1209:0001.000{port}"
    return f"""P: {base}/hidraw/hidraw{number}
N: hidraw{number}
E: DEVNAME=/dev/hidraw{number}
E: SUBSYSTEM=hidraw
A: dev=244:{number}
L: device=../../../0003:1209:0001.000{port}

P: {base}
E: SUBSYSTEM=hid
H: report_descriptor={HIDPOS_DESCRIPTOR.hex().upper()}

{usb(port, ids, "Honeywell", product, serial)}"""


def acm(port: int, number: int, ids: str, product: str, serial: str) -> str:
    return f"""P: /devices/pci0000:00/usb1/1-{port}/1-{port}:1.0/tty/ttyACM{number}
N: ttyACM{number}
S: serial/by-id/usb-{serial}-if00
E: DEVNAME=/dev/ttyACM{number}
E: DEVLINKS=/dev/serial/by-id/usb-{serial}-if00
E: SUBSYSTEM=tty
A: dev=166:{number}
L: device=../../../1-{port}:1.0

P: /devices/pci0000:00/usb1/1-{port}/1-{port}:1.0
E: SUBSYSTEM=usb
E: DEVTYPE=usb_interface
A: bInterfaceClass=02

{usb(port, ids, "Honeywell", product, serial)}"""


def new_testbed() -> Any:
    sys.path.append("/usr/lib/python3/dist-packages")  # where Debian keeps the bindings of umockdev
    import gi

    gi.require_version("UMockdev", "1.0")
    from gi.repository import UMockdev

    return UMockdev.Testbed.new()


class Story:
    """The testbed, the scanners that were opened, and everything that they told."""

    def __init__(self) -> None:
        self.testbed = new_testbed()
        self.folder = Path(tempfile.mkdtemp())
        self.events: queue.Queue[DeviceEvent] = queue.Queue(1000)

    def file(self, name: str, text: str) -> str:
        path = self.folder / f"{name}-{len(list(self.folder.iterdir()))}"
        path.write_text(text, encoding="latin-1")
        return str(path)

    def type_on(self, path: str, text: str, after_s: float = 0.5, layout: str = "us") -> None:
        """What a scanner types, as an evemu recording; umockdev itself answers the grab."""
        self.testbed.load_ioctl(None, self.file("ioctl", f"@DEV {path}\nEVIOCGBIT(0) 4 13001200\n"))
        lines, at_s = [], after_s
        for _s, _us, kind, code, value in INPUT_EVENT.iter_unpack(keys_for(text, layout)):
            at_s += 0.002 * (kind == EV_SYN)
            lines.append(f"E: {at_s:.6f} {kind:04x} {code:04x} {value:04d}")
        self.testbed.load_evemu_events(path, self.file("events", "\n".join(["# EVEMU 1.2", *lines, ""])))

    def send_on(self, path: str, data: bytes, after_ms: int = 400) -> None:
        """What a port or a HID device sends, as a umockdev script."""
        escaped = "".join(f"^{chr(byte + 64)}" if byte < 32 else "^`" if byte == 94 else chr(byte) for byte in data)
        self.testbed.load_script(path, self.file("script", f"r {after_ms} {escaped}\n"))

    def open(self, address: str, name: str = "gun", **options: object):
        return open_scanner(name, address, options, on_event=self.events.put_nowait)

    def until(self, scans: int, timeout_s: float = 60.0) -> None:
        """Prints what happens until so many codes were read."""
        deadline_s = time.monotonic() + timeout_s
        while scans and time.monotonic() < deadline_s:
            try:
                event = self.events.get(timeout=0.1)
            except queue.Empty:
                continue
            if isinstance(event, DataEvent):
                scans -= 1
                say(scan=event.scan.raw.decode("latin-1"), symbology=event.scan.symbology, device=event.scan.device)
            elif isinstance(event, StatusUpdateEvent):
                say(state=event.state.name, reason=event.state.reason, device=event.device)
            elif isinstance(event, ErrorEvent):
                say(error=event.reason)


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def typing(story: Story) -> None:
    story.testbed.add_from_string(keyboard(2, 7, "05e0:1200", "Symbol Bar Code Scanner"))
    story.type_on("/dev/input/event7", "4006381333931\r]C10106901234567892\r")
    say(found=[[node.kind, node.address, node.model_id] for node in look()])
    story.open("auto")
    story.until(2)


def typing_german(story: Story) -> None:
    story.testbed.add_from_string(keyboard(2, 7, "05e0:1200", "Symbol Bar Code Scanner"))
    story.type_on("/dev/input/event7", "hQVDUFYwMyz+/=\t", layout="de")
    story.open("evdev:/dev/input/by-id/usb-Symbol_Bar_Code_Scanner-event-kbd", layout="de", suffix="tab")
    story.until(1)


def reports(story: Story) -> None:
    story.testbed.add_from_string(hidpos(4, 0, "1209:0001", "Till Scanner", "H1"))
    report = bytes([2, 13]) + b"]E04006381333931".ljust(59, b"\0") + b"\0\0\0"
    story.send_on("/dev/hidraw0", report)
    say(found=[[node.kind, node.address, node.model_id] for node in look()])
    story.open("usb:1209:0001:H1")
    story.until(1)


def port(story: Story) -> None:
    story.testbed.add_from_string(acm(3, 0, "0c2e:0b6a", "Vuquest 3310", "A1"))
    story.send_on("/dev/ttyACM0", b"]C10106901234567892\r", after_ms=700)
    say(found=[[node.kind, node.address, node.model_id] for node in look()])
    story.open("auto")
    story.until(1)


def two_at_once(story: Story) -> None:
    story.testbed.add_from_string(acm(3, 0, "0c2e:0b6a", "Vuquest 3310", "A1"))
    story.testbed.add_from_string(hidpos(4, 0, "1209:0001", "Till Scanner", "H1"))
    report = bytes([2, 13]) + b"]E09780201379624".ljust(59, b"\0") + b"\0\0\0"
    story.send_on("/dev/ttyACM0", b"4006381333931\r" * 3, after_ms=900)
    story.send_on("/dev/hidraw0", report * 3, after_ms=900)
    story.open("auto", "a")
    story.open("auto", "b")
    story.until(6)


def plugged_later(story: Story) -> None:
    """Nothing is there; then a scanner is plugged in, and is used at once: udev says so."""
    scanner = story.open("auto")
    hotplug = Hotplug(lambda change: (say(added=[n.address for n in change.added]), scanner.try_now()), use_udev=True)
    say(told_by_udev=hotplug.is_told_by_udev)
    time.sleep(2.2)  # the next attempt of its own would be two seconds away
    story.testbed.add_from_string(acm(3, 0, "0c2e:0b6a", "Vuquest 3310", "A1"))
    story.send_on("/dev/ttyACM0", b"4006381333931\r", after_ms=900)
    path = "/devices/pci0000:00/usb1/1-3/1-3:1.0/tty/ttyACM0"
    plugged_s = time.monotonic()
    story.testbed.uevent("/sys" + path, "add")
    while scanner.state.name != "enabled" and time.monotonic() < plugged_s + 3:
        time.sleep(0.005)
    say(used_after_ms=round((time.monotonic() - plugged_s) * 1000))
    story.until(1)
    hotplug.close()


STORIES = {story.__name__: story for story in (typing, typing_german, reports, port, two_at_once, plugged_later)}

if __name__ == "__main__":
    STORIES[sys.argv[1]](Story())
    sys.stdout.flush()
    os._exit(0)  # umockdev's threads do not end by themselves
