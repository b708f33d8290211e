"""The stage of the story: a backend, a lane, and the words in which both are told.

The one rule: whatever is started here is ended here, in reverse order, however the story ends.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agent.core.money import format_minor
from agent.demo.camera import Camera
from agent.demo.props import DemoFailed, Line, Phone, Program, ask, command, free_port, wait_for
from agent.errors import AgentNotRunning
from agent.local.client import LocalClient
from drivers.virtual.display import VirtualDisplay
from drivers.virtual.printer import VirtualPrinter
from drivers.virtual.scanner import VirtualScanner

LANE: Final = "lane-01"
STORE: Final = "store-1"
LIMIT_MINOR: Final = 200_000
LEASE_MINOR: Final = 30_000
HEADING_COLUMNS: Final = 76


@dataclass(frozen=True, slots=True)
class Cast:
    """Who shops here: customers with an account each, its limit, and how much of it the lane may lease.

    ``camera``: beside the scanner at the counter, a camera looks at it too.
    """

    customers: int = 1
    limit_minor: int = LIMIT_MINOR
    lease_minor: int = LEASE_MINOR
    camera: bool = False


@dataclass(slots=True, kw_only=True)
class Stage:
    """Everything that runs while the story is told. ``accounts`` are the customers' tokens, in hex.

    ``sale_ids``: every sale that the story has opened; the lane's status shows the last few only.
    """

    out: Path
    backend_dir: Path
    config: Path
    socket: Path
    http_port: int
    accounts: tuple[str, ...]
    client: LocalClient
    backend: Program
    agent: Program
    uplink: Program
    line: Line
    scanner: VirtualScanner
    camera: Camera | None
    printer: VirtualPrinter
    display: VirtualDisplay
    phones: tuple[Phone, ...]
    began: float
    sale_ids: list[str] = field(default_factory=list)

    @property
    def phone(self) -> Phone:
        """The phone of the first customer."""
        return self.phones[0]

    def say(self, text: str) -> None:
        _say(self.began, text)


def heading(text: str) -> None:
    print(f"\n== {text} {'=' * max(0, HEADING_COLUMNS - len(text))}", flush=True)


@contextmanager
def staged(out: Path, cast: Cast = Cast()) -> Iterator[Stage]:
    """A lane that is ready to sell, in the folder ``out``, which is emptied first. Raises DemoFailed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to end: no process is left behind
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    print(f"Slips, pictures and logs are left in {out.resolve()}", flush=True)
    run_dir = Path(tempfile.mkdtemp(prefix="counterfoil-"))
    ends: list[Callable[[], None]] = [lambda: shutil.rmtree(run_dir, ignore_errors=True)]
    try:
        yield _set_up(out, run_dir, ends, cast)
    finally:
        for end in reversed(ends):
            end()


def _set_up(out: Path, run_dir: Path, ends: list[Callable[[], None]], cast: Cast) -> Stage:
    began = time.monotonic()
    heading("A backend and a lane are made")
    backend_dir, backend_port = out / "backend", free_port()
    ask(*command("counterfoil-backend", "init", "--dir", str(backend_dir), "--json"))
    _say(began, "the backend has a lender, its keys and a certificate")
    accounts = _accounts(backend_dir, cast)
    who = "a customer has an account" if cast.customers == 1 else f"{cast.customers} customers have an account each"
    _say(began, f"{who} with a limit of {format_minor(cast.limit_minor, 'CNY')}, and a phone")
    code = ask(*command("counterfoil-backend", "enroll-code", "--dir", str(backend_dir), "--lane", LANE, "--json"))
    place = ("store", "place", STORE, "--latitude", "31.2304", "--longitude", "121.4737", "--dir", str(backend_dir))
    ask(*command("counterfoil-backend", *place, "--json"))
    backend = Program("backend", _serve(backend_dir, backend_port, cast), out)
    line = Line(backend_port)
    printer = VirtualPrinter(out / "slips")
    scanner, display = VirtualScanner(run_dir / "scanner"), VirtualDisplay(run_dir / "display")
    ends += [line.close, printer.close, scanner.close, display.close, backend.stop]
    backend.start()
    camera = Camera(out / "camera") if cast.camera else None
    scanners = {"counter": f"serial:{scanner.path}"} | ({"lens": camera.address} if camera else {})
    http_port = free_port()
    config = _write_config(out, run_dir, line, _devices(printer, display, scanners), http_port)
    agent = Program("agent", command("counterfoil", "run", "--config", str(config)), out)
    uplink = Program("uplink", command("counterfoil", "uplink", "--config", str(config)), out)
    ends += [uplink.stop, agent.stop]
    phones = tuple(Phone.load(backend_dir / "phones" / f"{account}.json") for account in accounts)
    socket = run_dir / "agent.sock"
    client = LocalClient(socket)
    stage = Stage(
        out=out,
        backend_dir=backend_dir,
        config=config,
        socket=socket,
        http_port=http_port,
        accounts=accounts,
        client=client,
        backend=backend,
        agent=agent,
        uplink=uplink,
        line=line,
        scanner=scanner,
        camera=camera,
        printer=printer,
        display=display,
        phones=phones,
        began=began,
    )
    stage.say("the backend starts; a computer asks to become a lane, with a one-time code")
    enrolled = wait_for("the backend answers", lambda: _enrolled(config, code["code"]), 60)
    stage.say(f"enrolled as {enrolled['lane']} of {enrolled['store']}, lenders: {', '.join(enrolled['lenders'])}")
    agent.start()
    uplink.start()
    stage.say("agent and uplink start: they fetch signed time, policy and snapshot")
    wait_for("the lane is ready", lambda: is_ready(stage), 180)
    stage.say("ready: line up, clock signed, policy and snapshot installed")
    stage.say(f"the local API answers at http://127.0.0.1:{http_port}, too")
    return stage


def _accounts(backend_dir: Path, cast: Cast) -> tuple[str, ...]:
    amounts = ("--limit-minor", str(cast.limit_minor), "--count", str(cast.customers))
    opened = ask(*command("counterfoil-backend", "account", "add", "--dir", str(backend_dir), *amounts, "--json"))
    return tuple(account["account"] for account in opened.get("accounts", [opened]))


def _serve(backend_dir: Path, port: int, cast: Cast) -> list[str]:
    options = ("--port", str(port), "--refresh-s", "1", "--allowance-minor", str(cast.lease_minor))
    return command("counterfoil-backend", "serve", "--dir", str(backend_dir), *options)


def _enrolled(config: Path, code: str) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = ask(
            *command("counterfoil", "enroll", "--config", str(config), "--code", code, "--json")
        )
    except DemoFailed:
        return None
    return answer if "lane" in answer else None


def is_ready(stage: Stage) -> bool:
    """Line up, clock signed, policy and snapshot installed. Raises DemoFailed when a process has ended."""
    for program in (stage.backend, stage.agent, stage.uplink):
        if not program.running:
            raise DemoFailed(f"The {program.name} has ended by itself; {stage.out}/{program.name}.log says why.")
    try:
        status = stage.client.get("/v1/status")
    except AgentNotRunning:
        return False
    lender = status["lenders"][0]
    documents = lender["policy_version"] and lender["snapshot_sequence"]
    return bool(status["link"]["up"] and status["clock"]["trusted"] and documents)


def _devices(printer: VirtualPrinter, display: VirtualDisplay, scanners: dict[str, str]) -> str:
    sections = [f'[scanner.{name}]\naddress = "{address}"' for name, address in scanners.items()]
    return "\n".join(
        [
            *sections,
            f'[printer]\naddress = "{printer.address}"',
            '[drawer]\nattached = true\nopen_level = "high"',
            '[beeper]\nattached = true\ncommand = "esc_b"',
            f'[display]\naddress = "serial:{display.path}"\ncharacter_set = "gb18030"',
        ]
    )


def _write_config(out: Path, run_dir: Path, line: Line, devices: str, http_port: int) -> Path:
    path = out / "agent.toml"
    path.write_text(
        f"""[lane]
state_dir = "{(out / "lane").resolve()}"
run_dir = "{run_dir}"
language = "en"
[merchant]
name = "示例超市 Example Market"
store_name = "人民路店 People's Road"
latin_name = "Example Market"
latin_city = "Shanghai"
[backend]
url = "https://localhost:{line.port}"
{devices}
[local]
port = {http_port}
[limits]
free_space_min_mb = 50
[uplink]
poll_s = 1
backoff_max_s = 2
"""
    )
    return path


def _say(began: float, text: str) -> None:
    print(f"[{time.monotonic() - began:6.1f} s] {text}", flush=True)
