"""The end of the demo: lane and backend compared, sale by sale and entry by entry.

The one rule: the lane's half is asked of the lane, the backend's half is read from the backend's own books while its
server is stopped; neither is told what the other said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.demo.props import ask, command, wait_for

if TYPE_CHECKING:
    from agent.demo.stage import Stage


@dataclass(slots=True)
class Report:
    """``faults`` says in sentences why the two halves do not match."""

    lane: str
    limit_minor: int
    settlements: list[dict[str, Any]] = field(default_factory=list)
    sales: list[dict[str, Any]] = field(default_factory=list)
    lost: int = 0
    duplicated: int = 0
    over_limit: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def matched(self) -> bool:
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        return {
            "matched": self.matched,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "over_limit": self.over_limit,
            "sales": self.sales,
            "settlement": {batch["lender"]: batch["state"] for batch in self.settlements},
            "faults": self.faults,
        }


def compare(stage: Stage, report: Report) -> Report:
    """Fill in the report, once nothing is on its way between lane and backend."""
    books = read_books(stage, report.lane)
    status = books["status"]
    lane_sales = sales_of(stage, status)
    report.sales = [_sale(view) for view in lane_sales]
    _compare_settlement(report)
    _compare_chain(report, status["journal"], books)
    _compare_sales(report, lane_sales, books["sales"])
    report.over_limit = sum(account["available_minor"] < 0 for account in books["accounts"])
    report.faults += [*books["findings"], *books["disputes"]]
    if report.over_limit:
        report.faults.append(f"{report.over_limit} accounts are above their limit")
    return report


def sales_of(stage: Stage, status: dict[str, Any]) -> list[dict[str, Any]]:
    """The lane's half, oldest first: what its status shows, and the sales of the story that it shows no longer."""
    shown = list(reversed(status["recent_sales"]))
    known = {view["sale_id"] for view in shown}
    older = [sale_id for sale_id in stage.sale_ids if sale_id not in known]
    return [stage.client.get(f"/v1/sales/{sale_id}") for sale_id in older] + shown


def read_books(stage: Stage, lane: str) -> dict[str, Any]:
    """The backend's books, read while its server is stopped, and beside them the lane's own ``status`` of that moment.

    The lane may journal something (a new snapshot) just before the server stops: then it is let through first.
    """
    return wait_for("everything is sent", lambda: _books_at_rest(stage, lane), 180)


def _books_at_rest(stage: Stage, lane: str) -> dict[str, Any] | None:
    wait_for("the queue is empty", lambda: stage.client.get("/v1/status")["queue"]["depth"] == 0, 180)
    stage.say("everything is sent; the backend's server is stopped to open its books")
    stage.backend.stop()
    try:
        status = stage.client.get("/v1/status")
        if status["queue"]["depth"]:
            return None
        stage.say("its books are read: the lane's chain, its sales, and every account")
        where = ("--dir", str(stage.backend_dir), "--json")
        books: dict[str, Any] = {"status": status}
        books |= ask(*command("counterfoil-backend", "lane", "show", *where, lane))
        books |= ask(*command("counterfoil-backend", "audit", *where))
        books["accounts"] = [
            account
            for row in status["lenders"]
            for account in ask(*command("counterfoil-backend", "account", "show", *where, "--lender", row["lender"]))[
                "accounts"
            ]
        ]
        return books
    finally:
        stage.backend.start()


def _sale(view: dict[str, Any]) -> dict[str, Any]:
    names = ("sale_id", "mode", "response_code", "printed", "acknowledged")
    return {name: view[name] for name in names}


def _compare_settlement(report: Report) -> None:
    for batch in report.settlements:
        if batch["state"] != "matched":
            report.faults.append(f"the batch of {batch['lender']} is {batch['state']}: {batch['differences']}")


def _compare_chain(report: Report, journal: dict[str, Any], books: dict[str, Any]) -> None:
    report.lost = max(0, journal["number"] - books["number"])
    if (journal["epoch"], journal["number"], journal["head"]) != (books["epoch"], books["number"], books["head"]):
        here, there = f"{journal['number']} ({journal['head'][:12]})", f"{books['number']} ({books['head'][:12]})"
        report.faults.append(f"the lane's journal ends at entry {here}, the backend's at {there}")


def _compare_sales(report: Report, lane_sales: list[dict[str, Any]], backend_sales: list[dict[str, Any]]) -> None:
    """Every approved sale once, with the same amount; no other hold that stands."""
    here = {sale["sale_id"]: sale["amount"]["minor"] for sale in lane_sales if sale["state"] == "approved"}
    standing = [sale for sale in backend_sales if sale["state"] in ("authorized", "captured")]
    there = {sale["sale_id"]: sale["amount_minor"] for sale in standing}
    report.duplicated = len(standing) - len(there)
    report.lost += len(here.keys() - there.keys())
    if here != there or report.duplicated:
        report.faults.append(f"approved sales differ: {here} at the lane, {there} at the backend")
    report.faults += [f"sale {sale['sale_id']} has no slip" for sale in lane_sales if _lacks_slip(sale)]
    report.faults += [f"sale {sale['sale_id']} is not acknowledged" for sale in lane_sales if not sale["acknowledged"]]


def _lacks_slip(sale: dict[str, Any]) -> bool:
    return sale["state"] == "approved" and not sale["printed"]
