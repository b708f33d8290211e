"""Lenders: their keys by role, and the documents that they sign for lanes.

The one rule: what a lane must believe offline is signed by the key of its role; the root signs key lists only.

The reference backend keeps all keys, the root too, in its database; an operator keeps the root elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.core import trust
from agent.core.cose import PublicKey, SigningKey
from agent.core.default_policy import default_policy
from agent.core.policy import Policy, parse_policy, read_policy, sign_policy, verify_policy
from agent.core.trust import AID_DEFAULT, AID_TRAINING, KeyEntry, KeyList, Role
from backend.database import compiled, fetch, rows
from backend.schema import Contract, KeptPolicy, LenderKey
from backend.schema import Lender as LenderRow

ROOT: Final = "root"
TIME_TYP: Final = "counterfoil-time"
DOCUMENT_LIFE_S: Final = 365 * 24 * 3600
CLOCK_SKEW_S: Final = 24 * 3600  # keys count from a day before, for lanes whose clock is behind

Randomness = Callable[[int], bytes]

# Compiled once: looked at before nearly every answer.
_DOCUMENTS: Final = compiled(
    LenderRow.select(LenderRow.lender, LenderRow.key_list, LenderRow.policy).order_by(LenderRow.lender)
)

_CONTRACTS: Final = compiled(
    Contract.select(Contract.lender, Contract.merchant).order_by(Contract.lender, Contract.merchant)
)


@dataclass(frozen=True, slots=True)
class Lender:
    """A lender as the services use it: names, signing keys by role, and the two documents in force."""

    lender: str
    name: str
    currency: str
    keys: Mapping[str, SigningKey]
    key_list_bytes: bytes
    key_list: KeyList
    policy_bytes: bytes
    policy: Policy
    merchants: frozenset[str] = frozenset()
    """Whose lanes it serves; empty: every merchant's."""

    @property
    def root(self) -> PublicKey:
        return self.keys[ROOT].public

    def serves(self, merchant: str) -> bool:
        return not self.merchants or merchant in self.merchants

    def sign_snapshot(self, payload: Mapping[str, object]) -> bytes:
        return trust.sign_document(payload, self.keys[Role.SNAPSHOT], "counterfoil-snapshot")

    def sign_time(self, nonce: bytes, now_s: int) -> bytes:
        """The time bound to a lane's nonce, so that an old answer cannot be played again (lease rule 14)."""
        payload = {"lender": self.lender, "nonce": nonce, "time": now_s}
        return trust.sign_document(payload, self.keys[Role.TIME], TIME_TYP)


def create(
    lender: str,
    name: str,
    currency: str,
    *,
    now_s: int,
    randomness: Randomness,
    policy: Mapping[str, Any] | None = None,
    is_training: bool = False,
) -> Lender:
    """A new lender with fresh keys (P-256 root, Ed25519 others), a key list and the default or the given policy."""
    keys = {str(role): SigningKey.from_seed("ed25519", randomness(32)) for role in Role}
    signing: dict[str, SigningKey] = {ROOT: SigningKey.from_seed("p256", randomness(32)), **keys}
    valid = (now_s - CLOCK_SKEW_S, now_s + DOCUMENT_LIFE_S)
    key_list = KeyList(
        lender=lender,
        version=1,
        issued_at=valid[0],
        expires_at=valid[1],
        keys=tuple(KeyEntry(key.public.kid, key.public, Role(role), *valid) for role, key in keys.items()),
        currency=currency,
        aid=AID_TRAINING if is_training else AID_DEFAULT,
    )
    document = policy or default_policy(lender, version=1, issued_at=valid[0], expires_at=valid[1], currency=currency)
    checked = parse_policy(document)
    signed = sign_policy(checked, signing[Role.POLICY])
    LenderRow.create(
        lender=lender,
        name=name,
        currency=currency,
        key_list=trust.sign_key_list(key_list, signing[ROOT]),
        policy=signed,
    )
    KeptPolicy.create(lender=lender, version=checked.version, data=signed)
    for role, key in signing.items():
        LenderKey.create(lender=lender, role=role, pem=key.to_pem())
    return load_all(now_s)[lender]


def set_merchants(lender: str, merchants: Iterable[str]) -> None:
    """Whose lanes the lender serves from now on; none named: every merchant's. What its leases still promise stands.
    To be called inside a transaction."""
    Contract.delete().where(Contract.lender == lender).execute()
    for merchant in sorted(set(merchants)):
        Contract.create(lender=lender, merchant=merchant)


class InForce(Mapping[str, Lender]):
    """Every lender by its id, as it is in the database now: what another process (an operator's command) has changed
    is seen after a second. ``clock`` gives UTC seconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._looked_at = clock()
        self._documents = _documents()
        self._lenders = load_all(self._looked_at)

    def __getitem__(self, lender: str) -> Lender:
        return self._current()[lender]

    def __iter__(self) -> Iterator[str]:
        return iter(self._current())

    def __len__(self) -> int:
        return len(self._current())

    def _current(self) -> dict[str, Lender]:
        now_s = self._clock()
        if now_s != self._looked_at:
            self._looked_at = now_s
            documents = _documents()
            if documents != self._documents:
                self._lenders = load_all(now_s)
                self._documents = documents
        return self._lenders


def _documents() -> list[tuple[Any, ...]]:
    return [tuple(map(_plain, row)) for row in (*fetch(_DOCUMENTS), *fetch(_CONTRACTS))]


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else bytes(value)


def policy_of(lender: str, version: int) -> Policy | None:
    """The policy that a lender published under this version; None: it never did. Raises PolicyError."""
    row = KeptPolicy.get_or_none(lender=lender, version=version)
    return read_policy(bytes(row.data)) if row else None


def load_all(now_s: int) -> dict[str, Lender]:
    """Every lender by its id, documents verified as a lane would."""
    return {row.lender: _load(row, now_s) for row in LenderRow.select().order_by(LenderRow.lender)}


def _load(row: LenderRow, now_s: int) -> Lender:
    pems = LenderKey.select(LenderKey.role, LenderKey.pem).where(LenderKey.lender == row.lender)
    keys = {role: SigningKey.from_pem(pem) for role, pem in rows(pems)}
    merchants = Contract.select(Contract.merchant).where(Contract.lender == row.lender)
    key_list = trust.verify_key_list(row.key_list, keys[ROOT].public, version_min=0)
    return Lender(
        lender=row.lender,
        name=row.name,
        currency=row.currency,
        keys=keys,
        key_list_bytes=row.key_list,
        key_list=key_list,
        policy_bytes=row.policy,
        policy=verify_policy(row.policy, key_list, at=now_s),
        merchants=frozenset(merchant for (merchant,) in rows(merchants)),
    )
