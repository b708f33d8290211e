"""A lender for tests and the field, in one directory: root, credential key, phone and signed key list.

The one rule: an existing file is never overwritten, and private keys are readable by their owner alone.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from agent.core import cbor
from agent.core.cose import CoseError, Kind, PublicKey, SigningKey
from agent.core.trust import KeyEntry, KeyList, Role, TrustError, sign_key_list, verify_key_list
from agent.errors import CounterfoilError

ROOT_PEM, CREDENTIAL_PEM, PHONE_PEM = "root.pem", "credential.pem", "phone.pem"
ROOT_PUBLIC = "root.cbor"  # COSE_Key (RFC 9052 §7), the part that a lane pins
KEY_LIST = "keys.cose"
FILES = (ROOT_PEM, CREDENTIAL_PEM, PHONE_PEM, ROOT_PUBLIC, KEY_LIST)
LIFE_S = 365 * 24 * 3600
CLOCK_SLACK_S = 24 * 3600  # a lane whose clock is behind can use the lender at once


class KeysUnusable(CounterfoilError):
    """The keys of the sandbox lender cannot be used."""

    code = "keys_unusable"
    hint = "Make a sandbox lender with `counterfoil pass issue --init DIR`, in a directory that holds none yet."


@dataclass(frozen=True, slots=True)
class SandboxLender:
    """What issues passes: the lender's key list, its credential key and the phone of its one customer."""

    keys: KeyList
    credential_key: SigningKey
    phone_key: SigningKey


def create(directory: Path, *, lender: str, currency: str, kind: Kind, now_s: int) -> KeyList:
    """Make a sandbox lender with fresh keys, valid for a year. Raises KeysUnusable, OSError."""
    if any((directory / name).exists() for name in FILES):
        raise KeysUnusable(f"{directory}: a sandbox lender is there already; nothing was overwritten")
    root, credential, phone = (SigningKey.from_seed(kind, os.urandom(32)) for _ in range(3))
    begin, end = now_s - CLOCK_SLACK_S, now_s + LIFE_S
    entry = KeyEntry(credential.public.kid, credential.public, Role.CREDENTIAL, begin, end)
    keys = KeyList(lender, 1, begin, end, (entry,), currency)
    try:
        signed = sign_key_list(keys, root)
    except TrustError as error:
        raise KeysUnusable(str(error)) from error
    directory.mkdir(parents=True, exist_ok=True)
    for name, content, mode in (
        (ROOT_PEM, root.to_pem(), 0o600),
        (CREDENTIAL_PEM, credential.to_pem(), 0o600),
        (PHONE_PEM, phone.to_pem(), 0o600),
        (ROOT_PUBLIC, cbor.encode(root.public.to_cose_key()), 0o644),
        (KEY_LIST, signed, 0o644),
    ):
        descriptor = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    return keys


def load(directory: Path) -> SandboxLender:
    """The sandbox lender in `directory`. Raises KeysUnusable."""
    keys = load_keys(directory / KEY_LIST, directory / ROOT_PUBLIC)
    return SandboxLender(keys, _private(directory / CREDENTIAL_PEM), _private(directory / PHONE_PEM))


def load_keys(key_list: Path, root: Path) -> KeyList:
    """A key list under its root, both from files. Raises KeysUnusable."""
    try:
        pinned = PublicKey.from_cose_key(cbor.decode(_read(root), deterministic=False))
    except (cbor.CborError, CoseError) as error:
        raise KeysUnusable(f"{root}: no public root key: {error}") from error
    try:
        return verify_key_list(_read(key_list), pinned, version_min=0)
    except TrustError as error:
        raise KeysUnusable(f"{key_list}: {error}") from error


def _private(path: Path) -> SigningKey:
    try:
        return SigningKey.from_pem(_read(path))
    except CoseError as error:
        raise KeysUnusable(f"{path}: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeysUnusable(f"{path}: {error.strerror}") from error
