"""`counterfoil snapshot`: what the field sees of a layer, sound or not."""

import json
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.core import cbor, trust
from agent.core.cose import SigningKey
from agent.core.snapshot_layer import PAGE_BYTES, Record
from tests.core.layers import BUILT_AT, KEYS, MANIFEST, built

ROOT = SigningKey.from_seed("ed25519", b"r" * 32)
TOKEN = bytes(range(16))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    layer = built([Record(TOKEN, 12_800, BUILT_AT + 7_200, 3, blocked=True, place=(5, -2), last_seen_s=BUILT_AT - 600)])
    (tmp_path / "root").write_bytes(cbor.encode(ROOT.public.to_cose_key()))
    (tmp_path / "keys").write_bytes(trust.sign_key_list(KEYS, ROOT))
    (tmp_path / "layer").write_bytes(layer)
    (tmp_path / "damaged").write_bytes(layer[: PAGE_BYTES + 20] + b"?" + layer[PAGE_BYTES + 21 :])
    (tmp_path / "photo").write_bytes(b"JFIF" * 5_000)
    (tmp_path / "unsigned").write_bytes(layer[:-100] + bytes(100))
    return tmp_path


def verify(files: Path, name: str, *options: str) -> int:
    keys = ["--keys", str(files / "keys"), "--root", str(files / "root"), "--at", str(BUILT_AT + 60)]
    return main(["snapshot", "verify", str(files / name), *keys, *options])


def test_verify_says_that_every_page_is_signed(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(files, "layer") == 0
    told = capsys.readouterr().out
    assert "Verified at 2027-01-15T08:01:00Z: all 2 pages" in told
    assert "Includes the journal of lane lane-1 up to epoch 2, entry 140." in told


def test_verify_warns_of_a_sound_layer_that_is_too_old(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(files, "layer", "--at", str(BUILT_AT + MANIFEST.hard_age_s)) == 0
    assert "past its hard age" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "reason"),
    [("damaged", "page_wrong_digest"), ("photo", "header_malformed"), ("unsigned", "manifest_untrusted")],
)
def test_verify_names_what_is_wrong(files: Path, capsys: pytest.CaptureFixture[str], name: str, reason: str) -> None:
    assert verify(files, name, "--json") == 1
    assert json.loads(capsys.readouterr().out)["reason"] == reason
    assert verify(files, name) == 1
    assert f"Refused, {reason}: " in capsys.readouterr().out


def test_a_file_that_is_not_there_is_a_sentence(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshot", "show", str(files / "nothing")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_show_explains_and_says_that_it_verified_nothing(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshot", "show", str(files / "layer")]) == 0
    told = capsys.readouterr().out
    assert "not verified" in told and "Base layer 7" in told and "1 accounts in 1 pages" in told
    assert main(["snapshot", "show", str(files / "layer"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["verified"] is False
    assert (facts["lender"], facts["sequence"], facts["applied_through"]) == ("shoplend", 7, {"lane-1": [2, 140]})


def test_lookup_shows_what_the_lane_would_know(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshot", "lookup", str(files / "layer"), TOKEN.hex()]) == 0
    told = capsys.readouterr().out
    assert "tier 3, blocked" in told and "12800 minor units of CNY, valid until 2027-01-15T10:00:00Z" in told
    assert "5 km east and -2 km north" in told and "Last seen at 2027-01-15T07:50:00Z" in told
    assert main(["snapshot", "lookup", str(files / "layer"), TOKEN.hex(), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["record"]["allowance_minor"] == 12_800


def test_lookup_of_an_unknown_account_and_of_a_damaged_page_fail_apart(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["snapshot", "lookup", str(files / "layer"), "ff" * 16]) == 1
    assert "has no account ffff" in capsys.readouterr().out
    assert main(["snapshot", "lookup", str(files / "damaged"), TOKEN.hex()]) == 1
    assert "Refused, page_wrong_digest" in capsys.readouterr().out


@pytest.mark.parametrize("token", ["", "xyz", "00" * 15])
def test_a_mistyped_token_is_wrong_usage(files: Path, token: str) -> None:
    assert main(["snapshot", "lookup", str(files / "layer"), token]) == 2
