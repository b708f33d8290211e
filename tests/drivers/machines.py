"""A machine's /sys and /dev with devices plugged in, as folders; what is written here is what Linux 6 shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

HIDPOS_DESCRIPTOR = bytes.fromhex(
    "058c0902a101"  # usage page bar code scanner, usage scanner, application collection
    "0912a1028502"  # usage scanned data report, logical collection, report id 2
    "150026ff007508"  # values 0 to 255 of 8 bits
    "95010501093b8102"  # one byte count (generic desktop)
    "9503058c09fb09fc09fd8102"  # three symbology identifiers
    "953809fe820201"  # 56 bytes of data
    "95020666ff090409008102"  # two bytes of the maker's own
    "750195 01058c09ff8102 95078103"  # data continued, seven bits to fill
    "c0c0".replace(" ", "")
)
KEYBOARD_DESCRIPTOR = bytes.fromhex(
    "05010906a101050719e029e71500250175019508810295017508810195067508150025650507190029658100c0"
)
_KEYS = "10000 7 ff87207ac14057ff febeffdfffefffff fffffffffffffffe"
"""Capabilities of a whole keyboard, as /sys/class/input/event*/device/capabilities/key has them."""


@dataclass
class Machine:
    root: Path
    _count: int = field(default=0)

    def plug(self, kind: str, node: str, ids: str = "", product: str = "", serial: str = "", **more: object) -> None:
        """`kind` is the subsystem: tty, input, hidraw, video4linux, usbmisc; `ids` is vendor:product."""
        self._count += 1
        usb = self.root / f"sys/devices/pci0/usb1/1-{self._count}"
        device = usb / f"1-{self._count}:1.0/{node}-device"
        entry = self.root / "sys/class" / kind / node
        device.mkdir(parents=True)
        entry.mkdir(parents=True)
        (entry / "device").symlink_to(device)
        if ids:
            vendor_id, product_id = ids.split(":")
            files = {"idVendor": vendor_id, "idProduct": product_id, "product": product, "serial": serial}
            for file, text in files.items():
                (usb / file).write_text(text + "\n")
        for file, content in more.items():
            path = device / file.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else str(content).encode())
        folder = self.root / "dev" / {"input": "input", "usbmisc": "usb"}.get(kind, "")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / node).touch()

    def plug_keyboard(self, node: str, ids: str, name: str) -> None:
        self.plug("input", node, ids, name, name=name + "\n", capabilities__key=_KEYS, id__bustype="0003\n")

    def plug_hidpos(
        self, node: str, ids: str, name: str, serial: str = "", descriptor: bytes = HIDPOS_DESCRIPTOR
    ) -> None:
        self.plug("hidraw", node, ids, name, serial, report_descriptor=descriptor)

    def link(self, folder: str, name: str, node: str) -> None:
        """A stable name, as udev makes it."""
        path = self.root / "dev" / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(self.root / "dev" / node)
