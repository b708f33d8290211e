"""Operations on what a lender signs for its lanes: its keys and its policy.

The one rule: a refusal leaves the documents in force as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent.core.cose import Kind
from agent.core.trust import Role
from backend import rotation
from backend.admin.named import chosen_lender
from backend.admin.operation import Answer, Refused
from backend.admin.words import moment
from backend.compose import Backend
from backend.database import transact
from backend.lenders import ROOT, Lender, load_all
from backend.rotation import RotationRefused


def show_keys(backend: Backend, *, lender: str | None = None) -> Answer:
    """The keys that the lender's root vouches for now."""
    return _keys_to_json(_in_force(backend, lender))


def rotate_key(backend: Backend, *, role: str, algorithm: Kind | None = None, lender: str | None = None) -> Answer:
    """Sign in a role with a fresh key from now on, or hand over to a fresh root (which is always P-256)."""
    if role not in (ROOT, *map(str, Role)):
        raise Refused(f"a role is one of {', '.join((ROOT, *map(str, Role)))}")

    def work(known: Lender) -> Lender:
        now_s, randomness = backend.clock(), backend.randomness
        if role == ROOT:
            return rotation.change_root(known, now_s=now_s, randomness=randomness)
        return rotation.rotate_key(known, Role(role), now_s=now_s, randomness=randomness, algorithm=algorithm)

    return _keys_to_json(_changed(backend, lender, work))


def revoke_key(backend: Backend, *, kid: str, lender: str | None = None) -> Answer:
    """Nothing that the key has signed counts any more; if it was in use, a fresh one takes its place."""
    try:
        wanted = bytes.fromhex(kid)
    except ValueError:
        raise Refused("a key is named by its id in hex; see: keys show") from None

    def work(known: Lender) -> Lender:
        return rotation.revoke_key(known, wanted, now_s=backend.clock(), randomness=backend.randomness)

    return _keys_to_json(_changed(backend, lender or _whose(backend, wanted), work))


def _whose(backend: Backend, kid: bytes) -> str | None:
    """The lender that has this key; None if it is nobody's."""
    known = ((each.lender, entry.kid) for each in backend.lenders.values() for entry in each.key_list.keys)
    return next((lender for lender, its in known if its == kid), None)


def publish_policy(backend: Backend, *, document: dict[str, Any], lender: str | None = None) -> Answer:
    """Put a policy of a newer version in force, once it is found to be usable."""
    known = _changed(backend, lender, lambda now: rotation.publish_policy(now, document, now_s=backend.clock()))
    return {"lender": known.lender, "version": known.policy.version, "expires_at": moment(known.policy.expires_at)}


def show_policy(backend: Backend, *, lender: str | None = None) -> Answer:
    """The policy in force, as a document to start the next one from."""
    return {"policy": dict(_in_force(backend, lender).policy.payload())}


def _changed(backend: Backend, lender: str | None, work: Callable[[Lender], Lender]) -> Lender:
    try:
        return transact(backend.database, lambda: work(_in_force(backend, lender)))
    except RotationRefused as refused:
        raise Refused(str(refused)) from None


def _in_force(backend: Backend, lender: str | None) -> Lender:
    """Read now: what the server has at hand may be a second old, and the next version must follow the last one."""
    return load_all(backend.clock())[chosen_lender(backend, lender).lender]


def _keys_to_json(known: Lender) -> Answer:
    listed = known.key_list
    keys = [
        {
            "role": str(entry.role),
            "kid": entry.kid.hex(),
            "from": moment(entry.nbf_at),
            "until": moment(entry.exp_at),
            "revoked": entry.revoked,
            "in_use": known.keys[entry.role].public.kid == entry.kid,
        }
        for entry in listed.keys
    ]
    return {"lender": known.lender, "version": listed.version, "roots": len(listed.succession) + 1, "keys": keys}
