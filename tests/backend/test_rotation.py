"""New keys, roots and policies: what lanes pinned leads to them, and nothing goes backwards."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from agent.core import trust
from agent.core.credit_pass import PassRejected, verify
from agent.core.policy import verify_policy
from agent.core.snapshot_reader import open_layer, trusting
from agent.core.trust import Role, TrustError
from backend import rotation, snapshots
from backend.database import transaction
from backend.lenders import ROOT, Lender
from backend.rotation import OVERLAP_S, RotationRefused
from tests.backend.lanes import LENDER, Shop

Call = Callable[..., httpx.Response]


def rotated(shop: Shop, role: Role) -> Lender:
    with transaction(shop.backend.database):
        lender = shop.backend.lenders[LENDER]
        rotation.rotate_key(lender, role, now_s=shop.clock.now_s, randomness=shop.chance.randbytes)
    return seen_later(shop)


def seen_later(shop: Shop) -> Lender:
    """The lender as the server has it a second after a command changed it."""
    shop.clock.now_s += 1
    return shop.backend.lenders[LENDER]


def test_a_change_by_another_process_is_served_a_second_later(shop: Shop, call: Call) -> None:
    before = call("GET", f"/v1/keys?lender={LENDER}").headers["etag"]
    rotated(shop, Role.TIME)
    answer = call("GET", f"/v1/keys?lender={LENDER}", if_none_match=before)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')


def test_a_layer_that_the_old_key_signed_is_good_until_that_keys_end(shop: Shop) -> None:
    shop.cut("A")
    old = snapshots.layer_bytes("A", LENDER, 1)
    keys = rotated(shop, Role.SNAPSHOT).key_list
    shop.cut("A")
    for sequence in (1, 2):
        open_layer(snapshots.layer_bytes("A", LENDER, sequence), trusting(keys, shop.clock.now_s))
    with pytest.raises(Exception, match="expired"):
        open_layer(old, trusting(keys, shop.clock.now_s + OVERLAP_S))


def test_what_a_revoked_key_signed_counts_no_more_and_a_fresh_one_signs_at_once(shop: Shop) -> None:
    before = shop.backend.lenders[LENDER]
    shown = shop.phones[0].show_pass(now_s=shop.clock.now_s, cti=bytes(8))
    kid = before.keys[Role.CREDENTIAL].public.kid
    with transaction(shop.backend.database):
        rotation.revoke_key(before, kid, now_s=shop.clock.now_s, randomness=shop.chance.randbytes)
    after = seen_later(shop)
    assert after.keys[Role.CREDENTIAL].public.kid != kid
    with pytest.raises(PassRejected):
        verify(shown, {LENDER: after.key_list}, scanned_at=shop.clock.now_s, freshness_s=60, tolerance_s=60)


def test_the_policy_in_force_is_signed_again_when_its_key_is_replaced(shop: Shop) -> None:
    before = shop.backend.lenders[LENDER].policy
    after = rotated(shop, Role.POLICY)
    policy = verify_policy(
        after.policy_bytes, after.key_list, at=shop.clock.now_s + OVERLAP_S, version_min=before.version + 1
    )
    assert policy.rules == before.rules


def test_a_lane_that_pinned_the_first_root_follows_two_changes_of_it(shop: Shop, call: Call) -> None:
    pinned = shop.backend.lenders[LENDER].root
    for _ in range(2):
        with transaction(shop.backend.database):
            lender = shop.backend.lenders[LENDER]
            rotation.change_root(lender, now_s=shop.clock.now_s, randomness=shop.chance.randbytes)
        newest = seen_later(shop)
    served = call("GET", f"/v1/keys?lender={LENDER}").content
    assert trust.verify_key_list(served, pinned, version_min=3).version == 3
    assert trust.root_of(served, pinned) == newest.root == newest.keys[ROOT].public != pinned


def test_the_old_root_signs_no_list_that_a_lane_would_take_afterwards(shop: Shop) -> None:
    old = shop.backend.lenders[LENDER]
    with transaction(shop.backend.database):
        new = rotation.change_root(old, now_s=shop.clock.now_s, randomness=shop.chance.randbytes)
    with pytest.raises(TrustError):
        trust.verify_key_list(trust.sign_key_list(new.key_list, old.keys[ROOT]), new.root, version_min=0)


def newer(shop: Shop, **other: Any) -> dict[str, Any]:
    return shop.backend.lenders[LENDER].policy.payload() | {"version": 2} | other


def publish(shop: Shop, document: dict[str, Any]) -> None:
    with transaction(shop.backend.database):
        rotation.publish_policy(shop.backend.lenders[LENDER], document, now_s=shop.clock.now_s)


def test_a_newer_policy_comes_into_force(shop: Shop, call: Call) -> None:
    publish(shop, newer(shop))
    assert seen_later(shop).policy.version == 2
    assert call("GET", f"/v1/policy?lender={LENDER}").headers["etag"] == '"2"'


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"version": 1}, "has version 1 already"),
        ({"lender": "other"}, "one of the lender other"),
        ({"currency": "EUR"}, "in EUR"),
        ({"expires_at": 1_799_999_999}, "has expired"),
        ({"rules": [{"id": "x", "when": "nonsense(", "effect": "decline", "response_code": "05", "reason": "r"}]}, "x"),
        ({"limits": {}}, "limits"),
    ],
)
def test_a_policy_that_no_lane_would_take_or_an_older_one_is_refused(
    shop: Shop, other: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(RotationRefused, match=sentence):
        publish(shop, newer(shop, **other))
    assert seen_later(shop).policy.version == 1


def test_a_key_that_the_lender_does_not_have_cannot_be_revoked(shop: Shop) -> None:
    with pytest.raises(RotationRefused, match="has no key"):
        rotation.revoke_key(
            shop.backend.lenders[LENDER], bytes(8), now_s=shop.clock.now_s, randomness=shop.chance.randbytes
        )
