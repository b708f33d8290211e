"""`drawer open`, `display test`: through whoever has the device; and what the customer reads during a sale."""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from agent.cli.display import STAYS_S
from drivers.virtual.display import VirtualDisplay
from tests.cli.lane_on_disk import Command, LaneOnDisk

DRAWER = '[drawer]\nattached = true\nopen_level = "high"\n'


@pytest.fixture
def glass(lane: LaneOnDisk) -> Iterator[VirtualDisplay]:
    display = VirtualDisplay(lane.run_dir / "pole")
    lane.configure(
        more=f'{DRAWER}[display]\naddress = "serial:{display.path}"\ncharacter_set = "gb18030"\n',
    )
    yield display
    display.close()


def test_a_drawer_is_opened_here_while_the_agent_is_stopped(lane: LaneOnDisk, counterfoil: Command) -> None:
    lane.configure(more=DRAWER)
    said = counterfoil("drawer", "open")
    assert (said.code, said.out) == (0, "The drawer is open.\n")


def test_a_display_is_tried_here_for_long_enough_to_look_at_it(
    glass: VirtualDisplay, counterfoil: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[tuple[float, bool]] = []

    def look(seconds: float) -> None:
        looked.append((seconds, glass.wait_for(("测试 TEST", "￥1,234.50"))))

    monkeypatch.setattr("agent.cli.display.time", SimpleNamespace(sleep=look))
    counterfoil("display", "test")
    assert looked == [(STAYS_S, True)]
    assert glass.wait_for(("", ""))


def test_a_drawer_whose_sensor_is_not_known_is_to_be_looked_at(lane: LaneOnDisk, counterfoil: Command) -> None:
    lane.configure(more="[drawer]\nattached = true\n")
    said = counterfoil("drawer", "open")
    assert said.code == 0
    assert said.out.endswith("do:  The drawer cannot say whether it opened; look at it.\n")


def test_the_running_agent_opens_the_drawer_and_shows_the_test(
    lane: LaneOnDisk, counterfoil: Command, glass: VirtualDisplay
) -> None:
    with lane.running() as client:
        assert counterfoil("drawer", "open", "--json").json == {"opened": True, "reason": None, "action": None}
        lane.printer.close_drawer()
        lane.printer.lock_drawer()
        locked = counterfoil("drawer", "open", "--reason", "change")
        assert counterfoil("display", "test").code == 0
        assert glass.wait_for(("测试 TEST", "￥1,234.50"))
        kinds = [row["kind"] for row in client.get("/v1/devices")]
    assert (locked.code, "whether it is locked" in locked.out) == (4, True)
    assert kinds == ["scanner", "printer", "drawer", "display"]


def test_the_customer_reads_the_amount_and_a_display_that_is_gone_is_a_condition_until_it_is_back(
    lane: LaneOnDisk, glass: VirtualDisplay
) -> None:
    with lane.running() as client:
        client.post("/v1/sales", {"sale_id": "sale-0001", "amount": {"minor": 4_200, "currency": "CNY"}})
        assert glass.wait_for(("Show your code", "￥42.00"))
        glass.unplug()
        client.post("/v1/sales", {"sale_id": "sale-0002", "amount": {"minor": 4_300, "currency": "CNY"}})
        assert glass.wait_for(("", ""))
        gone = until_display(client, present=True)
        glass.replug()
        assert glass.wait_for(("Show your code", "￥43.00"))
        back = until_display(client, present=False)
    assert gone and back


def until_display(client, *, present: bool) -> bool:  # type: ignore[no-untyped-def]
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        if ("display" in [row["code"] for row in client.get("/v1/status")["conditions"]]) is present:
            return True
        time.sleep(0.05)
    return False


def test_a_lane_without_drawer_and_display_says_so(lane: LaneOnDisk, counterfoil: Command) -> None:
    stopped = counterfoil("drawer", "open").err + counterfoil("display", "test").err
    with lane.running():
        running = counterfoil("drawer", "open").err + counterfoil("display", "test").err
    assert "No cash drawer is configured" in stopped
    assert "No line display is configured" in stopped
    assert "This lane has no cash drawer." in running
    assert "This lane has no line display." in running
