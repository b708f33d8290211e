"""Seeded mutation of passes and CBOR: nothing but the typed refusal comes out, and no mutant is another pass."""

import base64
import os
import random

import pytest

from agent.core import cbor, cose, credit_pass
from agent.core.cbor_claims import read_claims
from agent.core.credit_pass import CreditPass, PassRejected
from tests.core.passes import DF01, LENDER, NOW, PASS, PHONE, RAW, TRUST, binding, element, foreign_code

CASES = int(os.environ.get("COUNTERFOIL_FUZZ_CASES", "100000"))
SEED = int(os.environ.get("COUNTERFOIL_FUZZ_SEED", "20261122"))
INTERESTING = b"\x00\x01\x17\x18\x1f\x40\x58\x5f\x61\x7f\x80\x81\x82\x9f\xa0\xbf\xc0\xd2\xf4\xf6\xf7\xf9\xfb\xff"

pytestmark = pytest.mark.proof


def mutant(rng: random.Random, data: bytes) -> bytes:
    """`data` after one to four changes: a byte, a cut, an insertion, a doubled or moved stretch."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at, end = sorted(rng.randrange(len(out) + 1) for _ in range(2))
        match rng.randrange(6):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(out):
                out[at] = rng.choice(INTERESTING)
            case 2:
                del out[at : min(end, at + 8)]
            case 3:
                out[at:at] = bytes(rng.choice(INTERESTING) for _ in range(rng.randint(1, 4)))
            case 4:
                out[at:at] = out[at : min(end, at + 16)]
            case _:
                out[at : at + 2] = rng.randbytes(2)
    return bytes(out)


def verified(code: bytes | str) -> CreditPass | None:
    try:
        return credit_pass.verify(code, TRUST, scanned_at=NOW)
    except PassRejected:
        return None


def signed_mutant(rng: random.Random) -> str:
    """A pass whose claims or headers are mutated before they are signed: the reader of claims sees it for certain."""
    claims = cose.parse1(DF01).payload
    df01 = cose.sign1(mutant(rng, claims), LENDER, kid=LENDER.public.kid)
    proof = cbor.encode({6: NOW, 7: b"12345678", "ch": binding(df01)})
    df02 = cose.sign1(mutant(rng, proof) if rng.random() < 0.5 else proof, PHONE)
    return foreign_code(df01, df02, after=element("62", rng.randbytes(rng.randrange(4))))


def test_no_mutant_of_a_pass_is_another_pass_and_none_raises_anything_else() -> None:
    assert verified(base64.b64encode(RAW)) == PASS
    rng = random.Random(SEED)
    for _ in range(CASES):
        assert verified(base64.b64encode(mutant(rng, RAW))) in (None, PASS)


def test_claims_mutated_before_signing_are_read_or_refused() -> None:
    rng = random.Random(SEED + 1)
    read = sum(verified(signed_mutant(rng)) is not None for _ in range(CASES // 20))
    assert 0 < read < CASES // 20  # the mutator reaches both sides


def test_unknown_claims_that_are_mutated_are_skipped_or_refused_and_the_known_stay_what_they_are() -> None:
    rng = random.Random(SEED + 3)
    known: dict[cbor.Key, cbor.Value] = {1: "huabei", "cap": [1, None]}
    # A claim "s" with a map of a float, undefined, a tag, an array and a map of no known length.
    strange = bytes.fromhex("6173a44101fb3ff199999999999af7c11a65000000f59f01ff20bf00f97e00ff")
    read = 0
    for _ in range(CASES):
        data = b"\xa3" + cbor.encode(known)[1:] + mutant(rng, strange)
        try:
            assert read_claims(data, frozenset(known)) == known
        except cbor.CborError:
            continue
        read += 1
    assert CASES // 100 < read < CASES


def test_mutants_of_cbor_are_refused_or_encode_to_themselves() -> None:
    rng = random.Random(SEED + 2)
    seed = cbor.encode({"a": [1, -1, None, True, {"b": b"bytes", 5: "text"}], 1: 2**40, "z": [[], {}]})
    for _ in range(CASES):
        data = mutant(rng, seed)
        try:
            value = cbor.decode(data)
        except cbor.CborError:
            continue
        assert cbor.encode(value) == data
