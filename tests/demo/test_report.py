"""The demo compares every sale of its story, also when there are more than the lane's status shows."""

from types import SimpleNamespace
from typing import Any, cast

from agent.demo.report import sales_of
from agent.demo.stage import Stage
from agent.overview import SALES_SHOWN


class LaneThatAnswers:
    """Gives the view of any sale that it is asked for."""

    def get(self, path: str) -> dict[str, Any]:
        return {"sale_id": path.removeprefix("/v1/sales/")}


def test_no_sale_of_a_long_day_is_left_out_of_the_comparison() -> None:
    story = [f"sale-{number:04}" for number in range(SALES_SHOWN + 3)]
    status = {"recent_sales": [{"sale_id": sale_id} for sale_id in reversed(story[3:])]}
    stage = SimpleNamespace(sale_ids=story, client=LaneThatAnswers())
    assert [view["sale_id"] for view in sales_of(cast(Stage, stage), status)] == story


def test_a_sale_that_the_story_does_not_know_of_is_compared_too() -> None:
    status = {"recent_sales": [{"sale_id": "of-somebody-else"}]}
    stage = SimpleNamespace(sale_ids=[], client=LaneThatAnswers())
    assert sales_of(cast(Stage, stage), status) == [{"sale_id": "of-somebody-else"}]
