"""The parts of a decision that are only thinking: the pass, the lookup, the rules.

The one rule: each part is the product's own function upon real input, beside the least work of its kind.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Final

from agent.bench.bare import IntegerKeys
from agent.bench.measure import Figure, Size, compare
from agent.bench.props import LENDER, RULES_COUNT, Lender, private_key
from agent.core import credit_pass, sm2
from agent.core.cel_rules import evaluate_all
from agent.core.cose import Kind
from agent.core.policy import verify_policy
from agent.core.policy_vocabulary import RULE_VARIABLES
from agent.core.snapshot_reader import Stack, trusting
from agent.store.snapshot_files import SnapshotFiles

KEY_BYTES: Final = 8
MESSAGE: Final = bytes(220)
"""As long as what the signature of a credential covers."""
RULES_MAX_US: Final = 150
KINDS: Final[tuple[Kind, ...]] = ("ed25519", "p256", *(("sm2",) if sm2.is_installed() else ()))


def two_checks(kind: Kind) -> Callable[[], None]:
    """Two raw signature checks, as a pass needs them: the lender's and the phone's."""
    key = private_key("raw", kind)
    public, signature = key.public, key.sign(MESSAGE)

    def check() -> None:
        assert public.verify(signature, MESSAGE) and public.verify(signature, MESSAGE)

    return check


def passes(size: Size, now_s: int) -> Iterator[Figure]:
    for kind in KINDS:
        _, verified = compare(size, two_checks(kind), _verification(kind, now_s))
        yield Figure(
            f"pass verified, {kind}",
            verified.median_us,
            "us",
            verified.ratio,
            "two raw checks",
            limit="TLV, CBOR and claims in Python",
        )


def _verification(kind: Kind, now_s: int) -> Callable[[], object]:
    lender = Lender(now_s, kind)
    code, trust = lender.phone(bytes(16)).code(now_s), {LENDER: lender.key_list}
    return lambda: credit_pass.verify(code, trust, scanned_at=now_s)


def lookups(directory: Path, size: Size, now_s: int, accounts: int) -> Iterator[Figure]:
    """A hit in a signed layer on disk, warm, beside the same accounts in SQLite by integer key."""
    lender, tokens = Lender(now_s), sorted(os.urandom(16) for _ in range(accounts))
    stack = _installed(directory, lender, tokens)
    keys = [int.from_bytes(token[:KEY_BYTES], "big", signed=True) for token in tokens]
    rival = IntegerKeys(directory / "keys.db", keys)
    asked = random.Random(1).sample(range(accounts), 500)
    some_keys, some_tokens = cycle([keys[index] for index in asked]), cycle([tokens[index] for index in asked])
    _, ours = compare(size, lambda: rival.lookup(next(some_keys)), lambda: stack.lookup(next(some_tokens)), each=50)
    rival.close()
    yield Figure(
        f"snapshot lookup, {accounts:,} accounts",
        ours.median_us,
        "us",
        ours.ratio,
        "SQLite integer key",
        limit="a page read and its SHA-256 checked each time",
    )


def _installed(directory: Path, lender: Lender, tokens: list[bytes]) -> Stack:
    files, verify = SnapshotFiles(directory / "layers"), trusting(lender.key_list, lender.now_s)
    path = directory / "bench.layer"
    lender.cut_layer(path, tokens)
    return files.install(path, files.check(path, verify, 0), verify)


def rules(size: Size, now_s: int) -> Iterator[Figure]:
    """All conditions of the policy over one situation in which each is asked to its end."""
    lender = Lender(now_s)
    policy = verify_policy(lender.policy(), lender.key_list, at=now_s)
    compiled = [rule.compiled for rule in policy.rules]
    values = {name: variable.low for name, variable in RULE_VARIABLES.items()}
    values |= policy.limit_values | policy.of_category("5411")
    _, every = compare(
        size, lambda: list(evaluate_all(compiled[:1], values)), lambda: list(evaluate_all(compiled, values)), each=5
    )
    yield Figure(
        f"{RULES_COUNT} rules", every.median_us, "us", every.ratio, "one rule", f"<= {RULES_MAX_US} us", "CEL, compiled"
    )
