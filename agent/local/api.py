"""The local API: what POS software, the page and the command line may ask of the running agent, and where.

The one rule: every refusal is a problem document; the services decide, nothing here does. One table has every
call, who may make it, and what it reads.
"""

from __future__ import annotations

from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from agent.core.operators import Action
from agent.local import (
    answers,
    day_answers,
    day_calls,
    device_calls,
    hold_calls,
    lane_answers,
    lane_calls,
    operator_calls,
    pages,
    requests,
    sale_calls,
    training_calls,
)
from agent.local.access import EVERYBODY, LOCAL_TOOLS, READERS, TILL_SOFTWARE, Caller, cookie_of, refused
from agent.local.description import document
from agent.local.doors import CALLER, Doors
from agent.local.problems import Endpoint, failed, guarded, not_served
from agent.local.services import LocalServices
from agent.local.table import Served


async def describe(services: LocalServices, _request: Request) -> Response:
    return JSONResponse(document(_table(services)))


TABLE: Final = (
    Served("POST", "/v1/sales", sale_calls.open_sale, "open a sale", body=requests.OpenSale, answer=answers.SaleView),
    Served(
        "GET", "/v1/sales", sale_calls.list_sales, "the last sales, or those of a day, amount, account; newest first",
        answer=answers.SalesView, query=("day", "amount_minor", "account_tail", "limit"),
    ),
    Served(
        "GET", "/v1/sales/{sale_id}", sale_calls.show_sale, "where a sale stands", READERS,
        answer=answers.SaleView, query=("wait_s", "after_attempt"),
    ),
    Served(
        "POST", "/v1/sales/{sale_id}/choice", sale_calls.choose, "take a plan",
        body=requests.Choice, answer=answers.SaleView,
    ),
    Served(
        "POST", "/v1/sales/{sale_id}/preview", sale_calls.preview, "show one plan whole",
        body=requests.Preview, answer=answers.SaleView,
    ),
    Served(
        "POST", "/v1/sales/{sale_id}/dismissal", sale_calls.dismiss, "show it no more, wait for it no more",
        answer=lane_answers.Dismissed,
    ),
    Served(
        "POST", "/v1/offers", sale_calls.offer, "what an amount may have",
        body=requests.AskOffers, answer=answers.OffersView,
    ),
    Served(
        "GET", "/v1/sales/{sale_id}/explanation", sale_calls.explain, "why it was decided so",
        answer=lane_answers.Explanation,
    ),
    Served(
        "POST", "/v1/sales/{sale_id}/capture", hold_calls.capture, "debt out of a hold",
        body=requests.Capture, answer=answers.SaleView,
    ),
    Served(
        "POST", "/v1/sales/{sale_id}/reversal", hold_calls.reverse, "release a hold",
        body=requests.Reversal, answer=answers.SaleView,
    ),
    Served(
        "POST", "/v1/sales/{sale_id}/reprint", hold_calls.reprint, "its newest slip once more",
        answer=lane_answers.PrintJob,
    ),
    Served(
        "POST", "/v1/sales/{sale_id}/void", hold_calls.void, "undo a sale on its day",
        body=requests.Reversal, needs=Action.VOID, answer=answers.SaleView,
    ),
    Served(
        "POST", "/v1/sales/{sale_id}/refund", hold_calls.refund, "give back all or a part",
        body=requests.Refund, needs=Action.REFUND, answer=answers.SaleView,
    ),
    Served(
        "POST", "/v1/refunds", hold_calls.refund_slip, "refund a slip",
        body=requests.SlipRefund, needs=Action.REFUND, answer=answers.RefundView,
    ),
    Served(
        "POST", "/v1/sales/{sale_id}/abandonment", sale_calls.abandon, "wait no longer for a phone",
        answer=answers.SaleView,
    ),
    Served(
        "POST", "/v1/sales/{sale_id}/merchant-code", sale_calls.show_code, "show a code for the lender's app",
        body=requests.ShowCode, answer=answers.SaleView,
    ),
    Served("GET", "/v1/sales/{sale_id}/merchant-code.svg", sale_calls.code_picture, "draw that code", READERS),
    Served(
        "POST", "/v1/settlements", day_calls.settle, "close the day",
        body=requests.CloseDay, needs=Action.SETTLE, answer=day_answers.BatchView,
    ),
    Served("GET", "/v1/shift", day_calls.show_shift, "the open shift, or the last", answer=day_answers.ShiftView),
    Served(
        "POST", "/v1/shift/opening", day_calls.open_shift, "begin a shift",
        body=requests.ShiftOpening, needs=Action.SHIFT, answer=day_answers.ShiftView,
    ),
    Served(
        "POST", "/v1/shift/closing", day_calls.close_shift, "count the drawer",
        body=requests.ShiftClosing, needs=Action.SHIFT, answer=day_answers.ShiftView,
    ),
    Served(
        "GET", "/v1/insights", day_calls.insights, "the figures of a day",
        query=("day", "format"), answer=day_answers.InsightsView,
    ),
    Served(
        "POST", "/v1/other-tenders", day_calls.other_tenders, "what was sold without credit",
        body=requests.OtherTenders, answer=day_answers.DayView,
    ),
    Served("GET", "/v1/operators", operator_calls.operators, "who may sign in, and who has", answer=answers.Operators),
    Served(
        "POST", "/v1/operator-session", operator_calls.sign_in, "sign in with a PIN",
        body=requests.SignIn, answer=answers.SignedIn,
    ),
    Served("DELETE", "/v1/operator-session", operator_calls.sign_out, "sign out", answer=lane_answers.SignedOut),
    Served(
        "GET", "/v1/leases/{account}", lane_calls.show_lease, "what is left of a lease", LOCAL_TOOLS,
        query=("lender",), answer=lane_answers.LeaseView,
    ),
    Served(
        "POST", "/v1/leases/{account}/return", lane_calls.return_lease, "give a lease back", LOCAL_TOOLS,
        requests.LeaseReturn, answer=lane_answers.LeaseView,
    ),
    Served("GET", "/v1/counter", lane_calls.counter, "what page and display show", READERS, answer=answers.CounterView),
    Served("GET", "/v1/health", lane_calls.health, "does it sell", READERS, answer=answers.Health),
    Served("GET", "/v1/openapi.json", describe, "this description", EVERYBODY, answer=lane_answers.Description),
    Served("GET", "/v1/status", lane_calls.status, "facts and conditions of the lane", answer=lane_answers.StatusView),
    Served(
        "POST", "/v1/journal/verification", lane_calls.verify, "walk the chain", LOCAL_TOOLS,
        answer=lane_answers.Verified,
    ),
    Served(
        "GET", "/v1/recovery", lane_calls.show_heads, "both ends of the journal", LOCAL_TOOLS,
        answer=lane_answers.HeadsView,
    ),
    Served("POST", "/v1/recovery", lane_calls.recover, "begin a new epoch", LOCAL_TOOLS, answer=lane_answers.EpochView),
    Served("GET", "/v1/devices", device_calls.devices, "how each device is", answer=lane_answers.DeviceView),
    Served("POST", "/v1/print-jobs", device_calls.print_test, "print a test slip", answer=lane_answers.PrintView),
    Served(
        "POST", "/v1/drawer-openings", device_calls.open_drawer, "open the cash drawer",
        body=requests.DrawerOpening, needs=Action.DRAWER, says_why=True, answer=lane_answers.Opening,
    ),
    Served(
        "POST", "/v1/page-links", pages.make_link, "open a page in a browser", TILL_SOFTWARE,
        requests.PageLink, answer=answers.PageLinkView,
    ),
    Served(
        "POST", "/v1/display-tests", device_calls.test_display, "try the line display",
        answer=lane_answers.DisplayTest,
    ),
    Served(
        "POST", "/v1/virtual-acts", device_calls.act, "play with a virtual device", LOCAL_TOOLS,
        requests.VirtualAct, answer=lane_answers.Played,
    ),
    Served(
        "POST", "/v1/claims", hold_calls.claim, "a slip of a lane that is lost", LOCAL_TOOLS,
        requests.SlipClaim, answer=lane_answers.Claimed,
    ),
    Served("GET", "/v1/events", lane_calls.events, "what happens, as it happens", READERS),
)  # fmt: skip

IN_TRAINING: Final = (
    Served(
        "POST", "/v1/scenes", training_calls.play, "let something happen at the training counter",
        body=requests.Scene, answer=answers.TrainingView,
    ),
)  # fmt: skip
"""Calls that a real counter does not have."""

PAGES: Final = (
    Served("GET", "/open/cashier/{ticket}", pages.open_cashier, "a link", EVERYBODY, opens=Caller.CASHIER),
    Served("GET", "/open/customer/{ticket}", pages.open_customer, "a link", EVERYBODY, opens=Caller.DISPLAY),
    Served("GET", "/", pages.cashier, "the cashier's page", EVERYBODY),
    Served("GET", "/customer", pages.customer, "the customer's display", EVERYBODY),
    Served("GET", "/page/{name}", pages.part, "a file of a page", EVERYBODY),
)
"""What a browser opens; each page then makes calls of ``TABLE``."""


def create_app(services: LocalServices, secret: bytes = b"") -> ASGIApp:
    """The ASGI application, each caller known and at its pace. ``secret`` is needed for loopback HTTP alone."""
    app = Starlette(
        routes=[
            Route(row.path, _endpoint(row, services, secret), methods=[row.method])
            for row in (*_table(services), *PAGES)
        ],
        exception_handlers={HTTPException: not_served, Exception: failed},
    )
    return Doors(app, secret)


def _table(services: LocalServices) -> tuple[Served, ...]:
    return TABLE if services.scene is None else (*TABLE, *IN_TRAINING)


def _endpoint(row: Served, services: LocalServices, secret: bytes) -> Endpoint:
    async def allowed(services: LocalServices, request: Request) -> Response:
        caller: Caller = request.scope[CALLER]
        if caller not in row.who:
            raise refused(caller)
        if row.needs is not None and not row.says_why:
            operator_calls.permit(services, request, row.needs)
        answer = await row.call(services, request)
        if row.opens is not None and answer.status_code < 400:
            answer.headers.append("Set-Cookie", cookie_of(row.opens, secret))
        return answer

    return guarded(allowed, services)
