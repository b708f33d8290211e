"""The doctor: a healthy lane is called healthy; each fault is named first, with its cause and what to do."""

import json
import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from agent.diagnosis import machine
from agent.diagnosis.case import Case
from agent.diagnosis.checks import CHECKS
from agent.diagnosis.examination import Check, Finding, examine, exit_code, failed, ok, warning
from agent.store.ledger import SqliteLedger
from agent.store.reserve import LOW_BYTES, Reserve
from agent.uplink.identity import CERTIFICATE_FILE, REQUEST_FILE, TLS_KEY_FILE
from tests.cli.lane_on_disk import DAY_S, NOW_S, OTHER_AUTHORITY, Backend, Command, LaneOnDisk

STOPPED = {"agent"}
"""What a doctor finds wrong with a healthy lane whose agent is stopped."""


def examined(counterfoil: Command) -> dict[str, dict[str, Any]]:
    """The worst finding of each check."""
    order = ("ok", "skipped", "warning", "failed")
    worst: dict[str, dict[str, Any]] = {}
    for row in counterfoil("doctor", "--json").json["checks"]:
        known = worst.setdefault(row["check"], row)
        worst[row["check"]] = max(known, row, key=lambda found: order.index(found["status"]))
    return worst


def wrong(found: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, row in found.items() if row["status"] in ("failed", "warning")}


# -- the order of the checks ----------------------------------------------------------------------------------------


def test_a_check_needs_only_checks_above_it_and_names_are_unique() -> None:
    above: set[str] = set()
    for check in CHECKS:
        assert set(check.needs) <= above
        assert check.name not in above
        above.add(check.name)
    assert len(above) >= 15


def test_what_needs_a_failed_check_is_skipped_and_names_the_first_cause() -> None:
    checks = (
        Check("a", "first", lambda _: [failed("no", "cause", "remedy")]),
        Check("b", "second", lambda _: [ok("never made")], ("a",)),
        Check("c", "third", lambda _: [ok("never made")], ("b",)),
        Check("d", "fourth", lambda _: [warning("well", "cause", "remedy")]),
        Check("e", "fifth", lambda _: [ok("made")], ("d",)),
    )
    results = list(examine(checks, Case(Path("/none"))))
    assert [r.finding.status for r in results] == ["failed", "skipped", "skipped", "warning", "ok"]
    assert {r.finding.said for r in results if r.finding.status == "skipped"} == {"because of: first"}


def test_a_check_that_breaks_is_a_finding_and_the_others_are_made() -> None:
    def breaks(_: Case) -> list[Finding]:
        raise ZeroDivisionError("oh")

    checks = (Check("a", "first", breaks), Check("b", "second", lambda _: [ok("made")]))
    first, second = examine(checks, Case(Path("/none")))
    assert (first.finding.status, second.finding.status) == ("failed", "ok")
    assert "ZeroDivisionError" in first.finding.cause


@pytest.mark.parametrize(
    ("findings", "code"),
    [([ok("a")], 0), ([ok("a"), warning("b", "c", "d")], 3), ([warning("b", "c", "d"), failed("e", "f", "g")], 4)],
)
def test_the_exit_code_is_that_of_the_worst(findings: list[Finding], code: int) -> None:
    assert exit_code(examine((Check("a", "first", lambda _: findings),), Case(Path("/none")))) == code


# -- a lane in order --------------------------------------------------------------------------------------------------


def test_a_stopped_lane_in_order_is_examined_on_its_files_and_only_the_agent_is_wrong(
    lane: LaneOnDisk, counterfoil: Command
) -> None:
    before = {path: path.stat().st_mtime_ns for path in lane.identity.iterdir()}
    found = examined(counterfoil)
    assert wrong(found) == STOPPED, found
    assert "opened here" in found["ledger"]["said"]
    assert found["signed_time"]["said"].endswith("clock is right")
    assert {path: path.stat().st_mtime_ns for path in lane.identity.iterdir()} == before


def test_a_running_lane_is_asked_and_everything_but_the_missing_uplink_is_in_order(
    lane: LaneOnDisk, counterfoil: Command
) -> None:
    with lane.running():
        found = examined(counterfoil)
        text = counterfoil("doctor")
    assert wrong(found) == {"uplink"}, found
    assert found["journal"]["said"].endswith("checked by the agent")
    assert text.code == 4
    assert all(len(line) <= 79 for line in text.out.splitlines() if str(lane.root) not in line)
    assert "Begin with: uplink. systemctl restart counterfoil-uplink" in " ".join(text.out.split())


def test_only_faults_are_shown_when_asked_so(counterfoil: Command) -> None:
    lines = counterfoil("doctor", "--faults").out.splitlines()
    assert [line for line in lines if line.startswith("ok")] == []
    assert any(line.startswith("FAILED  agent") for line in lines)


# -- a lane out of order ----------------------------------------------------------------------------------------------


def no_config(lane: LaneOnDisk) -> None:
    lane.config.write_text("[lane]\ncurency = 'CNY'\n")


def state_dir_gone(lane: LaneOnDisk) -> None:
    lane.state.rename(lane.root / "elsewhere")


def file_of_another_user(lane: LaneOnDisk) -> None:
    os.chown(lane.state / "ledger.db", 12345, -1)


def disk_full(lane: LaneOnDisk) -> None:
    lane.configure(free_space_min_mb="1000000")


def not_enrolled(lane: LaneOnDisk) -> None:
    shutil.rmtree(lane.identity)


def identity_torn(lane: LaneOnDisk) -> None:
    path = lane.identity / "identity.json"
    path.write_bytes(path.read_bytes()[:100])


def key_open(lane: LaneOnDisk) -> None:
    (lane.identity / CERTIFICATE_FILE).chmod(0o644)


def key_damaged(lane: LaneOnDisk) -> None:
    (lane.identity / "journal.key").write_bytes(b"garbage")


def key_of_another_lane(lane: LaneOnDisk) -> None:
    certificate = x509.load_pem_x509_certificate((lane.identity / CERTIFICATE_FILE).read_bytes())
    for name in (TLS_KEY_FILE, REQUEST_FILE):
        (lane.identity / name).unlink()
    lane.enroll()
    other_key = (lane.identity / TLS_KEY_FILE).read_bytes()
    pair = other_key + certificate.public_bytes(serialization.Encoding.PEM)
    (lane.identity / CERTIFICATE_FILE).write_bytes(pair)


def certificate_expired(lane: LaneOnDisk) -> None:
    lane.enroll(at=NOW_S - 1000 * DAY_S)


def certificate_ends_soon(lane: LaneOnDisk) -> None:
    lane.enroll(at=NOW_S - 355 * DAY_S)


def certificate_of_another_backend(lane: LaneOnDisk) -> None:
    lane.enroll(OTHER_AUTHORITY)


def ledger_is_a_directory(lane: LaneOnDisk) -> None:
    (lane.state / "ledger.db").unlink()
    (lane.state / "ledger.db").mkdir()


def ledger_is_garbage(lane: LaneOnDisk) -> None:
    (lane.state / "ledger.db").write_bytes(b"garbage" * 4096)


def ledger_gone(lane: LaneOnDisk) -> None:
    (lane.state / "ledger.db").unlink()


def entry_altered(lane: LaneOnDisk) -> None:
    connection = apsw.Connection(str(lane.state / "ledger.db"))
    (data,) = next(iter(connection.execute("SELECT data FROM journal_entry WHERE number = 2")))
    connection.execute("UPDATE journal_entry SET data = ? WHERE number = 2", (data[:-1] + bytes([data[-1] ^ 1]),))
    connection.close()


def snapshot_flipped(lane: LaneOnDisk) -> None:
    (layer,) = (lane.state / "snapshots").rglob("*.layer")
    data = bytearray(layer.read_bytes())
    data[-40] ^= 1
    layer.write_bytes(bytes(data))


def nothing_installed(lane: LaneOnDisk) -> None:
    (lane.state / "ledger.db").unlink()
    with lane.lane():
        pass


def backend_unknown(lane: LaneOnDisk) -> None:
    lane.configure(url='"https://nowhere.invalid:8443"')


def backend_down(lane: LaneOnDisk) -> None:
    lane.configure(url='"https://localhost:1"')


def backend_named_otherwise(lane: LaneOnDisk) -> None:
    lane.backend.stop()
    lane.backend = Backend(lane.root, lane.lender, ("elsewhere.test",))
    lane.configure()


def backend_is_another(lane: LaneOnDisk) -> None:
    (lane.identity / "ca.crt").write_bytes(OTHER_AUTHORITY.certificate_pem)
    lane.backend.stop()
    lane.backend = Backend(lane.root, lane.lender)
    lane.configure()


def time_forged(lane: LaneOnDisk) -> None:
    lane.backend.lender = type(lane.lender)("somebody")


def clock_ahead(lane: LaneOnDisk) -> None:
    lane.backend.offset_s = -600


def backend_refuses(lane: LaneOnDisk) -> None:
    body = {"type": "urn:counterfoil:problem:lane_revoked", "title": "lane_revoked", "detail": "This lane is revoked."}
    lane.backend.answer = lambda path, _: (403, "application/problem+json", json.dumps(body).encode())


def backend_says_html(lane: LaneOnDisk) -> None:
    lane.backend.answer = lambda path, _: (200, "text/html", b"<html>Please log in to the guest Wi-Fi</html>")


def half_enrolled(lane: LaneOnDisk) -> None:
    for name in ("identity.json", "ca.crt"):
        (lane.identity / name).unlink()


def keys_of_another_user(lane: LaneOnDisk) -> None:
    os.chown(lane.identity / "journal.key", 12345, -1)


def snapshots_gone(lane: LaneOnDisk) -> None:
    shutil.rmtree(lane.state / "snapshots")


def printer_without_paper(lane: LaneOnDisk) -> None:
    lane.printer.paper_out()


def scanner_unplugged(lane: LaneOnDisk) -> None:
    lane.scanner.unplug()


def printer_off(lane: LaneOnDisk) -> None:
    lane.printer.close()


BROKEN: dict[Callable[[LaneOnDisk], None], tuple[str, str, str]] = {
    no_config: ("config", "lane.curency: unknown key; did you mean currency?", "counterfoil config check"),
    state_dir_gone: ("state_dir", "No such file or directory.", "install -d -m 0700 -o counterfoil"),
    file_of_another_user: ("state_dir", "ledger.db belongs to another user", "chown -R"),
    disk_full: ("disk_space", "the lane no longer approves offline", "Delete what is not Counterfoil's"),
    not_enrolled: ("identity", "This lane has no keys and no certificate yet.", "counterfoil enroll"),
    identity_torn: ("identity", "identity.json cannot be used", "counterfoil enroll"),
    key_open: ("keys", "mode is not 0600", "chmod 600"),
    key_damaged: ("keys", "journal.key cannot be used", "Enroll the lane again"),
    key_of_another_lane: ("keys", "of two different enrollments", "Enroll the lane again"),
    certificate_expired: ("certificate", "The backend no longer takes it", "Enroll the lane again"),
    certificate_ends_soon: ("certificate", "ends in", "renews by itself"),
    certificate_of_another_backend: ("certificate", "Another CA has signed it.", "Enroll the lane again"),
    ledger_is_a_directory: ("ledger", "ledger.db", "Check that the state directory"),
    ledger_is_garbage: ("ledger", "file is not a database", "keep the state directory as it is"),
    ledger_gone: ("ledger", "There is no ledger", "call support first"),
    entry_altered: ("journal", "entry 3 does not follow the hash of entry 2", "copy the state directory"),
    snapshot_flipped: ("snapshot", "is refused", "the line to the backend"),
    nothing_installed: ("clock", "no signed time yet", "Bring the line to the backend up"),
    backend_unknown: ("backend_name", "The name server says", "router of the shop"),
    backend_down: ("backend_port", "Nothing listens there", "Ask whether the backend is up"),
    backend_named_otherwise: ("backend_tls", "certificate is for another name", "Correct `backend.url`"),
    backend_is_another: ("certificate", "Another CA has signed it.", "Enroll the lane again"),
    time_forged: ("signed_time", "not signed by the lender", "Tell the backend team at once"),
    clock_ahead: ("signed_time", "offline it must rely on its clock", "timedatectl set-ntp true"),
    backend_refuses: ("signed_time", "This lane is revoked.", "not served"),
    backend_says_html: ("signed_time", "something else than a signed document", "Ask the backend team"),
    half_enrolled: ("identity", "the backend's answer has never arrived", "counterfoil enroll"),
    keys_of_another_user: ("keys", "journal.key belongs to 12345", "chown -R"),
    snapshots_gone: ("snapshot", "nobody is approved offline", "systemctl restart counterfoil-uplink"),
    printer_without_paper: ("printer", "paper out", "Put in a new paper roll. Then: counterfoil devices list"),
    scanner_unplugged: ("scanners", "unreachable", "check power, cable and address"),
    printer_off: ("printer", "unreachable", "check power, cable and address"),
}


@pytest.mark.parametrize("breaks", BROKEN, ids=lambda breaks: breaks.__name__)
def test_the_first_fault_that_is_told_is_the_one_to_mend(
    breaks: Callable[[LaneOnDisk], None], lane: LaneOnDisk, counterfoil: Command
) -> None:
    if breaks in (file_of_another_user, keys_of_another_user) and os.geteuid() != 0:
        pytest.skip("only root may give files away")
    breaks(lane)
    check, cause, remedy = BROKEN[breaks]
    said = counterfoil("doctor", "--json")
    bad = [row for row in said.json["checks"] if row["status"] in ("failed", "warning") and row["check"] != "agent"]
    assert bad[0]["check"] == check, bad
    assert cause in bad[0]["cause"]
    assert remedy in bad[0]["remedy"]
    assert said.code == said.json["exit_code"] == 4  # the agent is stopped


def test_what_is_skipped_is_one_line_for_each_cause_below_what_is_to_be_mended(
    lane: LaneOnDisk, counterfoil: Command
) -> None:
    not_enrolled(lane)
    lines = [line for line in counterfoil("doctor").out.splitlines() if not line.startswith("     ")]
    skipped = [number for number, line in enumerate(lines) if line.startswith("skipped")]
    failed_lines = [number for number, line in enumerate(lines) if line.startswith("FAILED")]
    assert [lines[number].split(":")[1] for number in skipped] == [" identity", " agent"]
    assert max(failed_lines) < min(skipped)


def test_a_ledger_that_somebody_else_holds_is_named_before_the_agent_and_with_how_to_find_out_who(
    lane: LaneOnDisk, counterfoil: Command
) -> None:
    holder = SqliteLedger.open(str(lane.state / "ledger.db"), wal_pages=0)
    found, text = examined(counterfoil)["ledger"], " ".join(counterfoil("doctor").out.split())
    holder.close()
    assert "held by another process" in found["cause"]
    assert "fuser -v" in found["remedy"] and "systemctl restart counterfoil" in found["remedy"]
    assert "Begin with: ledger" in text


def test_a_full_disk_says_what_still_works(
    lane: LaneOnDisk, counterfoil: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reserve, "spare_bytes", lambda _: LOW_BYTES - 1)
    found = examined(counterfoil)["disk_space"]
    assert (found["status"], "captured, reversed and settled" in found["cause"]) == ("failed", True)


@pytest.mark.parametrize("back_s", [2 * DAY_S, NOW_S - 1000], ids=["two days", "1970"])
def test_a_clock_behind_the_records_is_named_with_the_record(
    back_s: int, lane: LaneOnDisk, counterfoil: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane.configure(url='"https://localhost:1"')
    monkeypatch.setattr(time, "time", lambda: float(NOW_S - back_s))
    found = examined(counterfoil)
    assert found["clock"]["status"] == "failed"
    assert "It is behind the" in found["clock"]["cause"]
    assert "timedatectl" in found["clock"]["remedy"]


def test_a_certificate_that_the_backend_does_not_take_is_found_by_the_handshake(
    lane: LaneOnDisk, counterfoil: Command
) -> None:
    """The lane believes in its certificate; the backend that answers now knows another CA for lanes."""
    lane.backend.stop()
    lane.backend = Backend(lane.root, lane.lender, lanes_of=OTHER_AUTHORITY)
    lane.configure()
    found = examined(counterfoil)
    assert found["backend_tls"]["status"] == "failed"
    assert found["backend_tls"]["cause"] == "The backend refuses this lane's certificate."
    assert found["signed_time"]["status"] == "skipped"


def test_an_agent_that_hangs_is_not_waited_for(
    lane: LaneOnDisk, counterfoil: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Case.agent, "__defaults__", (0.2,))
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(lane.run_dir / "agent.sock"))
        mute.listen()
        found = examined(counterfoil)
    assert "timed out" in found["agent"]["cause"]


def test_a_line_that_swallows_everything_is_not_waited_for_and_named(
    lane: LaneOnDisk, counterfoil: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.diagnosis.backend.STEP_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        lane.configure(url=f'"https://localhost:{mute.getsockname()[1]}"')
        found = examined(counterfoil)
    assert found["backend_port"]["status"] == "ok"
    assert found["backend_tls"]["cause"] == "The connection stands, but nobody speaks."


def test_a_key_that_others_may_read_does_not_hide_how_the_line_is(lane: LaneOnDisk, counterfoil: Command) -> None:
    key_open(lane)
    found = examined(counterfoil)
    assert (found["keys"]["status"], found["backend_tls"]["status"], found["signed_time"]["status"]) == (
        "failed", "ok", "ok",
    )  # fmt: skip


# -- the port of HTTP -----------------------------------------------------------------------------------------------


def port_findings(directory: Path, port: int, conditions: list[dict[str, str]]) -> list[tuple[str, str]]:
    path = directory / "agent.toml"
    path.write_text(f'[lane]\nstate_dir = "{directory}"\nrun_dir = "{directory}"\n[local]\nport = {port}\n')
    with Case(path) as case:
        case.__dict__["agent_says"] = {"conditions": conditions}
        return [(finding.status, f"{finding.cause} {finding.remedy}") for finding in machine.http(case)]


def test_a_port_that_another_program_has_is_told_with_how_to_find_it(tmp_path: Path) -> None:
    taken = [{"code": "http_port", "detail": "port 8700: address already in use"}]
    ((status, said),) = port_findings(tmp_path, 8700, taken)
    assert status == "failed" and "Port 8700: address already in use." in said and "ss -ltnp 'sport = :8700'" in said


def test_a_port_that_was_set_after_the_start_needs_a_restart(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        assert port_findings(tmp_path, port, [])[0][0] == "ok"
    ((status, said),) = port_findings(tmp_path, port, [])
    assert status == "failed" and "restart counterfoil" in said
