"""`counterfoil scan`: every byte while the agent is stopped; while it runs, no credential leaves it."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.cli.lane_on_disk import Command, LaneOnDisk, Said
from tests.core.passes import CODE

EAN = b"6901234567892"


def scanning(lane: LaneOnDisk, command: Callable[[], Said], code: bytes) -> Said:
    """The command, while somebody scans the code until it is read."""
    done = threading.Event()

    def person() -> None:
        while not done.wait(0.3):
            with suppress(TimeoutError):  # nobody listens yet, and the line is full
                lane.scanner.scan(code)

    thread = threading.Thread(target=person)
    thread.start()
    try:
        return command()
    finally:
        done.set()
        thread.join()


def scanned(lane: LaneOnDisk, counterfoil: Command, code: bytes) -> dict[str, Any]:
    said = scanning(lane, lambda: counterfoil("scan", "--json", "--wait", "60"), code)
    assert said.code == 0
    record: dict[str, Any] = json.loads(said.out)
    return record


def test_bytes_symbology_and_kind_are_shown_while_the_agent_is_stopped(lane: LaneOnDisk, counterfoil: Command) -> None:
    record = scanned(lane, counterfoil, b"]E0" + EAN)
    assert record == {
        "kind": "item",
        "device": "counter",
        "symbology": "]E0",
        "bytes": 13,
        "hex": EAN.hex(),
        "text": EAN.decode(),
    }


def test_a_scanner_that_cannot_read_is_named_before_anybody_scans(lane: LaneOnDisk, counterfoil: Command) -> None:
    lane.scanner.unplug()
    with lane.running():
        said = counterfoil("scan", "--wait", "0")
    assert "counter: Nothing answers at the device's address" in said.err + said.out


def test_a_pass_is_explained_and_called_unverified(lane: LaneOnDisk, counterfoil: Command) -> None:
    said = scanning(lane, lambda: counterfoil("scan", "--wait", "60"), CODE.encode())
    assert "A credit pass from counter." in said.out
    assert "Nothing below is verified" in said.out
    assert "The lender is" in said.out


def test_a_torn_pass_says_why_it_is_none(lane: LaneOnDisk, counterfoil: Command) -> None:
    record = scanned(lane, counterfoil, CODE.encode()[:200])
    assert record["kind"] == "credit_pass"
    (sentence,) = record["pass"]
    assert sentence.startswith("Refused, ")


def test_bytes_that_are_no_text_are_shown_as_bytes(lane: LaneOnDisk, counterfoil: Command) -> None:
    assert scanned(lane, counterfoil, b"\xff\xfe\x80\x81")["hex"] == "fffe8081"


def test_a_running_agent_tells_an_item_code_but_never_a_credential(lane: LaneOnDisk, counterfoil: Command) -> None:
    with lane.running():
        item = scanned(lane, counterfoil, EAN)
        credential = scanning(lane, lambda: counterfoil("scan", "--json", "--wait", "60"), CODE.encode())
    assert (item["kind"], item["value"]) == ("item", EAN.decode())
    assert json.loads(credential.out) == {"kind": "credit_pass", "device": "counter", "value": None}
    assert CODE not in credential.out


def test_a_scan_that_pays_a_waiting_sale_is_called_so(lane: LaneOnDisk, counterfoil: Command) -> None:
    with lane.running() as client:
        client.post("/v1/sales", {"sale_id": "sale-0001", "amount": {"minor": 100, "currency": "CNY"}})
        said = scanning(lane, lambda: counterfoil("scan", "--wait", "60"), CODE.encode())
    assert "It was taken as the payment of sale sale-0001, which waited for a code." in said.out


def test_silence_ends_with_exit_code_4_and_a_scanner_that_is_not_there_is_named(
    lane: LaneOnDisk, counterfoil: Command
) -> None:
    lane.scanner.unplug()
    said = counterfoil("scan", "--wait", "0.2")
    assert said.code == 4
    assert "counter: Nothing answers at the device's address" in said.out
    assert "Nothing was read" in said.out


def test_a_lane_without_a_scanner_says_so(lane: LaneOnDisk, counterfoil: Command) -> None:
    lane.config.write_text(lane.config.read_text().split("[scanner.counter]")[0])
    said = counterfoil("scan")
    assert (said.code, "No scanner is configured" in said.err) == (1, True)


def test_a_computer_that_is_no_lane_reads_a_scanner_by_its_address(lane: LaneOnDisk, counterfoil: Command) -> None:
    at, lane.config = f"serial:{lane.scanner.path}", lane.root / "none.toml"
    words = ("scan", "--json", "--wait", "10", "--address", at, "--option", "aim_prefix=false")
    record = json.loads(scanning(lane, lambda: counterfoil(*words), b"]E0" + EAN).out)
    assert (record["text"], record["symbology"]) == ("]E0" + EAN.decode(), None)
    refused = counterfoil("scan", "--address", at, "--option", "suffix=comma")
    assert refused.code == 1 and "suffix" in refused.err
