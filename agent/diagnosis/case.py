"""What is known of the lane that is examined, found out once and only when somebody asks.

The one rule: the running agent is asked first, because it holds the ledger and the devices; only when it does not run
are they opened here, and `is_running` says which it was.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from agent import app
from agent.config import Config, load
from agent.devices import all_devices, report
from agent.errors import CounterfoilError
from agent.local.client import LocalClient
from agent.store.ledger import SqliteLedger
from agent.uplink.identity import Enrolled, load_identity

STATUS_S: Final = 5.0
WALK_S: Final = 120.0
"""A long journal takes its time; nobody sells more slowly meanwhile."""
DEVICES_S: Final = 30.0
"""A printer that is silent is asked several times."""


class Case(ExitStack):
    """One lane on this computer. Each property raises what its source raises; the checks turn that into findings."""

    def __init__(self, config_path: Path) -> None:
        super().__init__()
        self.config_path = config_path

    @cached_property
    def config(self) -> Config:
        """Raises ConfigError."""
        return load(self.config_path)

    @cached_property
    def now_s(self) -> int:
        return int(time.time())

    @property
    def identity_dir(self) -> Path:
        return self.config.lane.identity_dir

    @cached_property
    def enrolled(self) -> Enrolled:
        """Raises NotEnrolled."""
        return load_identity(self.identity_dir)

    @property
    def agent_socket(self) -> Path:
        return self.config.agent_socket

    def agent(self, timeout_s: float = STATUS_S) -> LocalClient:
        return LocalClient(self.agent_socket, timeout_s)

    @cached_property
    def agent_says(self) -> dict[str, Any] | CounterfoilError:
        """The running agent's status, or why there is none."""
        try:
            status: dict[str, Any] = self.agent().get("/v1/status")
        except CounterfoilError as fault:
            return fault
        return status

    @property
    def is_running(self) -> bool:
        return not isinstance(self.agent_says, CounterfoilError)

    @cached_property
    def ledger(self) -> SqliteLedger:
        """The ledger itself, while the agent is stopped. Raises LedgerError and NotEnrolled."""
        return self.enter_context(app.open_offline(self.config))

    @cached_property
    def devices(self) -> list[dict[str, Any]]:
        """How every configured device is (``DeviceReport`` as JSON). Raises DriverError and AgentNotRunning."""
        if self.is_running:
            told: list[dict[str, Any]] = self.agent(DEVICES_S).get("/v1/devices")
            return told
        with all_devices(self.config) as devices:
            return [report(self.config, device).to_dict() for device in devices]

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The lane's facts from whoever has them. Raises LedgerError and NotEnrolled."""
        says = self.agent_says
        return app.offline_status(self.config, self.ledger) if isinstance(says, CounterfoilError) else says
