"""`counterfoil print test`: a test slip on paper, through whoever has the printer, and no sale."""

import pytest

from tests.cli.lane_on_disk import Command, LaneOnDisk


def slips(lane: LaneOnDisk) -> list[str]:
    return [path.read_text() for path in sorted((lane.root / "slips").glob("*.txt"))]


def test_a_test_slip_is_printed_here_while_the_agent_is_stopped(lane: LaneOnDisk, counterfoil: Command) -> None:
    said = counterfoil("print", "test")
    assert (said.code, said.out) == (
        0,
        "The printer confirms the test slip. (Printed by this command; the agent is stopped.)\n",
    )
    (slip,) = slips(lane)
    assert "This is not a sale. 非交易凭证" in slip
    assert "[QR: COUNTERFOIL TEST]" in slip and "[BARCODE: COUNTERFOIL]" in slip


def test_the_running_agent_prints_it_and_journals_nothing(lane: LaneOnDisk, counterfoil: Command) -> None:
    with lane.running() as client:
        before = client.get("/v1/status")["journal"]["number"]
        said = counterfoil("print", "test", "--json")
        after = client.get("/v1/status")
    assert said.json["rung"] == "confirmed"
    assert len(slips(lane)) == 1
    assert (after["journal"]["number"], after["print_jobs_waiting"]) == (before, 0)


def test_a_printer_that_is_off_is_exit_code_4_with_what_to_do(lane: LaneOnDisk, counterfoil: Command) -> None:
    lane.printer.close()
    said = counterfoil("print", "test")
    assert said.code == 4
    assert said.out.startswith("Nothing was printed.")
    assert "do:  Nothing answers at the device's address; check power, cable and address." in said.out


@pytest.mark.parametrize("verb", [("print", "test"), ("status",)], ids=" ".join)
def test_whoever_types_reads_one_language_whatever_the_counter_speaks(
    verb: tuple[str, ...], lane: LaneOnDisk, counterfoil: Command
) -> None:
    lane.configure(language='"zh-CN"')
    lane.printer.close()
    with lane.running():
        said = counterfoil(*verb)
    assert "Nothing answers at the device's address; check power, cable and address." in said.out
    assert "设备" not in said.out


def test_status_says_how_the_printer_is_what_waits_and_what_was_printed(lane: LaneOnDisk, counterfoil: Command) -> None:
    stopped = counterfoil("print", "status")
    with lane.running():
        counterfoil("print", "test")
        running = counterfoil("print", "status")
        lane.printer.paper_out()
        out = counterfoil("print", "status")
    assert (stopped.code, running.code, out.code) == (0, 0, 4)
    assert stopped.out == f"{lane.printer.address}: works\n  The printer says that it is ready.\n"
    assert "  slips that wait: 0\n" in running.out
    assert "  job confirmed: 1\n" in running.out
    assert out.out.startswith(f"{lane.printer.address}: paper out\n  Put in a new paper roll.\n")


def test_a_lane_without_a_printer_says_so(lane: LaneOnDisk, counterfoil: Command) -> None:
    lane.configure(printer='""')
    stopped = counterfoil("print", "test")
    with lane.running():
        running = counterfoil("print", "test")
    assert (stopped.code, running.code) == (1, 1)
    assert "No printer is configured" in stopped.err
    assert "This lane has no printer." in running.err


def test_a_computer_that_is_no_lane_prints_a_test_at_an_address(lane: LaneOnDisk, counterfoil: Command) -> None:
    lane.config = lane.root / "none.toml"
    said = counterfoil("print", "test", "--address", lane.printer.address, "--option", "profile=generic-58")
    assert (said.code, said.out) == (0, "The printer confirms the test slip. (Printed by this command.)\n")
    assert "-" * 33 not in slips(lane)[0], "58 mm"
    refused = counterfoil("print", "test", "--address", lane.printer.address, "--option", "profile=generic-85")
    assert refused.code == 1 and "generic-80" in refused.err
