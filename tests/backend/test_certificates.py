"""Certificates: every device has its own, renews it with the one before, and cannot make itself another's."""

from collections.abc import Callable

import httpx
import pytest
from cryptography import x509

from backend import access
from backend.access import Access
from backend.identity import LaneName
from backend.schema import Certificate
from tests.backend.lanes import Shop
from tests.backend.test_enrollment import CSR, csr

Call = Callable[..., httpx.Response]


def renew(call: Call, request: str = CSR, **how: str) -> httpx.Response:
    return call("POST", "/v1/certificates", {"csr": request}, **how)


def test_a_renewed_certificate_is_for_the_new_key_and_the_same_lane(shop: Shop, call: Call) -> None:
    answer = renew(call).json()
    certificate = x509.load_pem_x509_certificate(answer["certificate"].encode())
    assert certificate.public_key() == x509.load_pem_x509_csr(CSR.encode()).public_key()
    assert certificate.subject.rfc4514_string() == "OU=store-1,O=merchant-1,CN=A"
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(answer["ca"].encode()))


def test_a_lost_answer_is_given_again(shop: Shop, call: Call) -> None:
    first = renew(call)
    shop.clock.now_s += 86_400
    assert renew(call).content == first.content
    assert renew(call, csr()).content != first.content
    assert Certificate.select().count() == 2


def test_two_lanes_with_the_same_request_get_their_own_certificates(shop: Shop, call: Call) -> None:
    assert renew(call).json()["certificate"] != renew(call, lane="B").json()["certificate"]


def test_a_renewed_certificate_belongs_to_the_device_that_renewed_it(shop: Shop, call: Call) -> None:
    renew(call)
    issued = Certificate.get()
    assert (issued.lane, issued.epoch) == ("A", 1)
    name = LaneName("A", "merchant-1", "store-1", issued.serial, issued.expires_at)
    assert access.of(name, now_s=shop.clock.now_s) is Access.FULL
    assert access.of(name, now_s=issued.expires_at) is Access.EXPIRED


@pytest.mark.parametrize("request_", ["no request", CSR[:200] + "AAAA" + CSR[204:], ""])
def test_a_request_that_cannot_be_read_is_refused(shop: Shop, call: Call, request_: str) -> None:
    refused = renew(call, request_)
    assert (refused.status_code, refused.json()["type"]) == (400, "urn:counterfoil:problem:malformed")
