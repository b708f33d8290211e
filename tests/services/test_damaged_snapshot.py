"""A layer that the disk has damaged: declined while nothing better is there, and mended by a fresh download.

Promise 7, and its other half: a lane that is safe must also become useful again without a visit.
"""

import asyncio
from pathlib import Path

from tests.services.lanes import CUSTOMER, LENDER, Till, codes, order


def sell(till: Till, sale_id: str) -> str | None:
    hold = asyncio.run(till.checkout.sell(order(sale_id), till.phone().code()))
    return codes([hold])[0]


def test_a_damaged_layer_is_asked_for_again_and_a_delta_does_not_hide_it(tmp_path: Path) -> None:
    till = Till(tmp_path)
    (layer,) = (tmp_path / "snapshots" / LENDER / "layers").iterdir()
    sound = layer.read_bytes()
    layer.write_bytes(sound[: 4096 + 40] + bytes([sound[4096 + 40] ^ 1]) + sound[4096 + 41 :])
    lender = till.lane.lenders.get(LENDER)
    assert lender is not None
    assert lender.sound_layers == (1,), "nobody has read the page yet"

    assert sell(till, "sale-0001") == "91"
    assert (lender.sound_layers, "snapshot" in lender.faults) == ((), True)

    till.install({b"another account!": 500}, delta=True)
    assert (lender.sound_layers, "snapshot" in lender.faults) == ((), True)
    assert sell(till, "sale-0002") == "91"

    base, delta = tmp_path / "base.again", tmp_path / "delta.again"
    base.write_bytes(sound)
    installed = sorted((tmp_path / "snapshots" / LENDER / "layers").iterdir(), key=lambda path: path.name)
    delta.write_bytes(installed[1].read_bytes())
    assert till.lane.lenders.install_snapshot(LENDER, [(1, str(base)), (2, str(delta))])
    assert (lender.sound_layers, "snapshot" in lender.faults) == ((1, 2), False)
    assert sell(till, "sale-0003") == "00"
    till.close()


def test_the_customer_of_these_tests_has_a_lease(tmp_path: Path) -> None:
    till = Till(tmp_path)
    assert till.left(CUSTOMER) > 0
    assert sell(till, "sale-0001") == "00"
    till.close()
