"""Codes that are torn, hostile or somebody else's: declined, with a sentence for cashier and customer, and no sale."""

import base64
import itertools

import pytest

from agent.core import cbor
from agent.core.credit_pass import parse
from agent.local.client import LocalClient
from tests.core.passes import CODE, RAW
from tests.services.lanes import CUSTOMER, Phone

sale_ids = (f"bad-code-{number:04d}" for number in itertools.count())


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


DEEP = b"\x81" * 400 + b"\x00"
HOSTILE = {
    "torn": CODE[: len(CODE) // 2],
    "torn at a byte": b64(RAW[:-1]),
    "one byte more": b64(RAW + b"\x00"),
    "indefinite length": b64(RAW[:7] + b"\x61\x80" + RAW[9:]),
    "length of 4 GiB": b64(RAW[:7] + b"\x61\x84\xff\xff\xff\xff" + b"\x00" * 40),
    "length beyond the end": b64(RAW[:7] + b"\x61\x7f" + RAW[9:60]),
    "no template": b64(RAW[:7]),
    "CBOR that nests for ever": b64(RAW[:7] + b"\x61\x82\x01\x24" + b"\x63\x82\x01\x20" + DEEP[:288]),
    "not base64": CODE[:40] + "!" + CODE[41:],
    "controls": CODE[:40] + "\x00\x1b[2J" + CODE[40:],
    "not ASCII": CODE[:40] + "码" + CODE[41:],
}
WORDS = ("cashier", "customer", "next")


def sell(agent: LocalClient, code: str) -> dict[str, object]:
    body = {"sale_id": next(sale_ids), "amount": {"minor": 100, "currency": "CNY"}, "code": code}
    view: dict[str, object] = agent.post("/v1/sales", body)
    return view


@pytest.mark.parametrize("code", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_code_that_is_no_pass_is_declined_in_words(code: str, agent: LocalClient) -> None:
    view = sell(agent, code)
    assert (view["state"], view["response_code"]) == ("declined", "12"), view
    texts = view["texts"]
    assert isinstance(texts, dict)
    assert all(len(texts[word]) > 5 and "pass." not in texts[word] for word in WORDS)
    assert "Traceback" not in str(view)


@pytest.mark.parametrize("length", [200, 201, 40])
def test_what_the_cashier_reads_for_a_torn_code(length: int, agent: LocalClient) -> None:
    texts = sell(agent, CODE[:length])["texts"]
    assert texts == {
        "cashier": "The code is damaged",
        "customer": "This code cannot be used; please refresh it",
        "next": "Ask for a fresh code, then scan it",
    }


@pytest.mark.parametrize(
    "code", ["6901234567892", "287654321098765432", "", "CFS1:anything", "x" * 512], ids=lambda code: code[:12]
)
def test_codes_of_other_kinds_are_declined_too(code: str, agent: LocalClient) -> None:
    assert sell(agent, code)["state"] == "declined"


def test_a_pass_of_a_lender_that_this_lane_does_not_serve_is_declined(agent: LocalClient) -> None:
    view = sell(agent, CODE)
    assert (view["state"], view["response_code"]) == ("declined", "14")


def test_a_pass_signed_by_a_thief_is_declined_and_the_true_one_still_good(agent: LocalClient, phone: Phone) -> None:
    true = phone.code()
    raw = bytearray(base64.b64decode(true))
    at = bytes(raw).index(CUSTOMER)
    raw[at] ^= 1
    assert parse(b64(bytes(raw))).credential.account != CUSTOMER
    assert sell(agent, b64(bytes(raw)))["response_code"] == "59"
    assert sell(agent, true)["state"] == "approved"


def test_a_code_of_yesterday_is_declined(agent: LocalClient, phone: Phone) -> None:
    assert sell(agent, phone.code(age_s=86_000))["response_code"] == "54"


def test_hostile_cbor_never_becomes_a_value() -> None:
    with pytest.raises(cbor.CborError):
        cbor.decode(DEEP)
