"""The story of a lane's day, told while it happens.

The one rule: every line that is printed was seen to be so; a step that does not come true ends the demo with a fault.
"""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.core.money import format_minor
from agent.demo.props import DemoFailed, Line, Phone, Program, ask, command, free_port, wait_for
from agent.demo.report import Report, compare
from agent.errors import AgentNotRunning
from agent.local.client import LocalClient
from drivers.virtual.printer import VirtualPrinter
from drivers.virtual.scanner import VirtualScanner

LANE: Final = "lane-01"
LIMIT_MINOR: Final = 200_000
LEASE_MINOR: Final = 30_000
ONLINE_MINOR: Final = 12_800
OFFLINE_MINOR: Final = 4_950
NIGHT_MINOR: Final = 6_600
STALE_S: Final = 600
SHORT_SCREEN: Final = 76


@dataclass(frozen=True, slots=True)
class Options:
    """``out``: folder for slips, logs, pictures. ``exit``: end with a summary. ``json``: the last line is JSON."""

    out: Path
    exit: bool
    json: bool


@dataclass(slots=True)
class Stage:
    """Everything that runs while the story is told."""

    out: Path
    backend_dir: Path
    config: Path
    client: LocalClient
    backend: Program
    agent: Program
    uplink: Program
    line: Line
    scanner: VirtualScanner
    printer: VirtualPrinter
    phone: Phone
    began: float


def tell(options: Options) -> int:
    """Run the demo. Returns 0 when both halves match, 1 when anything does not."""
    with _staged(options) as stage:
        report = _day(stage)
        report = compare(stage, report)
        _say(stage, _closing_line(report))
        if not options.exit:
            _stay(stage)
    if options.json:
        print(json.dumps(report.to_json(), ensure_ascii=False))
    return 0 if report.matched else 1


def _day(stage: Stage) -> Report:
    report = Report(lane=LANE, limit_minor=LIMIT_MINOR)
    _heading("The line is up")
    first = _sell(stage, "online", ONLINE_MINOR, stage.phone.code(), expect="00", pictured=True)
    _heading("The line is cut")
    stage.line.cut()
    used = stage.phone.code()
    _sell(stage, "offline, inside the lease", OFFLINE_MINOR, used, expect="00")
    _sell(stage, "offline, above the lease", LEASE_MINOR, stage.phone.code(), expect="61")
    _sell(stage, "a code that is ten minutes old", OFFLINE_MINOR, stage.phone.code(age_s=STALE_S), expect="54")
    _sell(stage, "the code of before, shown again", OFFLINE_MINOR, used, expect="94")
    _sell(stage, "a forged code", OFFLINE_MINOR, stage.phone.forged_code(), expect="59")
    _heading("The agent is killed after its commit and before the slip")
    _killed_before_the_slip(stage)
    _heading("The line is back")
    stage.line.restore()
    _drain(stage)
    _heading("The day is closed")
    report.settlement = _settle(stage)
    assert first["mode"] == "online"
    return report


# -- the steps ----------------------------------------------------------------------------------------------------


def _sell(
    stage: Stage, title: str, amount_minor: int, code: str, *, expect: str, pictured: bool = False
) -> dict[str, Any]:
    """One sale as the POS makes it: open it, let the scanner read the code, look at the answer."""
    sale = stage.client.post("/v1/sales", {"amount": {"minor": amount_minor, "currency": "CNY"}})
    text = _through_a_picture(stage, code) if pictured else code
    began = time.monotonic()
    stage.scanner.scan(text.encode(), chunk=16)
    view: dict[str, Any] = stage.client.get(f"/v1/sales/{sale['sale_id']}?wait_s=20")
    elapsed_ms = (time.monotonic() - began) * 1000
    code_shown = view.get("response_code")
    if code_shown != expect:
        raise DemoFailed(f"{title}: the answer is {view.get('state')} {code_shown}, expected {expect}.")
    amount = format_minor(amount_minor, "CNY")
    mode = {"online": "online", "stand_in": "offline"}.get(str(view["mode"]), "")
    _say(stage, f"{title}: {amount} -> {view['state'].upper()} {code_shown} {mode} ({elapsed_ms:.0f} ms from the scan)")
    if view["state"] == "declined":
        _say(stage, f"    the cashier reads: {view['texts']['cashier']} / {view['texts']['next']}")
    return view


def _through_a_picture(stage: Stage, code: str) -> str:
    """Draw the pass as the phone would show it, and read the picture as a camera would."""
    import segno
    import zxingcpp
    from PIL import Image

    picture = stage.out / "pass.png"
    drawn = segno.make(code, error="m", boost_error=False, micro=False)
    drawn.save(str(picture), scale=6, border=4)
    screen = io.StringIO()
    drawn.terminal(out=screen, compact=True, border=2)
    print(screen.getvalue())
    with Image.open(picture) as image:
        found = zxingcpp.read_barcodes(image.convert("L"))
    if not found or found[0].text != code:
        raise DemoFailed("The picture of the pass does not read back as the pass.")
    _say(stage, f"the phone shows the pass: QR version {drawn.designator}, {len(code)} characters, read from {picture}")
    return found[0].text


def _killed_before_the_slip(stage: Stage) -> None:
    wait_for("the slips of before are printed", lambda: _status(stage).get("print_jobs_waiting") == 0, 20)
    stage.printer.hold()
    view = _sell(stage, "offline, the printer's cover is open", NIGHT_MINOR, stage.phone.code(), expect="00")
    stage.agent.kill()
    _say(stage, "SIGKILL to the agent: the approval is on the disk, the slip is not on paper")
    stage.agent.start()
    began = time.monotonic()
    again = wait_for("the agent answers again", lambda: _view(stage, view["sale_id"]), 20)
    if (again["state"], again["authorization_code"]) != (view["state"], view["authorization_code"]):
        raise DemoFailed("After the restart the sale has another answer.")
    _say(stage, f"after {time.monotonic() - began:.1f} s the agent gives the same answer: {again['state']}")
    stage.printer.release()
    slips = wait_for("the missing slip", lambda: _slips_of(stage, view["sale_id"]), 30)
    if len(slips) != 1 or "COPY" in slips[0]:
        raise DemoFailed("The missing slip came out twice, or marked as a copy.")
    _say(stage, "the cover is closed: the slip comes out, once, and is no copy")


def _slips_of(stage: Stage, sale_id: str) -> list[str]:
    return [slip.text for slip in stage.printer.slips if sale_id in slip.text]


def _view(stage: Stage, sale_id: str) -> dict[str, Any] | None:
    try:
        view: dict[str, Any] = stage.client.get(f"/v1/sales/{sale_id}")
    except AgentNotRunning:
        return None
    return view


def _drain(stage: Stage) -> None:
    waiting = _depth(stage)
    _say(stage, f"{waiting} entries wait for the backend")
    began = time.monotonic()
    wait_for("the queue is empty", lambda: _depth(stage) == 0, 60)
    _say(stage, f"sent and acknowledged after {time.monotonic() - began:.1f} s")


def _status(stage: Stage) -> dict[str, Any]:
    """The lane's status, {} while the agent does not answer."""
    try:
        status: dict[str, Any] = stage.client.get("/v1/status")
    except AgentNotRunning:
        return {}
    return status


def _depth(stage: Stage) -> int:
    status = _status(stage)
    return status["queue"]["depth"] if status else -1


def _settle(stage: Stage) -> dict[str, Any]:
    def matched() -> dict[str, Any] | None:
        report: dict[str, Any] = stage.client.post("/v1/settlements")
        return report

    report = wait_for("the settlement", matched, 30)
    for name, total in report["totals"].items():
        _say(stage, f"    {name:<9} {total['count']:>3}  {format_minor(total['minor'], 'CNY'):>10}")
    _say(stage, f"batch {report['batch']}: the backend's half is {report['state']}")
    return report


def _stay(stage: Stage) -> None:
    print(f"\nThe lane goes on. Try:  counterfoil status --config {stage.config}\nCtrl-C ends it.")
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(1)


def _closing_line(report: Report) -> str:
    if report.matched:
        return f"Both halves match: {len(report.sales)} sales, none lost, none twice, no account above its limit."
    return f"THE HALVES DO NOT MATCH: {'; '.join(report.faults)}"


# -- setting the stage --------------------------------------------------------------------------------------------


@contextmanager
def _staged(options: Options) -> Iterator[Stage]:
    out = options.out
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    print(f"Slips, pictures and logs are left in {out.resolve()}\n")
    run_dir = Path(tempfile.mkdtemp(prefix="counterfoil-"))
    ends: list[Callable[[], None]] = [lambda: shutil.rmtree(run_dir, ignore_errors=True)]
    try:
        yield _set_up(out, run_dir, ends)
    finally:
        for end in reversed(ends):
            end()


def _set_up(out: Path, run_dir: Path, ends: list[Callable[[], None]]) -> Stage:
    began = time.monotonic()
    backend_dir, backend_port = out / "backend", free_port()
    ask(*command("counterfoil-backend", "init", "--dir", str(backend_dir), "--json"))
    account = _account(backend_dir)
    code = ask(*command("counterfoil-backend", "enroll-code", "--dir", str(backend_dir), "--lane", LANE, "--json"))
    backend = Program("backend", _serve(backend_dir, backend_port), out)
    line = Line(backend_port)
    printer = VirtualPrinter(out / "slips")
    scanner = VirtualScanner(run_dir / "scanner")
    ends += [line.close, printer.close, scanner.close, backend.stop]
    backend.start()
    config = _write_config(out, run_dir, line, printer, scanner)
    agent = Program("agent", command("counterfoil", "run", "--config", str(config)), out)
    uplink = Program("uplink", command("counterfoil", "uplink", "--config", str(config)), out)
    ends += [uplink.stop, agent.stop]
    phone = Phone.load(backend_dir / "phones" / f"{account}.json")
    client = LocalClient(run_dir / "agent.sock")
    stage = Stage(out, backend_dir, config, client, backend, agent, uplink, line, scanner, printer, phone, began)
    _heading("A lane is made")
    enrolled = wait_for("the backend answers", lambda: _enrolled(config, code["code"]), 20)
    _say(stage, f"enrolled as {enrolled['lane']} of {enrolled['store']}, lenders: {', '.join(enrolled['lenders'])}")
    agent.start()
    uplink.start()
    wait_for("the lane is ready", lambda: _is_ready(client), 40)
    _say(stage, "ready: line up, clock signed, policy and snapshot installed")
    return stage


def _account(backend_dir: Path) -> str:
    arguments = ("account", "add", "--dir", str(backend_dir), "--limit-minor", str(LIMIT_MINOR), "--json")
    account: str = ask(*command("counterfoil-backend", *arguments))["account"]
    return account


def _serve(backend_dir: Path, port: int) -> list[str]:
    options = ("--port", str(port), "--refresh-s", "1", "--allowance-minor", str(LEASE_MINOR))
    return command("counterfoil-backend", "serve", "--dir", str(backend_dir), *options)


def _enrolled(config: Path, code: str) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = ask(
            *command("counterfoil", "enroll", "--config", str(config), "--code", code, "--json")
        )
    except DemoFailed:
        return None
    return answer if "lane" in answer else None


def _is_ready(client: LocalClient) -> bool:
    try:
        status = client.get("/v1/status")
    except AgentNotRunning:
        return False
    lender = status["lenders"][0]
    documents = lender["policy_version"] and lender["snapshot_sequence"]
    return bool(status["link"]["up"] and status["clock"]["trusted"] and documents)


def _write_config(out: Path, run_dir: Path, line: Line, printer: VirtualPrinter, scanner: VirtualScanner) -> Path:
    path = out / "agent.toml"
    path.write_text(
        f"""[lane]
state_dir = "{(out / "lane").resolve()}"
run_dir = "{run_dir}"
language = "en"
[merchant]
name = "示例超市 Example Market"
store_name = "人民路店 People's Road"
[backend]
url = "https://localhost:{line.port}"
[scanner.counter]
address = "serial:{scanner.path}"
[printer]
address = "{printer.address}"
[limits]
free_space_min_mb = 50
[uplink]
poll_s = 1
backoff_max_s = 2
"""
    )
    return path


def _heading(text: str) -> None:
    print(f"\n== {text} {'=' * max(0, SHORT_SCREEN - len(text))}", flush=True)


def _say(stage: Stage, text: str) -> None:
    print(f"[{time.monotonic() - stage.began:6.1f} s] {text}", flush=True)
