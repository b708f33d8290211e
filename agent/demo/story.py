"""The story of a lane's day, told while it happens.

The one rule: every line that is printed was seen to be so; a step that does not come true ends the demo with a fault.
"""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.core.money import format_minor
from agent.demo.afterwards import stay
from agent.demo.props import DemoFailed, Phone, ask, command, wait_for
from agent.demo.report import Report, compare
from agent.demo.stage import LANE, LEASE_MINOR, LIMIT_MINOR, Cast, Stage, heading, staged
from agent.errors import AgentNotRunning
from agent.local.client import RequestRefused
from agent.texts import displayed
from drivers.beepers.beeper import TIMES
from drivers.virtual.printer import Slip

ONLINE_MINOR: Final = 12_800
OFFLINE_MINOR: Final = 4_950
CAMERA_MINOR: Final = 3_300
INSTALMENTS_MINOR: Final = 24_000
COUPON_MINOR: Final = 18_000
NIGHT_MINOR: Final = 6_600
STALE_S: Final = 600
DECLINES: Final = 4
"""Of the sales while the line is cut."""
SECOND: Final = "riverbank"
SECOND_NAME: Final = "河岸信用 Riverbank Credit"


@dataclass(frozen=True, slots=True)
class Options:
    """``out``: folder for slips, logs, pictures. ``exit``: end with a summary. ``json``: the last line is JSON.

    ``camera``: one sale is scanned by a camera.
    """

    out: Path
    exit: bool
    json: bool
    camera: bool = False


def tell(options: Options) -> int:
    """Run the demo. Returns 0 when both halves match, 1 when anything does not."""
    with staged(options.out, Cast(customers=3, camera=options.camera)) as stage:
        report = _day(stage)
        heading("Both halves are compared, sale by sale")
        report = compare(stage, report)
        stage.say(_closing_line(report))
        if not options.exit:
            stay(stage)
    if options.json:
        print(json.dumps(report.to_json(), ensure_ascii=False))
    return 0 if report.matched else 1


def _day(stage: Stage) -> Report:
    report = Report(lane=LANE, limit_minor=LIMIT_MINOR)
    heading("The line is up")
    first = _sell(stage, "online", ONLINE_MINOR, _through_a_picture(stage, stage.phone.code()), expect="00")
    _on_display(stage, first["state"])
    _await_slip(stage, first["sale_id"])
    if stage.camera is not None:
        code = stage.phone.code()
        _sell(stage, "online, seen by the camera", CAMERA_MINOR, code, expect="00", shown=_before_the_camera)
    heading("Paid in instalments")
    _in_instalments(stage)
    _with_coupon(stage)
    heading("A second lender joins")
    other = _second_lender(stage)
    second = _sell(stage, "online, by the second lender", ONLINE_MINOR, other.code(), expect="00")
    if SECOND_NAME not in _await_slip(stage, second["sale_id"])[0].text:
        raise DemoFailed("The slip does not name the lender.")
    stage.say(f"its slip names {SECOND_NAME}")
    heading("The line is cut")
    stage.line.cut()
    stage.say("nobody tells the lane: its next sale asks, gets no answer in time, and is decided here")
    used = stage.phone.code()
    _sell(stage, "offline, inside the lease", OFFLINE_MINOR, used, expect="00")
    _sell(stage, "offline, by the second lender", OFFLINE_MINOR, other.code(), expect="00")
    _sell(stage, "offline, above the lease", LEASE_MINOR, stage.phone.code(), expect="61")
    _sell(stage, "a code that is ten minutes old", OFFLINE_MINOR, stage.phone.code(age_s=STALE_S), expect="54")
    _sell(stage, "the code of before, shown again", OFFLINE_MINOR, used, expect="94")
    _sell(stage, "a forged code", OFFLINE_MINOR, stage.phone.forged_code(), expect="59")
    _on_display(stage, "declined")
    _heard(stage)
    heading("The agent is killed after its commit and before the slip")
    _killed_before_the_slip(stage)
    heading("The line is back")
    stage.line.restore()
    _drain(stage)
    heading("The day is closed")
    _count_the_cash(stage)
    report.settlements = [_settle(stage, row["lender"]) for row in _status(stage)["lenders"]]
    assert first["mode"] == "online"
    return report


# -- the steps ----------------------------------------------------------------------------------------------------


def _second_lender(stage: Stage) -> Phone:
    """While the lane sells, the operator takes in a lender, which opens an account; the customer's phone for it."""
    where, of_lender = ("--dir", str(stage.backend_dir), "--json"), ("--lender", SECOND)
    ask(*command("counterfoil-backend", "lender", "add", SECOND, "--lender-name", SECOND_NAME, *where))
    limit = ("--limit-minor", str(LIMIT_MINOR))
    opened = ask(*command("counterfoil-backend", "account", "add", *limit, *of_lender, *where))
    stage.accounts += (opened["account"],)
    stage.say(f"the operator takes in {SECOND_NAME}; nobody goes to the lane")
    wait_for("the lane has met the second lender", lambda: _has_documents(stage, SECOND), 180)
    wait_for("the lane has a lease of the new account", lambda: _has_lease(stage, SECOND, opened["account"]), 180)
    stage.say("the lane has met it: introduced by the backend's CA, with keys, policy and snapshot of its own")
    return Phone.load(stage.backend_dir / "phones" / f"{opened['account']}.json")


def _has_documents(stage: Stage, lender: str) -> bool:
    rows = _status(stage).get("lenders", ())
    return any(
        row["lender"] == lender and row["policy_version"] and row["snapshot_sequence"] and row["clock"]["trusted"]
        for row in rows
    )


def _has_lease(stage: Stage, lender: str, account: str) -> bool:
    """Whether the lane could sell alone: the first layer may have been cut before the account was opened."""
    try:
        lease = stage.client.get(f"/v1/leases/{account}?lender={lender}")
    except RequestRefused:
        return False
    return bool(lease["left_minor"] >= OFFLINE_MINOR)


def _before_the_scanner(stage: Stage, code: str) -> None:
    stage.scanner.scan(code.encode(), chunk=16)


def _before_the_camera(stage: Stage, code: str) -> None:
    """The phone comes into view, in a hand that is not still."""
    assert stage.camera is not None
    stage.camera.see(code)
    stage.say(f"the phone is held before the camera: {stage.camera.folder}/*.png, turned, tilted, blurred, noisy")


def _sell(
    stage: Stage,
    title: str,
    amount_minor: int,
    code: str,
    *,
    expect: str,
    shown: Callable[[Stage, str], None] = _before_the_scanner,
) -> dict[str, Any]:
    """One sale as the POS makes it: open it, let the scanner read the code, look at the answer."""
    sale = stage.client.post("/v1/sales", {"amount": {"minor": amount_minor, "currency": "CNY"}})
    stage.sale_ids.append(sale["sale_id"])
    began = time.monotonic()
    shown(stage, code)
    view: dict[str, Any] = stage.client.get(f"/v1/sales/{sale['sale_id']}?wait_s=20")
    elapsed_ms = (time.monotonic() - began) * 1000
    code_shown = view.get("response_code")
    if code_shown != expect:
        raise DemoFailed(f"{title}: the answer is {view.get('state')} {code_shown}, expected {expect}.")
    amount = format_minor(amount_minor, "CNY")
    mode = {"online": "online", "stand_in": "offline"}.get(str(view["mode"]), "")
    stage.say(f"{title}: {amount} -> {view['state'].upper()} {code_shown} {mode} ({elapsed_ms:.0f} ms from the scan)")
    if view["state"] == "declined":
        stage.say(f"    the cashier reads: {view['texts']['cashier']} / {view['texts']['next']}")
    return view


def _in_instalments(stage: Stage) -> None:
    """A second customer, for a policy minds many sales to one, sees what each plan costs and chooses three payments."""
    amount = {"minor": INSTALMENTS_MINOR, "currency": "CNY"}
    sale_id = stage.client.post("/v1/sales", {"amount": amount, "offers": True})["sale_id"]
    stage.sale_ids.append(sale_id)
    stage.scanner.scan(stage.phones[1].code().encode(), chunk=16)
    asked = stage.client.get(f"/v1/sales/{sale_id}?wait_s=20")
    offers = {offer["plan"]: offer for offer in asked.get("offers", ())}
    if asked["state"] != "choosing" or "3x" not in offers:
        raise DemoFailed(f"The customer should choose a plan now, but the sale is {asked['state']}.")
    stage.say(f"{format_minor(INSTALMENTS_MINOR, 'CNY')}: the customer is shown {len(offers)} plans, among them:")
    for label, figure in offers["3x"]["rows"]:
        print(f"              {label}{': ' if figure else ''}{figure}")
    choice = {"plan": "3x", "statement": offers["3x"]["statement"]}
    _sold_by_plan(stage, "three payments", stage.client.post(f"/v1/sales/{sale_id}/choice", choice))


def _with_coupon(stage: Stage) -> None:
    issue = ("coupon", "issue", "--dir", str(stage.backend_dir), stage.accounts[1], "--json")
    coupon = ask(*command("counterfoil-backend", *issue))["coupon"]
    order = {"amount": {"minor": COUPON_MINOR, "currency": "CNY"}, "plan": "6x", "coupon": coupon}
    view = stage.client.post("/v1/sales", order | {"code": stage.phones[1].code()})
    stage.sale_ids.append(view["sale_id"])
    _sold_by_plan(stage, "six payments with an interest-free coupon", view)
    try:
        stage.client.post("/v1/sales", order | {"code": stage.phones[1].code()})
    except RequestRefused as refused:
        stage.say(f"the coupon once more: {refused.message}")
    else:
        raise DemoFailed("The coupon could be used twice.")


def _sold_by_plan(stage: Stage, title: str, view: dict[str, Any]) -> None:
    if view["state"] != "approved":
        raise DemoFailed(f"{title}: the answer is {view['state']} {view.get('reason')}, expected an approval.")
    total, cost = (format_minor(view["plan"][name], "CNY") for name in ("total_minor", "fee_minor"))
    stage.say(f"{title}: APPROVED {view['mode']}, total {total}, all costs {cost}, {view['plan']['nominal_percent']} %")
    _await_slip(stage, view["sale_id"])


def _through_a_picture(stage: Stage, code: str) -> str:
    """Draw the pass as the phone would show it, and read the picture as a camera would."""
    import segno
    import zxingcpp
    from PIL import Image

    picture = stage.out / "pass.png"
    drawn = segno.make(code, error="m", boost_error=False, micro=False)
    drawn.save(str(picture), scale=6, border=4)
    if drawn.symbol_size(border=2)[0] <= shutil.get_terminal_size().columns:  # a narrower one would tear it apart
        screen = io.StringIO()
        drawn.terminal(out=screen, compact=True, border=2)
        print(screen.getvalue())
    with Image.open(picture) as image:
        found = zxingcpp.read_barcodes(image.convert("L"))
    if not found or found[0].text != code:
        raise DemoFailed("The picture of the pass does not read back as the pass.")
    stage.say(f"the phone shows the pass: QR version {drawn.designator}, {len(code)} characters, read from {picture}")
    return found[0].text


def _killed_before_the_slip(stage: Stage) -> None:
    wait_for("the slips of before are printed", lambda: _status(stage).get("print_jobs_waiting") == 0, 60)
    stage.printer.hold()
    view = _sell(stage, "offline, the printer's cover is open", NIGHT_MINOR, stage.phone.code(), expect="00")
    wait_for("the printer says that it cannot print", lambda: _not_a_byte_left(stage, view["sale_id"]), 60)
    stage.agent.kill()
    stage.say("SIGKILL to the agent: the approval is on the disk, not a byte of the slip has left")
    stage.agent.start()
    began = time.monotonic()
    again = wait_for("the agent answers again", lambda: _view(stage, view["sale_id"]), 60)
    if (again["state"], again["authorization_code"]) != (view["state"], view["authorization_code"]):
        raise DemoFailed("After the restart the sale has another answer.")
    stage.say(f"after {time.monotonic() - began:.1f} s the agent gives the same answer: {again['state']}")
    stage.printer.release()
    stage.say("the cover is closed")
    slips = _await_slip(stage, view["sale_id"])
    if len(slips) != 1 or "COPY" in slips[0].text:
        raise DemoFailed("The missing slip came out twice, or marked as a copy.")
    stage.say("it came out once, and is no copy")


def _not_a_byte_left(stage: Stage, sale_id: str) -> bool:
    """Whether the agent knows that; a slip that may be on paper would rightly come out as a copy."""
    jobs = stage.client.get(f"/v1/sales/{sale_id}")["print_jobs"]
    return [(job["state"], job["rung"]) for job in jobs] == [("queued", "not_started")]


def _on_display(stage: Stage, state: str) -> None:
    wait_for("the customer's display follows", lambda: stage.display.rows[0] == displayed("en", state), 60)
    stage.say(f"the customer's display reads: {' '.join(stage.display.rows)}")


def _heard(stage: Stage) -> None:
    """What was declined since the line was cut sounded, each time."""
    wait_for("the beeper sounds", lambda: stage.printer.beeps.count(TIMES["refused"]) >= DECLINES, 60)
    stage.say(f"the beeper sounded {TIMES['refused']} times for each decline")


def _count_the_cash(stage: Stage) -> None:
    opening = stage.client.post("/v1/drawer-openings")
    if opening["opened"] is not True:
        raise DemoFailed(f"The drawer did not open: {opening['reason']}.")
    stage.say("the cash drawer is opened, and its switch says so")
    stage.printer.close_drawer()


def _await_slip(stage: Stage, sale_id: str) -> list[Slip]:
    def found() -> list[Slip]:
        return [slip for slip in stage.printer.slips if sale_id in slip.text]

    slips = wait_for("the slip of a sale", found, 120)
    stage.say(f"the slip is printed: {stage.out}/slips/{slips[0].number:03}.txt")
    return slips


def _view(stage: Stage, sale_id: str) -> dict[str, Any] | None:
    try:
        view: dict[str, Any] = stage.client.get(f"/v1/sales/{sale_id}")
    except AgentNotRunning:
        return None
    return view


def _drain(stage: Stage) -> None:
    waiting = _depth(stage)
    stage.say(f"{waiting} entries wait for the backend")
    began = time.monotonic()
    wait_for("the queue is empty", lambda: _depth(stage) == 0, 180)
    stage.say(f"sent and acknowledged after {time.monotonic() - began:.1f} s")


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


def _settle(stage: Stage, lender: str) -> dict[str, Any]:
    def matched() -> dict[str, Any] | None:
        report: dict[str, Any] = stage.client.post("/v1/settlements", {"lender": lender})
        return None if report["state"] == "pending" else report

    report = wait_for("the settlement", matched, 120)
    for name, total in report["totals"].items():
        stage.say(f"    {name:<9} {total['count']:>3}  {format_minor(total['minor'], 'CNY'):>10}")
    stage.say(f"batch {report['batch']} of {lender}: the backend's half is {report['state']}")
    return report


def _closing_line(report: Report) -> str:
    if report.matched:
        return f"Both halves match: {len(report.sales)} sales, none lost, none twice, no account above its limit."
    return f"THE HALVES DO NOT MATCH: {'; '.join(report.faults)}"
