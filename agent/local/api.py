"""The local API: what POS software, the page and the command line may ask of the running agent, and where.

The one rule: every answer is JSON, and every refusal a problem document; the services decide, nothing here does.
"""

from __future__ import annotations

from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from agent.local import day_calls, device_calls, hold_calls, lane_calls, sale_calls
from agent.local.limits import Paced
from agent.local.problems import Call, failed, guarded, not_served
from agent.local.services import LocalServices

TABLE: Final[tuple[tuple[str, str, Call], ...]] = (
    ("POST", "/v1/sales", sale_calls.open_sale),
    ("GET", "/v1/sales/{sale_id}", sale_calls.show_sale),
    ("POST", "/v1/sales/{sale_id}/choice", sale_calls.choose),
    ("POST", "/v1/sales/{sale_id}/preview", sale_calls.preview),
    ("POST", "/v1/sales/{sale_id}/dismissal", sale_calls.dismiss),
    ("POST", "/v1/offers", sale_calls.offer),
    ("GET", "/v1/sales/{sale_id}/explanation", sale_calls.explain),
    ("POST", "/v1/sales/{sale_id}/capture", hold_calls.capture),
    ("POST", "/v1/sales/{sale_id}/reversal", hold_calls.reverse),
    ("POST", "/v1/sales/{sale_id}/void", hold_calls.void),
    ("POST", "/v1/sales/{sale_id}/refund", hold_calls.refund),
    ("POST", "/v1/refunds", hold_calls.refund_slip),
    ("POST", "/v1/sales/{sale_id}/abandonment", sale_calls.abandon),
    ("POST", "/v1/settlements", day_calls.settle),
    ("GET", "/v1/insights", day_calls.insights),
    ("POST", "/v1/other-tenders", day_calls.other_tenders),
    ("GET", "/v1/leases/{account}", lane_calls.show_lease),
    ("POST", "/v1/leases/{account}/return", lane_calls.return_lease),
    ("GET", "/v1/counter", lane_calls.counter),
    ("GET", "/v1/status", lane_calls.status),
    ("POST", "/v1/journal/verification", lane_calls.verify),
    ("GET", "/v1/recovery", lane_calls.show_heads),
    ("POST", "/v1/recovery", lane_calls.recover),
    ("GET", "/v1/devices", device_calls.devices),
    ("POST", "/v1/print-jobs", device_calls.print_test),
    ("POST", "/v1/drawer-openings", device_calls.open_drawer),
    ("POST", "/v1/display-tests", device_calls.test_display),
    ("POST", "/v1/claims", hold_calls.claim),
    ("GET", "/v1/events", lane_calls.events),
)


def create_app(services: LocalServices) -> ASGIApp:
    """The ASGI application, each caller at its pace."""
    app = Starlette(
        routes=[Route(path, guarded(call, services), methods=[method]) for method, path, call in TABLE],
        exception_handlers={HTTPException: not_served, Exception: failed},
    )
    return Paced(app)
