"""Each device of the contracts, one after the other; what needs a program that is not here says so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.contracts.guns import GUNS, Gun
from tests.drivers.contracts.papers import PAPERS, Paper
from tests.drivers.peers.till import EMUPOS, MISSING

SLOW = ("emupos's port", "emupos's network", "camera")
NEEDS_SOCAT = {"gun": "socat's cable", "paper": "our port"}


def _each(names: dict[str, object]) -> list[object]:
    return [pytest.param(name, marks=pytest.mark.proof if name in SLOW else ()) for name in names]


def _need(fixture: str, name: str) -> None:
    if name == "camera":
        pytest.importorskip("cv2", reason="the camera extra is not installed", exc_type=ImportError)
        pytest.importorskip("pyzbar.pyzbar", reason="zbar is not installed", exc_type=ImportError)
    if name == NEEDS_SOCAT[fixture] and shutil.which("socat") is None:
        pytest.skip("socat is not installed")
    if name.startswith("emupos") and not EMUPOS.exists():
        pytest.skip(MISSING)


@pytest.fixture(params=_each({**GUNS}))
def gun(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gun]:
    _need("gun", request.param)
    held = GUNS[request.param](tmp_path)
    yield held
    held.close()


@pytest.fixture(params=_each({**PAPERS}))
def paper(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Paper]:
    _need("paper", request.param)
    stands = PAPERS[request.param](tmp_path)
    yield stands
    stands.close()
