"""The configuration file: every mistake at once with its line, and a shipped file that cannot drift from the code."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from agent import config
from agent.config_devices import Scanner
from agent.config_problems import allowed, section_at
from agent.errors import ConfigError, ConfigProblem
from drivers import registry

AGENT = Path(config.__file__).parent
SHIPPED = Path(__file__).parents[1] / "packaging" / "agent.toml"


def problems(text: str) -> tuple[ConfigProblem, ...]:
    with pytest.raises(ConfigError) as caught:
        config.parse(text)
    return caught.value.problems


def uncommented(text: str) -> dict[str, Any]:
    """The shipped file with every key switched on: `#key` is a key, `# text` is prose."""
    return tomllib.loads(re.sub(r"(?m)^#(?=\S)", "", text))


def test_the_shipped_file_changes_nothing() -> None:
    assert config.load(SHIPPED) == config.DEFAULTS


def test_the_shipped_file_lists_exactly_the_keys_and_defaults_of_the_code() -> None:
    defaults = config.DEFAULTS.to_dict() | {"scanner": {"counter": Scanner().model_dump(mode="json")}}
    assert uncommented(SHIPPED.read_text()) == defaults


def test_the_shipped_file_is_what_config_init_writes() -> None:
    assert SHIPPED.read_text() == config.template()


def test_with_every_key_switched_on_the_shipped_file_is_still_right() -> None:
    loaded = config.parse(re.sub(r"(?m)^#(?=\S)", "", SHIPPED.read_text()))
    assert loaded.scanner == {"counter": Scanner()}


def every_key() -> list[tuple[type[BaseModel], str]]:
    paths = [(name, "x") if name == "scanner" else (name,) for name in config.Config.model_fields]
    sections = [section for path in paths if (section := section_at(config.Config, path))]
    return [(section, key) for section in sections for key in section.model_fields]


@pytest.mark.parametrize(("section", "key"), every_key())
def test_every_key_explains_itself_and_says_what_it_accepts(section: type[BaseModel], key: str) -> None:
    field = section.model_fields[key]
    assert (field.description or "").endswith(".")
    assert allowed(field) != "a section of its own"
    if unit := re.search(r"_(ms|s|d|mb)$", key):
        words = {"ms": "milliseconds", "s": "seconds", "d": "days", "mb": "MB"}
        assert allowed(field).endswith(words[unit[1]])


WRONG = """\
[lane]
langauge = "en"
timezone = "Asia/Shangai"
currency = 3

[backend]
url = "https://me:hunter2@backend.example"

[limits]
free_space_min_mb = -5   # a comment
"queue_entries_max" = true

[scanner.counter]
suffix = "space"
[printr]
address = ""
"""


def test_all_mistakes_come_at_once_each_with_line_range_unit_and_suggestion() -> None:
    assert [str(problem) for problem in problems(WRONG)] == [
        "line 2: lane.langauge: unknown key; did you mean language?",
        'line 3: lane.timezone: "Asia/Shangai" is not allowed (allowed: an IANA time zone name);'
        " did you mean Asia/Shanghai?",
        "line 4: lane.currency: 3 is not text in quotes (allowed: an ISO 4217 code of three capital letters)",
        "line 7: backend.url: this value is not allowed (allowed: https://host[:port] without path, user or password)",
        "line 10: limits.free_space_min_mb: -5 is too small (allowed: a whole number from 50 to 1000000 MB)",
        "line 11: limits.queue_entries_max: true is not a whole number"
        " (allowed: a whole number from 1000 to 10000000 entries)",
        'line 14: scanner.counter.suffix: "space" is not allowed'
        ' (allowed: "cr" or "lf" or "crlf" or "tab" or "etx" or "none")',
        "line 15: printr: unknown key; did you mean printer?",
    ]


@pytest.mark.parametrize(
    ("text", "key", "wrong"),
    [
        ("[uplink]\npoll_s = 0", "uplink.poll_s", "too small"),
        ("[uplink]\npoll_s = 3601", "uplink.poll_s", "too large"),
        ("[uplink]\npoll_s = 1.5", "uplink.poll_s", "not a whole number"),
        ('[uplink]\npoll_s = "15"', "uplink.poll_s", "not a whole number"),
        ('[merchant]\ncategory = "541"', "merchant.category", "not allowed"),
        ('[merchant]\nname = ""', "merchant.name", "not allowed"),
        ('[lane]\nstate_dir = "var"', "lane.state_dir", "not allowed"),
        ('[lane]\ntimezone = "/etc/passwd"', "lane.timezone", "not allowed"),
        ('[lane]\ntimezone = "../../etc"', "lane.timezone", "not allowed"),
        ('[backend]\nurl = "http://backend.example"', "backend.url", "not allowed"),
        ('[backend]\nurl = "https://backend.example/api"', "backend.url", "not allowed"),
        ('[backend]\nurl = "https://backend.example:99999"', "backend.url", "not allowed"),
        ("[backend]\nonline_budget_ms = 300", "backend", "no sale could ever wait"),
        ('[scanner."Counter 1"]\nbaud = 9600', "scanner.Counter 1", "not a device name"),
        ('[local]\nsocket_name = "../x"', "local.socket_name", "not allowed"),
        ('[printer]\nprofile = "generic-90"', "printer.profile", "not allowed"),
        ('[printer]\naddress = "lpt1"', "printer.address", "not allowed"),
        ('[scanner.counter]\naddress = "tcp:192.0.2.7:4001"', "scanner.counter.address", "not allowed"),
        ("printer = 3", "printer", "not allowed"),
        ("lane = [1]", "lane", "not allowed"),
    ],
)
def test_a_value_that_the_lane_could_not_work_with_is_refused(text: str, key: str, wrong: str) -> None:
    (problem,) = problems(text)
    assert problem.key == key
    assert wrong in problem.wrong
    assert problem.line in (1, 2)


def test_too_many_scanners_are_refused() -> None:
    (problem,) = problems("\n".join(f"[scanner.s{number}]" for number in range(9)))
    assert (problem.key, problem.wrong) == ("scanner", "too many of them")


def test_what_may_be_a_password_is_never_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse(
            '[backend]\nurl = "https://me:hunter2@h"\npassword = "hunter2"\n[printer]\naddress = "me:hunter2@h"'
        )
    assert "hunter2" not in f"{caught.value}{caught.value!r}{caught.value.to_dict()}{caught.value.__context__}"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[lane]\nlanguage = \n", "line 2"),
        (b"[lane]\nx = '\xff'\n", "line 2 is not UTF-8"),
        (b"# " + b"x" * (1 << 20), "larger than 1 MiB"),
        (b"[lane]\n[lane]\n", "line 2"),
        (b"x = " + b"[" * 5000, "not valid TOML"),
        (None, "agent.toml: No such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_fault(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "agent.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(says)):
        config.load(path)


def test_a_directory_in_place_of_the_file_is_one_clear_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        config.load(tmp_path)


def test_nothing_changes_after_loading() -> None:
    with pytest.raises(ValueError, match="frozen"):
        config.DEFAULTS.uplink.poll_s = 1  # type: ignore[misc]


@given(st.text(alphabet="[]=\"'.#\n ax1\\é\ud7ff{}", max_size=60) | st.text(max_size=60))
def test_no_text_whatever_raises_anything_but_config_error(text: str) -> None:
    try:
        config.parse(text)
    except ConfigError as error:
        assert str(error)


@given(st.integers(), st.sampled_from([("uplink", "poll_s", 1, 3600), ("limits", "print_job_ttl_s", 60, 604_800)]))
def test_a_number_is_accepted_exactly_within_its_range(value: int, key: tuple[str, str, int, int]) -> None:
    section, name, low, high = key
    text = f"[{section}]\n{name} = {value}"
    if low <= value <= high:
        assert getattr(getattr(config.parse(text), section), name) == value
    else:
        assert problems(text)[0].key == f"{section}.{name}"


@pytest.mark.parametrize("flow_control", ["none", "xon-xoff", "rts-cts", "dsr-dtr"])
@pytest.mark.parametrize("scheme", ["serial", "virtual"])
def test_every_device_setting_is_an_option_that_the_drivers_know(
    tmp_path: Path, scheme: str, flow_control: str
) -> None:
    sections = [
        f'[{name}]\naddress = "{scheme}:{tmp_path}/{name}"\nflow_control = "{flow_control}"\n'
        for name in ("scanner.counter", "printer")
    ]
    loaded = config.parse("".join(sections))
    counter, printer = loaded.scanner["counter"], loaded.printer
    opened = [
        registry.open_scanner("counter", counter.address, counter.options, on_event=lambda _: None),
        registry.open_printer("printer", printer.address, printer.options),
    ]
    for each in opened:
        each.close()


@pytest.mark.parametrize("source", ["/dev/video0", "0", "/run/recording/%03d.png"])
def test_a_camera_is_a_scanner_that_line_settings_do_not_touch(source: str) -> None:
    loaded = config.parse(f'[scanner.counter]\naddress = "camera:{source}"\nsuffix = "lf"\n')
    counter = loaded.scanner["counter"]
    registry.open_scanner("counter", "camera:/dev/video97", counter.options, on_event=lambda _: None).close()


def reads() -> set[tuple[str, str]]:
    """Every name that the code reads of something, with the last word of what it reads it of."""
    return {
        (ast.unparse(node.value).rpartition(".")[2], node.attr)
        for path in AGENT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
    }


READ = reads()
# What devices need is read of a section under another name: by the section itself, or by whoever opens the device.
OWNERS = {
    "scanner": ("self", "settings"),
    "printer": ("printer", "self", "settings"),
    "drawer": ("drawer", "self"),
    "beeper": ("beeper", "wanted", "self"),
    "display": ("display", "self", "settings"),
    "lane": ("lane", "self"),
}
KEYS = [
    (section, key)
    for section in config.Config.model_fields
    for key in (Scanner if section == "scanner" else type(getattr(config.DEFAULTS, section))).model_fields
]


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_no_key_is_configured_in_vain(section: str, key: str) -> None:
    assert any((owner, key) in READ for owner in OWNERS.get(section, (section,))), f"{section}.{key} is read nowhere"
