"""The tables shard: every key begins with a lane or an account, or the table says here why it does not."""

import pytest

from backend.schema import TABLES, JournalEntry

EXEMPT = {
    "lender": "a few rows that every shard keeps a copy of",
    "contract": "a few rows that every shard keeps a copy of",
    "lender_key": "a few rows that every shard keeps a copy of",
    "kept_policy": "a few rows that every shard keeps a copy of",
    "store_place": "a few rows that every shard keeps a copy of",
    "plan_run": "a row for each lender: how far this shard has planned the accounts that it has",
    "recovery": "a row for each restored backup of the whole backend",
    "tide": "one row: how far the books of this shard have come",
    "enrollment_code": "asked for once, before the lane is known",
}
FIRST = {"lane", "account", "token"}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table._meta.table_name)
def test_a_key_begins_with_lane_or_account(table: type) -> None:
    meta = table._meta  # type: ignore[attr-defined]
    first = meta.get_primary_keys()[0].name
    assert (first in FIRST) is (meta.table_name not in EXEMPT), f"the key of {meta.table_name} begins with {first}"
    counters = [field.name for field in meta.sorted_fields if "AUTO" in field.field_type]
    assert counters == [], "a counter would be shared by all lanes"


def test_an_entry_is_stored_in_the_order_of_the_tables_columns() -> None:
    assert JournalEntry._meta.sorted_field_names == ["lane", "epoch", "number", "result", "reason", "data"]
