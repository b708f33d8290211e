"""The exceptions of this package, drawn as one tree. Rule: no other exception type leaves a public function of drivers.

DriverError
├── AddressError     the text names no device that could exist
├── OptionError      a device option is unknown or out of range
├── DocumentError    a document cannot be stored, restored or laid out
├── UnprintableError the printer's character sets cannot show this text
├── FontError        no font is installed to draw a picture in
├── RecordingError   a file is no recording of a device
├── LifeCycleError   a device was used before it was opened, claimed and enabled
└── TransportError   the line to the device failed; `reason` is a key of `drivers.remedies.REMEDIES`
"""

from __future__ import annotations


class DriverError(Exception):
    """Base of everything this package raises."""


class AddressError(DriverError):
    """The address has no scheme that the registry knows, or its target is malformed."""


class OptionError(DriverError):
    """An option of a device is unknown, of the wrong type or out of its range."""


class DocumentError(DriverError):
    """A document holds something that no printer could be asked to print."""


class UnprintableError(DriverError):
    """The text needs characters that the printer of this profile does not have."""


class FontError(DriverError):
    """No font is installed that has the characters to draw."""


class RecordingError(DriverError):
    """The file holds no recording of a device, or one of a format that is not known."""


class LifeCycleError(DriverError):
    """The device is not in the state that the call needs."""


class TransportError(DriverError):
    """The line to the device failed.

    `reason` is an id from `drivers.remedies`. `sent_max` is the greatest number of bytes of the failed write that can
    have left this machine: 0 proves that the device has seen nothing of it.
    """

    def __init__(self, reason: str, detail: str = "", sent_max: int = 0) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.sent_max = sent_max
