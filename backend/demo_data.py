"""A lender, accounts and phones to show and to simulate with.

The one rule: the same randomness and the same time give the same lender, accounts and passes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from playhouse.apsw_ext import APSWDatabase

from agent.core.cose import SigningKey
from agent.core.credit_pass import Credential, Proof, assemble, issue_credential, issue_proof
from agent.core.trust import AID_DEFAULT, Role
from backend import accounts, lenders
from backend.compose import Backend, compose
from backend.database import transaction
from backend.identity import Authority
from backend.lenders import Lender, Randomness
from backend.rails.sandbox import all_sandboxes
from backend.snapshots import Plan

DEMO_LENDER: Final = "demo"
DEMO_NAME: Final = "演示信用付 Demo Credit"
CREDENTIAL_LIFE_S: Final = 6 * 24 * 3600
CREDENTIAL_BACKDATED_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Phone:
    """A customer's phone: the key that never leaves it and the credential that the lender issued for it."""

    account: bytes
    key: SigningKey
    credential: bytes
    aid: bytes = AID_DEFAULT

    def show_pass(self, *, now_s: int, cti: bytes, user_verified: bool = False) -> str:
        """The text of the QR code that the phone shows at ``now_s``; ``cti`` are 8 fresh random bytes."""
        proof = issue_proof(self.credential, Proof(now_s, cti, user_verified), self.key)
        return assemble(self.credential, proof, self.aid)

    def to_json(self) -> str:
        return json.dumps(
            {
                "account": self.account.hex(),
                "key": self.key.to_pem().decode(),
                "credential": base64.b64encode(self.credential).decode(),
                "aid": self.aid.hex(),
            },
            indent=1,
        )

    @classmethod
    def from_json(cls, text: str) -> Phone:
        fields = json.loads(text)
        key = SigningKey.from_pem(fields["key"].encode())
        credential, aid = base64.b64decode(fields["credential"]), bytes.fromhex(fields["aid"])
        return cls(bytes.fromhex(fields["account"]), key, credential, aid)


def issue_phone(
    lender: Lender,
    account: bytes,
    *,
    now_s: int,
    randomness: Randomness,
    cap_minor: int = 0,
    tier: int = 1,
    purpose_bound: bool = False,
) -> Phone:
    """A phone with a fresh key and a credential of six days, whether or not the lender knows the account."""
    key = SigningKey.from_seed("p256", randomness(32))
    credential = Credential(
        lender=lender.lender,
        account=account,
        nbf_at=now_s - CREDENTIAL_BACKDATED_S,
        exp_at=now_s + CREDENTIAL_LIFE_S,
        phone_key=key.public,
        cap_minor=cap_minor,
        tier=tier,
        purpose_bound=purpose_bound,
    )
    signed = issue_credential(credential, lender.keys[Role.CREDENTIAL])
    return Phone(account, key, signed, lender.key_list.aid)


def compose_demo(
    database: APSWDatabase,
    limits_minor: Sequence[int],
    *,
    clock: Callable[[], int],
    randomness: Randomness,
    plan: Plan,
    authority: Authority | None = None,
    currency: str = "CNY",
) -> tuple[Backend, list[Phone]]:
    """A backend over an empty database with one lender, the default policy, and one account and phone per limit."""
    now_s = clock()
    with transaction(database):
        lender = lenders.create(DEMO_LENDER, DEMO_NAME, currency, now_s=now_s, randomness=randomness)
        phones = [_customer(lender, limit, now_s, randomness) for limit in limits_minor]
    backend = compose(
        database,
        clock=clock,
        randomness=randomness,
        authority=authority or Authority.create(now_s),
        plan=plan,
        rails=all_sandboxes(database, clock),
    )
    return backend, phones


def _customer(lender: Lender, limit_minor: int, now_s: int, randomness: Randomness) -> Phone:
    token = randomness(16)
    accounts.add(lender.lender, token, limit_minor)
    return issue_phone(lender, token, now_s=now_s, randomness=randomness)
