"""Rules of scope `always` are asked online too, over the lender's books of all lanes."""

from typing import Any

from tests.backend.lanes import Shop


def sold(shop: Shop, lane: str, amount_minor: int, **more: Any) -> dict[str, Any]:
    """An online sale at a lane, answered and journaled; the clock of the shop goes on."""
    at = shop.lanes[lane]
    sale_id = at.intend(amount_minor)
    answer = at.ask(at.request(amount_minor, sale_id, **more))
    at.note(answer, amount_minor, sale_id)
    return answer


def told(answer: dict[str, Any]) -> tuple[str, str, list[str]]:
    return answer["response_code"], answer["reason"], answer["rules"]


def test_sales_at_all_lanes_count_online(shop: Shop) -> None:
    for number in range(5):
        assert sold(shop, "AB"[number % 2], 101)["approved"]
    assert told(sold(shop, "A", 101)) == ("65", "velocity", ["velocity-count"])
    shop.clock.now_s += 601
    assert sold(shop, "B", 101)["approved"]


def test_a_sale_counts_once_whether_it_is_answered_or_told_by_a_journal(shop: Shop) -> None:
    for _ in range(2):
        assert sold(shop, "A", 101)["approved"]
    shop.lanes["A"].upload()
    for _ in range(3):
        assert sold(shop, "B", 101)["approved"]
    assert told(sold(shop, "B", 101))[1] == "velocity"


def test_a_second_request_for_one_attempt_gets_the_same_answer(shop: Shop) -> None:
    lane = shop.lanes["A"]
    sale_id = lane.intend(101)
    raw = lane.request(101, sale_id)
    assert [lane.ask(raw)["approved"] for _ in range(8)] == [True] * 8


def test_what_a_lender_excludes_is_excluded_online(shop: Shop) -> None:
    assert told(sold(shop, "A", 101, category="6211")) == ("57", "category_excluded", ["excluded-category"])
    assert told(sold(shop, "A", 101, category="5411")) == ("00", "approved", [])


def test_rules_about_standing_in_are_not_asked_online(shop: Shop) -> None:
    answer = sold(shop, "A", 9_999)
    assert told(answer) == ("00", "approved", [])
