"""What becomes of a slip: each fault of a printer on the wire, and the rung that the outcome names."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.device import ErrorEvent, StatusUpdateEvent
from drivers.document import COPY_BANNER, TRAINING_BANNER, Document, Pair, Text, to_text
from drivers.errors import FontError, LifeCycleError
from drivers.printers.outcome import PrintOutcome
from drivers.printers.pos_printer import POSPrinter
from drivers.printers.profiles import PROFILES
from drivers.transports.file import FileTransport
from drivers.virtual.printer import VirtualPrinter
from tests.drivers.conftest import HASTE, Events, PrinterFactory
from tests.drivers.printers.scripted import ScriptedPrinter

SLIP = Document((Text("便利店", "center"), *(Pair(f"第 {n} 期", "¥100.00") for n in range(1, 13))), "zh-CN")
TEXT = to_text(SLIP, 48).strip("\n")


def summary(outcome: PrintOutcome) -> tuple[str, str]:
    return outcome.rung, outcome.reason


Fault = Callable[[VirtualPrinter], None]
# The fault at work when the job arrives; the profile; the outcome; pieces of paper that came out.
TABLE: dict[str, tuple[Fault, str, tuple[str, str], int]] = {
    "nothing wrong, echoes ids": (lambda p: None, "epson-tm-t88v-zh", ("confirmed", ""), 1),
    "nothing wrong, answers behind the job": (lambda p: None, "generic-80", ("confirmed", ""), 1),
    "nothing wrong, answers only in real time": (lambda p: None, "clone-80", ("sent_unconfirmed", "not_confirmed"), 1),
    "nothing wrong, no return channel": (VirtualPrinter.mute, "generic-80-mute",
                                         ("sent_unconfirmed", "no_return_channel"), 1),
    "paper near its end": (VirtualPrinter.paper_near_end, "generic-80", ("confirmed", ""), 1),
    "paper out": (VirtualPrinter.paper_out, "generic-80", ("not_started", "paper_out"), 0),
    "cover open": (VirtualPrinter.cover_open, "generic-80", ("not_started", "cover_open"), 0),
    "cutter stuck": (VirtualPrinter.cutter_error, "generic-80", ("not_started", "cutter_error"), 0),
    "off line": (VirtualPrinter.off_line, "generic-80", ("not_started", "offline"), 0),
    "unplugged": (VirtualPrinter.unplug, "generic-80", ("not_started", "unreachable"), 0),
    "silent though it should answer": (VirtualPrinter.mute, "generic-80", ("not_started", "silent"), 0),
    "vanishes in mid-slip": (lambda p: p.vanish_after(200), "generic-80", ("doubtful", "lost"), 1),
    "vanishes in mid-slip, mute": (lambda p: p.vanish_after(200), "generic-80-mute", ("doubtful", "lost"), 1),
    "paper ends in mid-slip": (lambda p: p.paper_out(after_bytes=200), "generic-80", ("doubtful", "paper_out"), 0),
    "cutter jams in mid-slip": (lambda p: p.cutter_error(after_bytes=200), "generic-80",
                                ("doubtful", "cutter_error"), 0),
    "cutter jams in mid-slip, clone": (lambda p: p.cutter_error(after_bytes=200), "clone-80",
                                       ("doubtful", "cutter_error"), 0),
    "cover opened in mid-slip": (lambda p: p.cover_open(after_bytes=200), "generic-80", ("doubtful", "cover_open"), 0),
    "paper ends in mid-slip, clone": (lambda p: p.paper_out(after_bytes=200), "clone-80",
                                      ("doubtful", "paper_out"), 0),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_outcome_of_each_fault(case: str, paper: VirtualPrinter, printer_at: PrinterFactory) -> None:
    fault, profile, expected, pieces = TABLE[case]
    printer = printer_at(paper.address, profile)
    fault(paper)
    outcome = printer.print_document("job-1", SLIP, copy=False)
    assert summary(outcome) == expected
    assert paper.wait_for_slips(pieces, 15.0)
    assert len(paper.slips) == pieces
    assert [slip.text for slip in paper.slips if slip.complete] == [TEXT] * (expected[0] != "doubtful" and pieces)
    assert bool(outcome.remedy) is bool(outcome.remedy_in("zh-CN")) is (expected[0] != "confirmed")
    assert ("before you print again" in outcome.remedy) is (expected[0] == "doubtful")


@pytest.mark.parametrize("case", [case for case, (_, _, (rung, _), _) in TABLE.items() if rung != "sent_unconfirmed"])
def test_after_the_fault_the_next_job_prints_without_a_restart(
    case: str, paper: VirtualPrinter, printer_at: PrinterFactory
) -> None:
    fault, profile, _, _ = TABLE[case]
    printer = printer_at(paper.address, profile)
    fault(paper)
    printer.print_document("job-1", SLIP, copy=False)
    paper.release()
    again = printer.print_document("job-2", SLIP, copy=True)
    assert again.rung in ("confirmed", "sent_unconfirmed")
    assert printer.state.name == "enabled"
    assert paper.wait_for_slips(1, 15.0)
    assert COPY_BANNER in paper.slips[-1].text


def test_the_proof_is_the_echo_of_this_jobs_id_where_the_model_has_one(
    paper: VirtualPrinter, printer_at: PrinterFactory
) -> None:
    assert printer_at(paper.address, "epson-tm-t88v-zh").print_document("a", SLIP, copy=False).evidence == "process_id"
    assert printer_at(paper.address, "generic-80").print_document("a", SLIP, copy=False).evidence == "barrier"


def test_a_model_that_does_not_echo_after_all_is_confirmed_by_the_next_rung(
    tmp_path: Path, printer_at: PrinterFactory
) -> None:
    paper = VirtualPrinter(tmp_path, echoes_process_id=False)
    outcome = printer_at(paper.address, "epson-tm-t88v-zh").print_document("a", SLIP, copy=False)
    paper.close()
    assert (outcome.rung, outcome.evidence) == ("confirmed", "barrier")


def test_a_clone_under_too_good_a_profile_is_never_called_confirmed(tmp_path: Path, printer_at: PrinterFactory) -> None:
    paper = VirtualPrinter(tmp_path, answers_paper_query=False)
    outcome = printer_at(paper.address, "generic-80").print_document("a", SLIP, copy=False)
    paper.close()
    assert summary(outcome) == ("sent_unconfirmed", "not_confirmed")


def test_a_late_answer_to_an_earlier_job_does_not_confirm_this_one(printer_at: PrinterFactory) -> None:
    """The printer still owes two answers to GS r, which come one by one; it never answers for the new job."""
    stale = ScriptedPrinter(answer_paper_query=lambda count: b"\x00\x00\x00" if count == 1 else b"")
    patience = replace(HASTE, quiet_s=0.1, confirm_s=0.2)
    outcome = printer_at(stale.address, "generic-80", patience).print_document("a", SLIP, copy=False)
    stale.close()
    assert summary(outcome) == ("sent_unconfirmed", "not_confirmed")


def test_an_answer_from_a_printer_that_left_the_first_question_open_proves_nothing(printer_at: PrinterFactory) -> None:
    slow = ScriptedPrinter(answer_paper_query=lambda count: b"\x00" if count == 2 else b"")
    patience = replace(HASTE, answer_s=0.1, confirm_s=0.2)
    outcome = printer_at(slow.address, "generic-80", patience).print_document("a", SLIP, copy=False)
    slow.close()
    assert summary(outcome) == ("sent_unconfirmed", "not_confirmed")


def test_the_echo_of_another_jobs_id_proves_nothing(printer_at: PrinterFactory) -> None:
    other = ScriptedPrinter(answer_paper_query=lambda count: b"\x37\x22ABCD\x00" if count == 2 else b"")
    patience = replace(HASTE, answer_s=0.1, confirm_s=0.2)
    outcome = printer_at(other.address, "epson-tm-t88v-zh", patience).print_document("a", SLIP, copy=False)
    other.close()
    assert summary(outcome) == ("sent_unconfirmed", "not_confirmed")


def test_the_cashier_hears_of_paper_that_ended_long_before_patience_ends(
    paper: VirtualPrinter, printer_at: PrinterFactory
) -> None:
    printer = printer_at(paper.address, "generic-80", replace(HASTE, confirm_s=120))
    paper.paper_out(after_bytes=200)
    assert summary(printer.print_document("a", SLIP, copy=False)) == ("doubtful", "paper_out")


def test_paper_that_ended_in_mid_slip_leaves_two_slips_of_which_the_second_says_copy(
    paper: VirtualPrinter, printer_at: PrinterFactory
) -> None:
    printer = printer_at(paper.address)
    paper.paper_out(after_bytes=200)
    assert printer.print_document("job-1", SLIP, copy=False).rung == "doubtful"
    paper.release()  # a new roll: the printer finishes what it had kept
    assert paper.wait_for_slips(1, 15.0)
    assert printer.print_document("job-1", SLIP, copy=True).rung == "confirmed"
    assert [COPY_BANNER in slip.text for slip in paper.slips] == [False, True]
    assert paper.slips[0].text == TEXT


def test_a_printer_that_stops_taking_data_ends_the_job_in_bounded_time(printer_at: PrinterFactory) -> None:
    stuck = ScriptedPrinter(reads=False)
    printer = printer_at(stuck.address, "generic-80-mute")
    long_slip = Document((Text("x" * 1000),) * 300)
    outcome = printer.print_document("a", long_slip, copy=False)
    stuck.close()
    assert summary(outcome) == ("doubtful", "stalled")


def test_nothing_sent_is_not_started_even_when_the_line_breaks_at_the_first_byte(events: Events) -> None:
    printer = POSPrinter("front", FileTransport("/dev/full"), PROFILES["generic-80-mute"], patience=HASTE)
    printer.open()
    printer.claim()
    printer.enable()
    assert summary(printer.print_document("a", SLIP, copy=False)) == ("not_started", "paper_out")


def test_a_plain_file_keeps_slips_one_behind_the_other(tmp_path: Path) -> None:
    printer = POSPrinter("front", FileTransport(str(tmp_path / "out")), PROFILES["generic-80-mute"], patience=HASTE)
    printer.open()
    printer.claim()
    printer.enable()
    for _ in range(2):
        assert printer.print_document("a", SLIP, copy=False).rung == "sent_unconfirmed"
    assert (tmp_path / "out").read_bytes().count(b"\x1dV\x00") == 2
    assert (tmp_path / "out").stat().st_mode & 0o077 == 0


def test_a_slip_that_the_model_has_no_characters_for_is_drawn_and_without_a_font_does_not_start(
    paper: VirtualPrinter, printer_at: PrinterFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    printer = printer_at(paper.address, "epson-tm-t20ii")
    assert printer.print_document("a", SLIP, copy=False).rung == "confirmed"

    def no_font(*_: object) -> None:
        raise FontError("none")

    monkeypatch.setattr("drivers.rendering.picture.bitmap", no_font)
    assert summary(printer.print_document("b", SLIP, copy=False)) == ("not_started", "unprintable")
    assert printer.state.name == "enabled"
    assert printer.print_document("c", Document((Text("plain"),)), copy=False).rung == "confirmed"


def test_a_printer_is_used_only_between_enable_and_close(paper: VirtualPrinter, printer_at: PrinterFactory) -> None:
    printer = printer_at(paper.address)
    printer.close()
    with pytest.raises(LifeCycleError):
        printer.print_document("a", SLIP, copy=False)
    with pytest.raises(LifeCycleError):
        printer.enable()
    assert printer.check_health("external").text == "The printer is closed."


def test_a_printer_that_is_not_there_at_start_is_failed_and_works_when_it_comes(
    paper: VirtualPrinter, printer_at: PrinterFactory, events: Events
) -> None:
    paper.unplug()
    printer = printer_at(paper.address)
    assert (printer.state.name, printer.state.reason) == ("failed", "unreachable")
    assert not printer.check_health().good
    paper.release()
    assert printer.check_health().good
    states = [e.state.name for e in events.drain() if isinstance(e, StatusUpdateEvent)]
    assert states == ["failed", "enabled"]


def test_conditions_are_told_once_each_and_failed_slips_each_time(
    paper: VirtualPrinter, printer_at: PrinterFactory, events: Events
) -> None:
    printer = printer_at(paper.address)
    paper.paper_near_end()
    printer.read_status()
    printer.read_status()
    paper.cover_open()
    printer.print_document("a", SLIP, copy=False)
    printer.print_document("a", SLIP, copy=False)
    paper.release()
    printer.read_status()
    told = [e.conditions for e in events.drain() if isinstance(e, StatusUpdateEvent)]
    assert told == [("paper_near_end",), ("cover_open",), ()]
    assert [e.reason for e in events.seen if isinstance(e, ErrorEvent)] == ["cover_open", "cover_open"]


def test_statistics_count_what_a_field_engineer_asks_for(paper: VirtualPrinter, printer_at: PrinterFactory) -> None:
    printer = printer_at(paper.address)
    printer.print_document("a", SLIP, copy=False)
    paper.vanish_after(100)
    printer.print_document("b", SLIP, copy=False)
    counts = printer.statistics.snapshot()
    assert counts["job_confirmed_count"] == counts["job_doubtful_count"] == counts["paper_cut_count"] == 1
    assert counts["receipt_line_printed_count"] == len(SLIP.blocks)
    assert counts["communication_error_count"] == 1


def test_jobs_of_several_threads_come_out_whole_and_one_after_the_other(
    paper: VirtualPrinter, printer_at: PrinterFactory
) -> None:
    printer = printer_at(paper.address)
    threads = [
        threading.Thread(target=printer.print_document, args=(str(n), SLIP), kwargs={"copy": False}) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [slip.text for slip in paper.slips] == [TEXT] * 4


def test_an_interactive_health_check_prints_a_line_to_look_at(
    paper: VirtualPrinter, printer_at: PrinterFactory
) -> None:
    assert printer_at(paper.address).check_health("interactive").good
    assert paper.slips[0].text == "front: OK 正常"


def test_automatic_status_in_between_does_not_disturb_a_job(printer_at: PrinterFactory) -> None:
    chatty = ScriptedPrinter(before_each_answer=b"\x10\x00\x00\x00", answer_paper_query=lambda count: b"\x00")
    outcome = printer_at(chatty.address, "generic-80").print_document("a", SLIP, copy=False)
    chatty.close()
    assert summary(outcome) == ("confirmed", "")


def test_patience_bounds_a_job_that_is_never_confirmed(printer_at: PrinterFactory) -> None:
    never = ScriptedPrinter(answer_paper_query=lambda count: b"\x00" if count == 1 else b"")
    patience = replace(HASTE, confirm_s=0.2)
    outcome = printer_at(never.address, "generic-80", patience).print_document("a", SLIP, copy=False)
    never.close()
    assert summary(outcome) == ("sent_unconfirmed", "not_confirmed")


@pytest.mark.parametrize("copy", [False, True])
def test_whatever_the_printer_of_a_training_counter_prints_says_so(
    copy: bool, paper: VirtualPrinter, printer_at: PrinterFactory
) -> None:
    printer = printer_at(paper.address, "generic-80")
    printer.is_training = True
    assert printer.print_document("job-1", SLIP, copy=copy).rung == "confirmed"
    assert printer.check_health("interactive").reason == ""
    assert paper.wait_for_slips(2, 15.0)
    assert [slip.text.count(TRAINING_BANNER) for slip in paper.slips] == [2, 2]
    assert (COPY_BANNER in paper.slips[0].text) is copy
