"""The kit is what a backend's team writes by hand: whatever is wrong with it is said before anything is sent."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from agent.conformance import kit
from agent.conformance.kit import BadKit, HookFailed
from agent.core.cose import SigningKey

KEY = SigningKey.from_seed("p256", bytes(32)).to_pem().decode()
PHONE = {
    "lender": "demo", "account": "00" * 16, "limit_minor": 500_000, "credential": base64.b64encode(b"x").decode(),
    "key": KEY,
}  # fmt: skip
LEAST: dict[str, Any] = {"lenders": ["demo"], "codes": ["AAAA"], "phones": [PHONE]}


def written(directory: Path, document: Any) -> Path:
    path = directory / "kit.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_lenders_codes_and_phones_are_enough(tmp_path: Path) -> None:
    read = kit.load(written(tmp_path, LEAST))
    assert (read.codes, read.phones[0].account, read.hooks, read.expired_code) == (("AAAA",), bytes(16), {}, None)


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ("{", "JSONDecodeError"),
        ({}, "codes"),
        (LEAST | {"codes": []}, "at least one code"),
        (LEAST | {"hooks": {"explode": "true"}}, "explode"),
        (LEAST | {"phones": [PHONE | {"account": "zz"}]}, "hex"),
        (LEAST | {"phones": [PHONE | {"key": "no PEM"}]}, "PKCS #8"),
        (LEAST | {"blocked_phone": {}}, "lender"),
    ],
)
def test_a_file_that_is_no_kit_is_refused_by_what_is_wrong(tmp_path: Path, document: Any, word: str) -> None:
    with pytest.raises(BadKit, match=word):
        kit.load(written(tmp_path, document))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadKit, match=r"nowhere\.json"):
        kit.load(tmp_path / "nowhere.json")


def test_a_hook_is_told_what_it_is_about_and_answers_with_what_it_prints(tmp_path: Path) -> None:
    read = kit.load(written(tmp_path, LEAST | {"hooks": {"replace_lane": "echo code-of-{lane}"}}))
    assert read.hooks["replace_lane"](lane="lane-7") == "code-of-lane-7"


def test_a_hook_that_fails_says_so(tmp_path: Path) -> None:
    read = kit.load(written(tmp_path, LEAST | {"hooks": {"restart": "echo no such service >&2; exit 3"}}))
    with pytest.raises(HookFailed, match="exit code 3: no such service"):
        read.hooks["restart"]()
