"""`counterfoil page`: a link for a browser, from an agent that may still be starting."""

import json
import threading
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.demo.props import free_port
from tests.local.served import ServedLane
from tests.local.test_page_links import opened


def with_port(served: ServedLane, config: Path) -> None:
    served.port = free_port()
    config.write_text(f"{config.read_text()}[local]\nport = {served.port}\n")


def test_what_it_prints_opens_the_page(served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_port(served, config)

    def story(_: object) -> None:
        assert main(["page", "customer", "--json", "--config", str(config)]) == 0
        url = json.loads(capsys.readouterr().out)["url"]
        assert url.startswith(f"http://127.0.0.1:{served.port}/open/customer/")
        assert opened(served, url.partition(str(served.port))[2])[0] == 303

    served.tell(story)


def test_it_waits_for_an_agent_that_still_starts(
    served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_port(served, config)
    codes: list[int] = []
    asked = threading.Thread(target=lambda: codes.append(main(["page", "--wait", "60", "--config", str(config)])))
    asked.start()
    served.tell(lambda _: asked.join(90))
    assert codes == [0]
    assert "/open/cashier/" in capsys.readouterr().out


def test_without_an_agent_or_a_port_it_says_what_to_do(
    served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["page", "--config", str(config)]) == 1
    assert "[local] port" in capsys.readouterr().err
    with_port(served, config)
    assert main(["page", "--config", str(config)]) == 1
    assert "does not answer" in capsys.readouterr().err
