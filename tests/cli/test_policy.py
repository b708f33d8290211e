"""`counterfoil policy`: what the field sees of a policy, sound or not."""

import json
from pathlib import Path

import pytest

from agent import texts
from agent.cli.main import main
from agent.core import cbor, trust
from agent.core.cose import SigningKey
from agent.core.default_policy import default_policy
from agent.core.policy import TYP, parse_policy, sign_policy

NOW = 1_800_000_000
ROOT = SigningKey.from_seed("ed25519", b"r" * 32)
KEY = SigningKey.from_seed("p256", b"p" * 32)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    entry = trust.KeyEntry(KEY.public.kid, KEY.public, trust.Role.POLICY, NOW, NOW + 500)
    keys = trust.KeyList("demo", 1, NOW, NOW + 500, (entry,), "CNY")
    document = default_policy("demo", version=3, issued_at=NOW, expires_at=NOW + 100)
    (tmp_path / "root").write_bytes(cbor.encode(ROOT.public.to_cose_key()))
    (tmp_path / "keys").write_bytes(trust.sign_key_list(keys, ROOT))
    (tmp_path / "policy").write_bytes(sign_policy(parse_policy(document), KEY))
    (tmp_path / "faulty").write_bytes(trust.sign_document(document | {"version": 0, "currency": ""}, KEY, TYP))
    return tmp_path


def verify(files: Path, name: str = "policy", at: int = NOW) -> int:
    where = ["--keys", str(files / "keys"), "--root", str(files / "root")]
    return main(["policy", "verify", str(files / name), *where, "--at", str(at)])


def test_show_explains_every_rule_and_says_that_it_verified_nothing(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["policy", "show", str(files / "policy")]) == 0
    told = capsys.readouterr().out
    assert "Policy 3 of lender demo, not verified." in told
    for rule in default_policy("", version=1, issued_at=1, expires_at=2)["rules"]:
        assert rule["id"] in told and rule["when"] in told


def test_verify_believes_the_lender_within_the_policys_life(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(files) == 0
    assert "Policy 3 of lender demo, verified." in capsys.readouterr().out
    assert verify(files, at=NOW + 100) == 1
    assert "expired at 2027-01-15T08:01:40Z" in capsys.readouterr().err


def test_verify_names_all_faults_and_prints_no_policy(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(files, "faulty") == 1
    told = capsys.readouterr()
    assert "version:" in told.err and "currency:" in told.err and told.out == ""


@pytest.mark.parametrize("name", ["policy", "keys", "root"])
def test_a_spoilt_file_is_a_sentence_not_a_stack_trace(
    files: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for content in (b"", b"\xff" * 40, bytes(reversed((files / name).read_bytes()))):
        (files / name).write_bytes(content)
        assert verify(files) == 1
        told = capsys.readouterr().err
        assert str(files / name) in told and "Traceback" not in told


def test_json_gives_the_document_and_whether_it_is_verified(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "show", "--json", str(files / "policy")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verified"] is False and parse_policy(told["policy"]).version == 3


def test_variables_lists_every_name_with_its_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "variables", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sale_amount_minor"]["type"] == "int" and all(entry["meaning"] for entry in told.values())
    assert main(["policy", "variables"]) == 0
    assert "pass_user_verified" in capsys.readouterr().out


def test_every_name_has_a_meaning_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "variables", "--json", "--language", "zh-CN"]) == 0
    said = {name: row["meaning"] for name, row in json.loads(capsys.readouterr().out).items()}
    assert [name for name, meaning in said.items() if meaning.isascii()] == []
    assert set(json.loads((Path(texts.__file__).parent / "meanings.zh-CN.json").read_text("utf-8"))) == set(said)
