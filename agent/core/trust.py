"""The trust chain of a lender: a pinned offline root signs a key list, the keys of the list sign everything else.

The one rule: a key signs only what its role is for, only while it is valid, and an older list never replaces a newer.
A list also says how the lender's root changed, each change signed by the root before it; so whoever pinned an older
root walks from there to the one that signs the list.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from agent.core import cbor, cose
from agent.core.cose import CoseError, PublicKey, Signer

KEY_LIST_TYPE = "counterfoil-keys"
ROOT_CHANGE_TYPE = "counterfoil-root"
AID_DEFAULT = bytes.fromhex("F043464F494C01")  # proprietary, category F of ISO/IEC 7816-5, then "CFOIL" and 1
AID_TRAINING = bytes.fromhex("F043464F494C54")  # the same and "T": passes, and so lenders and lanes, of training
LENDER_CHARS_MAX = 16
KEYS_MAX = 64
ROOT_CHANGES_MAX = 32  # at 160 bytes each; a root lasts for years


class Role(StrEnum):
    """What a key of a lender may sign."""

    CREDENTIAL = "credential"
    POLICY = "policy"
    SNAPSHOT = "snapshot"
    TIME = "time"
    COUPON = "coupon"


class TrustError(Exception):
    """A key list, a key or a signed document is not to be trusted. `reason` is a stable id, the message a sentence.

    Reasons: malformed, bad_signature, version_rolled_back, other_lender, list_expired, key_unknown, key_wrong_role,
    key_revoked, key_not_yet, key_expired.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A key of a lender: valid for `role` while nbf_at <= t < exp_at (seconds UTC), unless revoked."""

    kid: bytes
    key: PublicKey
    role: Role
    nbf_at: int
    exp_at: int
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class KeyList:
    """What a lender's root vouches for: its keys, its currency (ISO 4217) and the AID of its passes.

    `version` grows with each list; from `expires_at` on (seconds UTC) none of its keys counts. `succession` are the
    signed changes of the root up to now, oldest first (`sign_root_change`).
    """

    lender: str
    version: int
    issued_at: int
    expires_at: int
    keys: tuple[KeyEntry, ...]
    currency: str
    aid: bytes = AID_DEFAULT
    succession: tuple[bytes, ...] = ()

    @property
    def is_training(self) -> bool:
        """Whether the lender lends play money only: its root says so, and no lane takes both kinds of lenders."""
        return self.aid == AID_TRAINING

    def find(self, kid: bytes, role: Role | str, at: int) -> PublicKey:
        """The key `kid` if it may sign as `role` at `at`.

        Raises TrustError: key_unknown, key_wrong_role, key_revoked, list_expired, key_not_yet, key_expired.
        """
        entry = next((entry for entry in self.keys if entry.kid == kid), None)
        if entry is None:
            raise TrustError("key_unknown", f"The lender {self.lender} has no key {kid.hex()}.")
        if entry.role != role:
            raise TrustError("key_wrong_role", f"The key {kid.hex()} signs as {entry.role}, not as {role}.")
        if entry.revoked:
            raise TrustError("key_revoked", f"The key {kid.hex()} has been revoked.")
        if at >= self.expires_at:
            raise TrustError("list_expired", f"The key list of the lender {self.lender} has expired.")
        if at < entry.nbf_at:
            raise TrustError("key_not_yet", f"The key {kid.hex()} is not valid yet.")
        if at >= entry.exp_at:
            raise TrustError("key_expired", f"The key {kid.hex()} has expired.")
        return entry.key


def sign_key_list(keys: KeyList, root: Signer) -> bytes:
    """The signed list as a COSE_Sign1 of type counterfoil-keys. Raises TrustError for a list no lane would take."""
    fields: dict[cbor.Key, cbor.Value] = {
        "lender": keys.lender,
        "version": keys.version,
        "issued_at": keys.issued_at,
        "expires_at": keys.expires_at,
        "currency": keys.currency,
        "aid": keys.aid,
        "keys": [_entry_to_cbor(entry) for entry in keys.keys],
    }
    if keys.succession:
        fields["succession"] = list(keys.succession)
    _key_list(fields)
    return cose.sign1(cbor.encode(fields), root, kid=root.public.kid, typ=KEY_LIST_TYPE)


def verify_key_list(data: bytes, root: PublicKey, *, version_min: int) -> KeyList:
    """The list that the pinned root, or the root that followed it, signed; refuses versions below `version_min`.

    Raises TrustError: malformed, bad_signature, other_lender, version_rolled_back. Expiry is judged where a key is
    used. Which root signed, and is to be pinned from now on, says `root_of`.
    """
    root_of(data, root)
    keys = _key_list(_map(cose.parse1(data).payload))
    if keys.version < version_min:
        raise TrustError(
            "version_rolled_back", f"The key list has version {keys.version}, but {version_min} is already known."
        )
    return keys


def root_of(data: bytes, pinned: PublicKey) -> PublicKey:
    """The root that signed a key list: the pinned one, or its successor by the list's own succession.

    Raises TrustError: malformed, bad_signature, other_lender.
    """
    try:
        signed = cose.parse1(data)
    except CoseError as error:
        raise TrustError("malformed", f"The key list is not readable: {error}") from error
    fields = _map(signed.payload)
    root = _follow(_succession(fields), pinned, fields.get("lender"))
    try:
        cose.check1(signed, root, typ=KEY_LIST_TYPE)
    except CoseError as error:
        raise TrustError("bad_signature", str(error)) from error
    return root


def sign_root_change(lender: str, version: int, old: Signer, new: PublicKey) -> bytes:
    """One step of a succession: the root `old` of `lender` hands over to `new`, its root of number `version` (> 1)."""
    payload = cbor.encode({"lender": lender, "version": version, "root": new.to_cose_key()})
    return cose.sign1(payload, old, kid=old.public.kid, typ=ROOT_CHANGE_TYPE)


def sign_document(payload: Mapping[str, object] | Mapping[int, object], key: Signer, typ: str) -> bytes:
    """A document of a lender (policy, snapshot manifest, time) as a COSE_Sign1 with kid and type."""
    return cose.sign1(cbor.encode(dict(payload)), key, kid=key.public.kid, typ=typ)


def verify_document(data: bytes, keys: KeyList, *, role: Role | str, typ: str, at: int) -> dict[cbor.Key, cbor.Value]:
    """The payload of a document that a key of `role` signed as `typ`. Raises TrustError (any reason but the roots')."""
    try:
        signed = cose.parse1(data)
    except CoseError as error:
        raise TrustError("malformed", f"The document is not readable: {error}") from error
    if signed.kid is None:
        raise TrustError("key_unknown", "The document does not name the key that signed it.")
    key = keys.find(signed.kid, role, at)
    try:
        cose.check1(signed, key, typ=typ)
    except CoseError as error:
        raise TrustError("bad_signature", str(error)) from error
    return _map(signed.payload)


def _verified(data: bytes, key: PublicKey, typ: str) -> cose.Signed:
    try:
        return cose.verify1(data, key, typ=typ)
    except CoseError as error:
        reason = "malformed" if error.reason == "malformed" else "bad_signature"
        raise TrustError(reason, str(error)) from error


def _map(payload: bytes) -> dict[cbor.Key, cbor.Value]:
    try:
        fields = cbor.decode(payload, deterministic=False)
    except cbor.CborError as error:
        raise TrustError("malformed", f"The content is not readable CBOR: {error}.") from error
    if not isinstance(fields, dict):
        raise TrustError("malformed", "The content is not a CBOR map.")
    return fields


Field = TypeVar("Field", int, str, bytes, bool, list[cbor.Value])


def _field(fields: dict[cbor.Key, cbor.Value], name: str, kind: type[Field]) -> Field:
    value = fields.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TrustError("malformed", f"The field {name} is missing or of the wrong type.")
    return value


def _follow(succession: Iterable[bytes], pinned: PublicKey, lender: cbor.Value) -> PublicKey:
    """Walk from the pinned root to the newest; what lies before the pinned one is passed over, never believed."""
    root, version = pinned, 0
    for change in succession:
        if _kid_of(change) != root.kid:
            continue
        fields = _map(_verified(change, root, ROOT_CHANGE_TYPE).payload)
        if fields.get("lender") != lender:
            raise TrustError("other_lender", "A change of root is for another lender.")
        if (changed := _field(fields, "version", int)) <= version:
            raise TrustError("malformed", "The changes of root are not in order.")
        try:
            root, version = PublicKey.from_cose_key(fields.get("root")), changed
        except CoseError as error:
            raise TrustError("malformed", f"The change of root is not readable: {error}") from error
    return root


def _kid_of(change: bytes) -> bytes | None:
    try:
        return cose.parse1(change).kid
    except CoseError as error:
        raise TrustError("malformed", f"A change of root is not readable: {error}") from error


def _succession(fields: dict[cbor.Key, cbor.Value]) -> tuple[bytes, ...]:
    changes = fields.get("succession", [])
    if not isinstance(changes, list) or len(changes) > ROOT_CHANGES_MAX:
        raise TrustError("malformed", "The succession of roots is no list, or too long.")
    found = tuple(change for change in changes if isinstance(change, bytes))
    if len(found) != len(changes):
        raise TrustError("malformed", "A change of root is not a byte string.")
    return found


def _key_list(fields: dict[cbor.Key, cbor.Value]) -> KeyList:
    """Read and check a key list; the only door by which one comes into being from bytes."""
    keys = KeyList(
        lender=_field(fields, "lender", str),
        version=_field(fields, "version", int),
        issued_at=_field(fields, "issued_at", int),
        expires_at=_field(fields, "expires_at", int),
        keys=tuple(_entry(entry) for entry in _field(fields, "keys", list)),
        currency=_field(fields, "currency", str),
        aid=_field(fields, "aid", bytes),
        succession=_succession(fields),
    )
    _check_list(keys)
    return keys


def _entry_to_cbor(entry: KeyEntry) -> cbor.Value:
    return {
        "kid": entry.kid,
        "key": entry.key.to_cose_key(),
        "role": str(entry.role),
        "nbf_at": entry.nbf_at,
        "exp_at": entry.exp_at,
        "revoked": entry.revoked,
    }


def _entry(fields: cbor.Value) -> KeyEntry:
    if not isinstance(fields, dict):
        raise TrustError("malformed", "A key of the key list is not a CBOR map.")
    try:
        key = PublicKey.from_cose_key(fields.get("key"))
        role = Role(_field(fields, "role", str))
    except CoseError as error:
        raise TrustError("malformed", f"A key of the key list is not usable: {error}") from error
    except ValueError as error:
        raise TrustError("malformed", "A key of the key list has a role that is not known here.") from error
    return KeyEntry(
        kid=_field(fields, "kid", bytes),
        key=key,
        role=role,
        nbf_at=_field(fields, "nbf_at", int),
        exp_at=_field(fields, "exp_at", int),
        revoked=_field(fields, "revoked", bool),
    )


def _check_list(keys: KeyList) -> None:
    problems = (
        (not 1 <= len(keys.lender) <= LENDER_CHARS_MAX, "the lender id is not 1 to 16 characters long"),
        (keys.version < 0 or keys.issued_at < 0, "the version or the date of issue is negative"),
        (keys.expires_at <= keys.issued_at, "the list expires before it is issued"),
        (not (len(keys.currency) == 3 and keys.currency.isascii() and keys.currency.isupper()), "no ISO 4217 currency"),
        (not 5 <= len(keys.aid) <= 16, "the AID is not 5 to 16 bytes long"),  # ISO/IEC 7816-4 §8.2.1.2
        (len(keys.keys) > KEYS_MAX, "there are too many keys"),
        (any(entry.kid != entry.key.kid for entry in keys.keys), "a key id does not belong to its key"),
        # The same key in two entries would let one role borrow the other's signatures.
        (len({entry.kid for entry in keys.keys}) != len(keys.keys), "a key appears twice"),
        (any(entry.exp_at <= entry.nbf_at for entry in keys.keys), "a key expires before it is valid"),
    )
    for wrong, problem in problems:
        if wrong:
            raise TrustError("malformed", f"The key list is not usable: {problem}.")
