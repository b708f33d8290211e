"""Promises 1 to 3 on real processes: SIGKILLs and cut lines at random moments of many sales, then both halves compared.

A POS that repeats its request until it has an answer must always get the same one; every approved sale must stand once
at the backend with its amount; and no slip may come out twice unmarked. ``COUNTERFOIL_KILL_SALES`` sets the number of
sales, ``COUNTERFOIL_KILL_SEED`` the moments.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agent.demo.props import wait_for
from agent.demo.report import read_books
from agent.demo.stage import LANE, Cast, Stage, staged
from agent.errors import AgentNotRunning
from agent.local.client import RequestRefused

SALES = int(os.environ.get("COUNTERFOIL_KILL_SALES", "300"))
SEED = int(os.environ.get("COUNTERFOIL_KILL_SEED", "1"))
SHOWN = ("state", "mode", "response_code", "reason", "authorization_code", "amount")
BETWEEN_FAULTS_S = 0.7
LINE_CUT_MAX_S = 3.0
ANSWER_MAX_S = 180.0


class Chaos(threading.Thread):
    """Kills agent and uplink and cuts the line, as the seed says, until it is told to end."""

    def __init__(self, stage: Stage, rng: random.Random) -> None:
        super().__init__(daemon=True)
        self.stage, self.rng, self.over, self.done = stage, rng, threading.Event(), Counter[str]()

    def run(self) -> None:
        while not self.over.wait(self.rng.expovariate(1 / BETWEEN_FAULTS_S)):
            fault = self.rng.choice((self.kill_agent, self.kill_agent, self.kill_uplink, self.cut_line))
            self.done[fault.__name__] += 1
            fault()

    def kill_agent(self) -> None:
        self.stage.agent.kill()
        time.sleep(self.rng.random() * 0.2)
        self.stage.agent.start()
        if self.rng.random() < 0.5:  # the other half of the kills may meet it while it starts
            wait_for("the agent answers", lambda: self.over.is_set() or status(self.stage), ANSWER_MAX_S)

    def kill_uplink(self) -> None:
        self.stage.uplink.kill()
        self.stage.uplink.start()

    def cut_line(self) -> None:
        self.stage.line.cut()
        time.sleep(self.rng.random() * LINE_CUT_MAX_S)
        self.stage.line.restore()


def sell(stage: Stage, sale_id: str, amount_minor: int, code: str) -> dict[str, Any]:
    """As a POS does it: the same request again until there is an answer."""
    body = {"sale_id": sale_id, "amount": {"minor": amount_minor, "currency": "CNY"}, "code": code}

    def answer() -> dict[str, Any] | None:
        try:
            view = stage.client.post("/v1/sales", body)
        except (AgentNotRunning, RequestRefused):
            return None
        return view if view["state"] in ("approved", "declined") else None

    return wait_for(f"an answer to {sale_id}", answer, ANSWER_MAX_S)


def shown(view: dict[str, Any]) -> dict[str, Any]:
    return {name: view[name] for name in SHOWN}


def status(stage: Stage) -> dict[str, Any]:
    try:
        return stage.client.get("/v1/status")
    except AgentNotRunning:
        return {}


def is_quiet(stage: Stage) -> bool:
    """Everything is printed, and every entry, those about printing too, is acknowledged."""
    now = status(stage)
    return bool(now) and now["print_jobs_waiting"] == 0 and now["queue"]["depth"] == 0


@pytest.mark.system
@pytest.mark.proof
def test_nothing_is_lost_nothing_happens_twice_and_every_answer_stays(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    with staged(tmp_path / "kills", Cast(customers=40, limit_minor=500_000, lease_minor=50_000)) as stage:
        chaos = Chaos(stage, random.Random(SEED + 1))
        chaos.start()
        answers = {}
        for number in range(SALES):
            sale_id = f"kill-{SEED}-{number:06d}"
            answers[sale_id] = shown(sell(stage, sale_id, rng.randrange(1, 4000), rng.choice(stage.phones).code()))
        chaos.over.set()
        chaos.join()
        wait_for("everything is printed and sent", lambda: is_quiet(stage), 300)
        assert {sale_id: shown(stage.client.get(f"/v1/sales/{sale_id}")) for sale_id in answers} == answers
        settled = stage.client.post("/v1/settlements")
        wait_for("the settlement is sent", lambda: is_quiet(stage), 120)
        books = read_books(stage, LANE)
        head = books["status"]["journal"]
        approved = {s: view["amount"]["minor"] for s, view in answers.items() if view["state"] == "approved"}
        print(f"\n{SALES} sales, {len(approved)} approved, {dict(chaos.done)}")
        print(Counter((view["mode"], view["response_code"], view["reason"]) for view in answers.values()))
        assert settled["state"] == "matched", settled
        standing = [sale for sale in books["sales"] if sale["state"] in ("authorized", "captured")]
        assert sorted((s["sale_id"], s["amount_minor"]) for s in standing) == sorted(approved.items())
        assert (head["number"], head["head"]) == (books["number"], books["head"])
        assert (books["findings"], books["disputes"]) == ([], [])
        assert all(account["available_minor"] >= 0 for account in books["accounts"])
        unmarked = Counter(
            sale_id for sale_id in approved for slip in stage.printer.slips
            if sale_id in slip.text and slip.complete and "COPY" not in slip.text
        )  # fmt: skip
        assert {sale_id for sale_id, count in unmarked.items() if count > 1} == set()
        printed = {sale_id for sale_id in approved for slip in stage.printer.slips if sale_id in slip.text}
        assert printed == approved.keys()
        assert chaos.done.total() > 0, "without a fault this proves nothing"
