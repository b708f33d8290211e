"""New keys, new roots and new policies of a lender: the next signed documents, in place of those in force.

The one rule: a version never goes backwards, and what the replaced key has signed stays good until its end, unless the
key is revoked.

Books from a backup may have older keys than the lanes' lists name. Lanes keep the list that they have, and believe what
an older key signs as far as that list lets them: not at all if it was revoked, and then they approve nothing alone for
long. What is published next has a higher version than any lane has reported, so it reaches them. Only a root that was
changed after the backup is lost with it: its lanes must be enrolled anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from agent.core import trust
from agent.core.cose import CoseError, Kind, SigningKey
from agent.core.policy import Policy, PolicyError, parse_policy, sign_policy
from agent.core.trust import KeyEntry, KeyList, Role, TrustError
from backend import lenders, reports
from backend.lenders import CLOCK_SKEW_S, DOCUMENT_LIFE_S, ROOT, Lender, Randomness
from backend.schema import KeptPolicy, LenderKey
from backend.schema import Lender as LenderRow

OVERLAP_S: Final = 30 * 24 * 3600
"""How long a replaced key still verifies: longer than any snapshot may be used, or a credential is good for."""


class RotationRefused(Exception):
    """A key or a policy cannot be replaced as asked; the message is a sentence."""


def rotate_key(
    lender: Lender,
    role: Role,
    *,
    now_s: int,
    randomness: Randomness,
    algorithm: Kind | None = None,
    overlap_s: int = OVERLAP_S,
) -> Lender:
    """Sign as ``role`` with a fresh key from now on, of the kind of the present one unless ``algorithm`` says another.

    To be called inside a transaction. Raises RotationRefused.
    """
    kind = algorithm or lender.keys[role].public.kind
    if kind == "sm2" and role is not Role.CREDENTIAL:
        raise RotationRefused("SM2 is for credentials: a lane without it must still read policies and snapshots")
    try:
        key = SigningKey.from_seed(kind, randomness(32))
    except CoseError as error:
        raise RotationRefused(f"{error}") from error
    ending = lender.keys[role].public.kid
    old = [_ended(entry, now_s + overlap_s) if entry.kid == ending else entry for entry in lender.key_list.keys]
    new = KeyEntry(key.public.kid, key.public, role, now_s - CLOCK_SKEW_S, now_s + DOCUMENT_LIFE_S)
    _keep_key(lender, role, key)
    return _publish_keys(lender, (*old, new), now_s, policy_key=key if role is Role.POLICY else None)


def revoke_key(lender: Lender, kid: bytes, *, now_s: int, randomness: Randomness) -> Lender:
    """Nothing that the key has signed counts any more; if it is in use, a fresh one takes its place.

    To be called inside a transaction. Raises RotationRefused if the lender has no such key.
    """
    entry = next((entry for entry in lender.key_list.keys if entry.kid == kid), None)
    if entry is None:
        raise RotationRefused(f"the lender {lender.lender} has no key {kid.hex()}")
    if lender.keys[entry.role].public.kid == kid:
        lender = rotate_key(lender, entry.role, now_s=now_s, randomness=randomness)
    keys = (replace(entry, revoked=True) if entry.kid == kid else entry for entry in lender.key_list.keys)
    return _publish_keys(lender, tuple(keys), now_s)


def change_root(lender: Lender, *, now_s: int, randomness: Randomness) -> Lender:
    """Hand over to a fresh root; the key list says so, signed by the old one. To be called inside a transaction.

    Raises RotationRefused when a key list holds no more changes.
    """
    succession, new = lender.key_list.succession, SigningKey.from_seed("p256", randomness(32))
    if len(succession) >= trust.ROOT_CHANGES_MAX:
        raise RotationRefused(f"a key list tells of at most {trust.ROOT_CHANGES_MAX} changes of its root")
    change = trust.sign_root_change(lender.lender, len(succession) + 2, lender.keys[ROOT], new.public)
    _keep_key(lender, ROOT, new)
    listed = replace(lender.key_list, succession=(*succession, change))
    return _publish_keys(replace(lender, key_list=listed), lender.key_list.keys, now_s, root=new)


def publish_policy(lender: Lender, document: Mapping[str, Any], *, now_s: int) -> Lender:
    """Put a policy of a newer version in force. To be called inside a transaction.

    Raises RotationRefused with every fault of the document.
    """
    try:
        policy = parse_policy(document)
    except PolicyError as error:
        raise RotationRefused("the policy is not usable: " + "; ".join(error.faults)) from None
    newest = reports.newest_documents(lender)[1]
    checks = (
        (policy.lender != lender.lender, f"the policy is one of the lender {policy.lender}"),
        (policy.currency != lender.currency, f"the policy is in {policy.currency}, the lender in {lender.currency}"),
        (policy.version <= newest, f"a policy, here or at a lane, has version {newest} already"),
        (policy.expires_at <= now_s, "the policy has expired"),
    )
    for is_wrong, sentence in checks:
        if is_wrong:
            raise RotationRefused(sentence)
    return _put(lender, now_s, policy=_signed(policy, lender.keys[Role.POLICY]))


def _publish_keys(
    lender: Lender,
    keys: tuple[KeyEntry, ...],
    now_s: int,
    *,
    root: SigningKey | None = None,
    policy_key: SigningKey | None = None,
) -> Lender:
    """The next key list, without keys that have ended; a new policy key signs the policy in force again."""
    listed: KeyList = replace(
        lender.key_list,
        version=reports.newest_documents(lender)[0] + 1,
        issued_at=now_s,
        expires_at=now_s + DOCUMENT_LIFE_S,
        keys=tuple(entry for entry in keys if entry.exp_at > now_s),
    )
    try:
        documents = {"key_list": trust.sign_key_list(listed, root or lender.keys[ROOT])}
    except TrustError as error:
        raise RotationRefused(str(error)) from None
    if policy_key is not None:
        again = parse_policy(lender.policy.payload() | {"version": reports.newest_documents(lender)[1] + 1})
        documents["policy"] = _signed(again, policy_key)
    return _put(lender, now_s, **documents)


def _ended(entry: KeyEntry, at: int) -> KeyEntry:
    return replace(entry, exp_at=min(entry.exp_at, at))


def _keep_key(lender: Lender, role: str, key: SigningKey) -> None:
    mine = (LenderKey.lender == lender.lender) & (LenderKey.role == role)
    LenderKey.update(pem=key.to_pem()).where(mine).execute()


def _signed(policy: Policy, key: SigningKey) -> bytes:
    """The policy as it is about to be published, and kept from now on."""
    data = sign_policy(policy, key)
    KeptPolicy.create(lender=policy.lender, version=policy.version, data=data)
    return data


def _put(lender: Lender, now_s: int, **documents: bytes) -> Lender:
    LenderRow.update(documents).where(LenderRow.lender == lender.lender).execute()
    return lenders.load_all(now_s)[lender.lender]
