"""The command: every operation has a verb, answers are JSON or sentences, and a server makes no difference."""

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from agent.conformance.kit import HOOKS, load
from backend import cli
from backend.admin import client
from backend.admin.table import OPERATIONS
from backend.cli import output
from backend.cli.command import parser
from backend.cli.files import DATABASE_NOTE
from backend.demo_data import Phone
from tests.backend import postgres_server

LIMIT_MINOR = 50_000
Run = Callable[..., Any]


@pytest.fixture
def directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert cli.main(["init", "--dir", str(tmp_path / "backend"), "--json"]) == 0
    capsys.readouterr()
    return tmp_path / "backend"


@pytest.fixture
def run(directory: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """run("account", "show", code=0) -> the JSON answer of a verb."""

    def run(*words: str, code: int = 0) -> Any:
        assert cli.main([*words, "--dir", str(directory), "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def say(directory: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """say("lanes") -> what a person reads, of both streams."""

    def say(*words: str, code: int = 0) -> str:
        assert cli.main([*words, "--dir", str(directory)]) == code
        return "".join(capsys.readouterr())

    return say


@contextmanager
def served(directory: Path) -> Iterator[None]:
    words = ["serve", "--dir", str(directory), "--port", "0", "--refresh-s", "3600"]
    server = subprocess.Popen([sys.executable, "-m", "backend.cli", *words])
    try:
        for _ in range(1_200):
            connection = client.connect(directory)
            if connection is not None:
                connection.close()
                break
            time.sleep(0.05)
        yield
    finally:
        server.terminate()
        assert server.wait(60) == 0


def test_every_operation_has_a_verb_and_every_verb_an_operation() -> None:
    sources = [path.read_text() for path in Path(cli.__file__).parent.glob("*.py")]
    asked = {name for source in sources for name in re.findall(r'\bask\(\s*args,\s*"([a-z_.]+)"', source)}
    assert asked == set(OPERATIONS)


def leaves(at: Any) -> Iterator[Any]:
    """Every verb's parser."""
    groups = [action for action in at._actions if hasattr(action, "choices") and isinstance(action.choices, dict)]
    if not groups:
        yield at
    for group in groups:
        for each in group.choices.values():
            yield from leaves(each)


def test_every_verb_says_what_it_does_and_answers_in_json_if_asked() -> None:
    verbs = list(leaves(parser()))
    assert len(verbs) >= 20
    for verb in verbs:
        assert verb.description
        needs = {"--json"} if verb.prog.endswith("planner simulate") else {"--dir", "--json"}
        assert needs <= set(verb._option_string_actions)


def test_beside_a_server_every_verb_answers_as_it_does_without_one(directory: Path, run: Run) -> None:
    account = run("account", "add", "--limit-minor", str(LIMIT_MINOR))["account"]
    shown = (
        ["account", "limit", account, "--limit-minor", "70000"],
        ["account", "block", account],
        ["account", "show"],
        ["lanes"],
        ["leases"],
        ["exceptions", "list"],
        ["settle"],
        ["audit"],
        ["snapshot", "build"],
    )
    before = [run(*words) for words in shown * 2][len(shown) :]
    with served(directory):
        assert [run(*words) for words in shown] == before
        assert run("population", "import", "--accounts", "300", "--stores", "2", "--lanes", "3")["accounts"] == 300
        assert run("account", "show", "--limit", "1")["total"] == 301
        new = run("account", "add", "--limit-minor", "5")["account"]
        assert run("pass", "issue", new)["code"]
        assert cli.main(["account", "show", "00" * 16, "--dir", str(directory)]) == 1
    assert run("account", "show", new)["accounts"][0]["limit_minor"] == 5


def test_a_store_is_placed_in_degrees_and_purpose_bound_credit_is_shown_as_such(directory: Path, run: Run) -> None:
    place = ("--latitude", "-33.8688", "--longitude=151.209301", "--zone", "Australia/Sydney")
    placed = run("store", "place", "store-1", *place)
    assert (placed["latitude_udeg"], placed["longitude_udeg"], placed["zone"]) == (-33_868_800, 151_209_301, place[-1])
    assert run("store", "list")["stores"] == [placed]
    account = run("account", "add", "--limit-minor", "5", "--purpose-bound")["account"]
    assert run("account", "show", account)["accounts"][0]["purpose_bound"]
    phone = Phone.from_json((directory / "phones" / f"{account}.json").read_text())
    assert b"\x62pb\xf5" in phone.credential


def test_a_verb_is_answered_while_a_long_one_runs(directory: Path, run: Run) -> None:
    with served(directory):
        connection = client.connect(directory)
        assert connection
        asked = {"accounts": 4_000, "lanes": 5, "stores": 2, "days": 56, "seed": 1}
        steps = client.ask(connection, "population.import", asked)
        next(steps)
        done = threading.Event()
        rest: list[Any] = []
        reader = threading.Thread(target=lambda: (rest.extend(steps), done.set()))  # type: ignore[func-returns-value]
        reader.start()
        assert run("lanes") == {"lanes": []}
        assert not done.is_set()
        reader.join(600)
    assert rest[-1]["answer"]["accounts"] == 4_000


def test_a_server_that_was_killed_leaves_nothing_that_hinders(directory: Path, run: Run) -> None:
    words = ["serve", "--dir", str(directory), "--port", "0"]
    server = subprocess.Popen([sys.executable, "-m", "backend.cli", *words])
    while client.connect(directory) is None:
        time.sleep(0.05)
    server.kill()
    server.wait(60)
    assert run("lanes") == {"lanes": []}
    with served(directory):
        assert run("lanes") == {"lanes": []}


def test_a_directory_has_one_server_wherever_the_books_lie(directory: Path, say: Callable[..., str]) -> None:
    with served(directory):
        said = say("serve", "--port", "0", "--database", "postgresql://nobody@localhost:1/nothing", code=1)
    assert "another server has" in said


def test_the_trial_of_policies_needs_no_backend_and_draws_what_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--accounts", "120", "--stores", "3", "--lanes", "9", "--days", "6"]
    chart = tmp_path / "chart.svg"
    assert cli.main(["planner", "simulate", *small, "--chart", str(chart), "--json"]) == 0
    planned, *others = json.loads(capsys.readouterr().out)["policies"]
    assert planned["policy"] == "planned"
    assert float(planned["tied_up"]) < 25 < float(planned["of_regulars"])
    assert [row["tied_up"] for row in others if row["policy"].startswith("equal")] <= [planned["tied_up"]]
    drawn = ElementTree.parse(chart).getroot()
    assert len(drawn.findall("{http://www.w3.org/2000/svg}polyline")) == 3
    assert cli.main(["planner", "simulate", *small[:-1], "0"]) == 1
    assert "at least one account and one day" in capsys.readouterr().err


def test_private_files_are_the_operators_alone(directory: Path, run: Run) -> None:
    account = run("account", "add", "--limit-minor", "1")["account"]
    private = [directory / "ca.key", directory / "server.key", directory / "phones" / f"{account}.json"]
    assert [path.stat().st_mode & 0o777 for path in private] == [0o600] * 3
    assert directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["lanes"], 0, "make a code with: enroll-code --lane NAME"),
        (["leases"], 0, "nothing is outstanding"),
        (["leases", "--summary"], 0, "credit tied up: 0 minor of 0, -, of 0 accounts"),
        (["leases", "--summary", "--days", "60"], 1, "the turnover is that of 1 to 56 days"),
        (["serve", "--allowance", "planned", "--price-ppm", "0"], 1, "the price is between 1 and 1,000,000"),
        (["serve", "--lease-life-h", "300"], 1, "a lease lasts between 1 and 255 hours"),
        (["exceptions", "list"], 0, "nobody needs to look at anything"),
        (["settle"], 0, "no lane has closed a batch yet"),
        (["audit"], 0, "every limit, hold and chain is as it should be"),
        (["account", "show"], 0, "there are no accounts"),
        (["lease", "recall", "--reason", "stolen"], 0, "nothing is outstanding there"),
        (["restored", "--show"], 0, "nothing is being recovered"),
        (["store", "list"], 0, "no store has a place yet"),
        (["store", "place", "S", "--latitude", "91", "--longitude", "0"], 1, "between -90 and 90 degrees"),
        (["store", "place", "S", "--latitude", "0", "--longitude", "0", "--zone", "Mars"], 1, "'Mars' is no time zone"),
        (["store", "place", "S/1", "--latitude", "0", "--longitude", "0"], 1, "no name for a store"),
        (["lane", "show", "nowhere"], 1, "nowhere"),
        (["exceptions", "resolve", "A", "1/2", "--note", "seen"], 1, "has no exception 1/2"),
        (["explain", "A", "1-2"], 1, "the lane A has sent no entry 1/2"),
        (["population", "import", "--stores", "9", "--lanes", "3"], 1, "every store at least one lane"),
        (["init"], 1, "holds a backend already"),
        (["lane", "write-off", "lane-9"], 1, "This lane is not enrolled here: lane-9"),
        (["account", "add", "--lender", "nobody", "--limit-minor", "1"], 1, "does not serve the lender: nobody"),
        (["policy", "publish", "/nowhere/policy.json"], 1, "/nowhere/policy.json cannot be read: No such file"),
    ],
)
def test_a_person_reads_a_sentence(say: Callable[..., str], words: list[str], code: int, said: str) -> None:
    assert said in say(*words, code=code)


@pytest.mark.parametrize("words", [["account", "show", "zz"], ["exceptions", "resolve", "A", "1"], ["lane"], []])
def test_wrong_usage_is_exit_code_2(directory: Path, words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*words, "--dir", str(directory)] if words else words)
    assert ended.value.code == 2


@pytest.mark.parametrize("entry", ["1", "1/", "one/2", "1/2/3", "-1/2"])
def test_an_entry_that_cannot_be_read_is_told_how_it_is_written(
    say: Callable[..., str], capsys: Any, entry: str
) -> None:
    with pytest.raises(SystemExit):
        say("exceptions", "resolve", "--note", "seen", "A", "--", entry)
    assert "an entry is its epoch and its number, as in 1/17" in capsys.readouterr().err


def test_a_table_sets_numbers_to_the_right_and_shows_no_control_character() -> None:
    rows = [{"lane": "a\x1b[2J", "number": 5}, {"lane": "lane-02", "number": 12345}]
    assert output.table(rows) == ["lane     number", "a�[2J         5", "lane-02   12345"]


def test_progress_is_a_bar_on_a_terminal_and_silence_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with output.ProgressLine() as line:
        line.show(1, 2, "accounts")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with output.ProgressLine() as line:
        line.show(1, 2, "accounts")
    assert f"[{'#' * 15}{'.' * 15}] 1 of 2 accounts" in capsys.readouterr().err


def test_a_conformance_kit_is_whole_private_and_its_hooks_are_verbs_that_run(
    directory: Path, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "kit.json"
    said = run("conformance-kit", "--out", str(out))
    assert out.stat().st_mode & 0o777 == 0o600
    kit = load(out)
    assert (len(kit.codes), len(kit.phones)) == (said["lanes"], said["phones"])
    account = kit.phones[0].account.hex()
    kit.hooks["set_limit"](lender="demo", account=account, limit_minor=7)
    assert run("account", "show", account)["accounts"][0]["limit_minor"] == 7
    assert set(kit.hooks) <= set(HOOKS)


def test_a_kit_that_cannot_be_written_opens_no_account_and_no_lane(tmp_path: Path, say: Callable[..., str]) -> None:
    said = say("conformance-kit", "--out", str(tmp_path / "none" / "kit.json"), code=1)
    assert "there is no such folder" in said
    assert "expired" not in say("lanes")


def test_a_restored_backend_says_whom_it_waits_for(run: Run) -> None:
    answer = run("restored", "--reason", "disk lost")
    assert answer["recovering_since"] is not None
    assert answer["waits_for"] == []
    assert run("restored", "--show") == answer
    assert run("restored")["recovering_since"] > answer["recovering_since"], "another backup may have been put back"


def test_a_policy_is_published_from_what_is_shown_and_never_backwards(
    run: Run, say: Callable[..., str], tmp_path: Path
) -> None:
    policy = run("policy", "show")
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(policy | {"version": 2}))
    assert run("policy", "publish", str(file))["version"] == 2
    assert run("policy", "show") == policy | {"version": 2}
    assert "has version 2 already" in say("policy", "publish", str(file), code=1)
    file.write_text("[1")
    assert "is no JSON document" in say("policy", "publish", str(file), code=1)


def test_a_running_server_signs_with_the_key_that_was_rotated_beside_it(directory: Path, run: Run) -> None:
    before = {key["kid"]: key for key in run("keys", "show")["keys"]}
    with served(directory):
        after = run("keys", "rotate", "time")
        [fresh] = [key for key in after["keys"] if key["kid"] not in before]
        assert (fresh["role"], fresh["in_use"], after["version"]) == ("time", True, 2)
        assert run("keys", "show") == after
        assert run("keys", "rotate", "policy")["version"] == 3
        revoked = run("keys", "revoke", fresh["kid"])
        assert [key["revoked"] for key in revoked["keys"] if key["kid"] == fresh["kid"]] == [True]
    assert run("keys", "rotate", "root")["roots"] == 2
    assert cli.main(["keys", "rotate", "nobody", "--dir", str(directory)]) == 1


def test_the_books_may_lie_on_a_postgresql_server_and_no_verb_is_told_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--dir", str(tmp_path / "backend"), "--json")
    with postgres_server.running() as server:
        assert cli.main(["init", *where, "--database", server.new_database()]) == 0
        assert (tmp_path / "backend" / DATABASE_NOTE).stat().st_mode & 0o777 == 0o600
        asked = ("--accounts", "250", "--stores", "2", "--lanes", "3", "--days", "14")
        for accounts in (250, 0):
            capsys.readouterr()
            assert cli.main(["population", "import", *where, *asked]) == 0
            assert json.loads(capsys.readouterr().out)["accounts"] == accounts
        assert cli.main(["audit", *where]) == 0
    assert cli.main(["lanes", *where]) == 1
    assert "cannot be opened" in capsys.readouterr().err
