"""What an account has just done is counted alike by the lane, in SQL for its pace, and by the lender (`core.recent`)"""

from hypothesis import given
from hypothesis import strategies as st
from playhouse.apsw_ext import APSWDatabase

from agent.core.recent import REFUND, SALE, Move, Windows, recent_of
from agent.store.recent import RecentMoves
from agent.store.schema import RecentMove

DATABASE = APSWDatabase(":memory:")
DATABASE.connect()
with DATABASE.bind_ctx([RecentMove], bind_refs=False, bind_backrefs=False):
    DATABASE.create_tables([RecentMove])

ACCOUNT, OTHER = b"a" * 16, b"b" * 16
times, amounts = st.integers(0, 12), st.integers(1, 12)
moves = st.lists(st.builds(Move, st.sampled_from([SALE, REFUND]), times, amounts), max_size=12)
some_windows = st.builds(Windows, times, times, times, st.integers(1, 4), amounts, amounts)


def kept(mine: list[Move], others: list[Move]) -> None:
    owners = [("demo", ACCOUNT, mine), ("demo", OTHER, others), ("other", ACCOUNT, others)]
    DATABASE.execute(RecentMove.delete())
    for lender, account, found in owners:
        for number, move in enumerate(found):
            place = {"lender": lender, "account": account, "epoch": 1, "number": number}
            DATABASE.execute(RecentMove.insert(**place, **move._asdict()))


@given(moves, moves, some_windows)
def test_lane_and_lender_count_alike(mine: list[Move], others: list[Move], windows: Windows) -> None:
    kept(mine, others)
    in_time = [move for move in mine if move.at_s >= windows.since_s]
    assert RecentMoves(DATABASE).recent("demo", ACCOUNT, windows) == recent_of(in_time, windows)
