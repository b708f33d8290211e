"""`counterfoil pass`: what the field does with passes, through the command itself."""

import io
import json
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
import zxingcpp
from PIL import Image

from agent.cli.main import main

NOW = "1763000000"


@pytest.fixture
def lender(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    directory = tmp_path / "lender"
    assert main(["pass", "issue", "--init", str(directory), "--lender", "huabei", "--at", NOW]) == 0
    capsys.readouterr()
    return directory


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, object]]:
    code = main(["pass", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def issued(capsys: pytest.CaptureFixture[str], lender: Path, *words: str) -> str:
    _, answer = run(capsys, "issue", "--keys", str(lender), "--at", NOW, *words)
    return str(answer["code"])


@pytest.mark.parametrize("kind", ["ed25519", "p256"])
def test_a_pass_of_a_sandbox_lender_is_issued_and_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert main(["pass", "issue", "--init", str(tmp_path), "--kind", kind, "--at", NOW]) == 0
    capsys.readouterr()
    code = issued(capsys, tmp_path, "--cap-minor", "50000", "--tier", "2", "--counter", "7", "--user-verified")
    for where in (
        ["--keys", str(tmp_path)],
        ["--keys", str(tmp_path / "keys.cose"), "--root", str(tmp_path / "root.cbor")],
    ):
        exit_code, answer = run(capsys, "verify", code, "--at", NOW, *where)
        assert exit_code == 0
        said = {name: answer[name] for name in ("verified", "lender", "cap_minor", "tier", "counter", "user_verified")}
        assert said == {
            "verified": True, "lender": "sandbox", "cap_minor": 50_000, "tier": 2, "counter": 7, "user_verified": True,
        }  # fmt: skip


def test_a_refused_pass_has_exit_code_1_a_reason_and_a_response_code(
    lender: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = issued(capsys, lender)
    exit_code, answer = run(capsys, "verify", code, "--keys", str(lender), "--at", str(int(NOW) + 600))
    assert (exit_code, answer["reason"], answer["response_code"]) == (1, "proof_stale", "54")


def test_show_explains_a_pass_and_says_that_nothing_is_verified(
    lender: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = issued(capsys, lender)
    assert main(["pass", "show", code]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Nothing below is verified")
    for words in ("'huabei'", "2025-11-13T02:13:20Z", "000102030405060708090a0b0c0d0e0f", "this credential"):
        assert words in text


def test_a_code_is_read_from_standard_input_with_its_line_ending(
    lender: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = issued(capsys, lender)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(code.encode() + b"\r\n")))
    assert run(capsys, "verify", "-", "--keys", str(lender), "--at", NOW)[0] == 0


def test_the_picture_of_a_pass_is_read_back_as_the_same_pass(
    lender: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, picture = issued(capsys, lender), tmp_path / "pass.png"
    _, answer = run(capsys, "image", code, "--out", str(picture))
    assert int(str(answer["version"]).removesuffix("-M")) <= 17
    with Image.open(picture) as opened:
        assert [found.text for found in zxingcpp.read_barcodes(opened)] == [code]


def test_the_terminal_shows_a_symbol(lender: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pass", "image", issued(capsys, lender)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 40
    assert len({len(line) for line in lines if line}) == 1


def test_private_keys_are_their_owners_alone_and_never_overwritten(
    lender: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in lender.iterdir()}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in lender.glob("*.pem"))
    exit_code, answer = run(capsys, "issue", "--init", str(lender))
    assert (exit_code, answer["error"]["code"]) == (1, "keys_unusable")  # type: ignore[index]
    assert {path.name: path.read_bytes() for path in lender.iterdir()} == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["show", "6901234567892"], "not_base64"),
        (["show", ""], "not_emvco"),
        (["verify", "x", "--keys", "{lender}/keys.cose"], "--root FILE"),
        (["verify", "x", "--keys", "{lender}/root.pem", "--root", "{lender}/root.cbor"], "root.pem"),
        (["verify", "x", "--keys", "{lender}/keys.cose", "--root", "{lender}/keys.cose"], "no public root key"),
        (["verify", "x", "--keys", "{lender}/none", "--root", "{lender}/none"], "No such file"),
        (["issue", "--keys", "{lender}/none"], "No such file"),
        (["issue", "--keys", "{lender}", "--tier", "9"], "tier"),
        (["issue", "--keys", "{lender}", "--valid-s", "-1"], "dates"),
        (["issue", "--keys", "{lender}", "--account", "00"], "16 bytes"),
        (["issue", "--init", "{lender}/new", "--lender", ""], "lender id"),
        (["image", "x" * 3000], "does not fit"),
        (["image", "x", "--out", "{lender}"], "directory"),
    ],
)
def test_wrong_input_is_answered_with_a_sentence_and_exit_code_1(
    lender: Path, capsys: pytest.CaptureFixture[str], words: list[str], expected: str
) -> None:
    assert main(["pass", *(word.replace("{lender}", str(lender)) for word in words)]) == 1
    out, err = capsys.readouterr()
    assert expected in out + err
    assert "Traceback" not in err
    assert "internal fault" not in err


def test_an_account_token_that_is_not_hexadecimal_is_wrong_usage(
    lender: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pass", "issue", "--keys", str(lender), "--account", "zz"]) == 2
    assert "hexadecimal" in capsys.readouterr().err
