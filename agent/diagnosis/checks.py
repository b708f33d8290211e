"""Every check, in the order in which things depend on each other.

The one rule: a check needs only checks above it; what is skipped names the first of them that failed.
"""

from __future__ import annotations

from typing import Final

from agent.diagnosis import backend, equipment, identity, machine, records
from agent.diagnosis.examination import Check

CHECKS: Final = (
    Check("config", "configuration", machine.config),
    Check("versions", "software", machine.versions),
    Check("state_dir", "state directory", machine.state_dir, ("config",)),
    Check("disk_space", "disk space", machine.disk_space, ("state_dir",)),
    Check("disk_sync", "disk keeps data", machine.disk_sync, ("state_dir",)),
    Check("run_dir", "run directory", machine.run_dir, ("config",)),
    Check("identity", "identity", identity.identity, ("state_dir",)),
    Check("keys", "keys", identity.keys, ("identity",)),
    Check("certificate", "certificate", identity.certificate, ("identity",)),
    Check("ledger", "ledger", records.ledger, ("identity",)),
    Check("agent", "agent", machine.agent, ("config",)),
    Check("sockets", "local socket", machine.sockets, ("agent",)),
    Check("http", "HTTP port", machine.http, ("agent",)),
    Check("journal", "journal", records.journal, ("ledger",)),
    Check("journal_head", "end of journal", records.journal_head, ("ledger",)),
    Check("clock", "clock", identity.clock, ("ledger",)),
    Check("queue", "queue", records.queue, ("ledger",)),
    Check("exceptions", "exceptions", records.exceptions, ("ledger",)),
    Check("lender_keys", "lender's keys", records.lender_keys, ("ledger",)),
    Check("policy", "policy", records.policy, ("ledger",)),
    Check("snapshot", "snapshot", records.snapshot, ("ledger",)),
    Check("backend_name", "backend's name", backend.name, ("config",)),
    Check("backend_port", "backend's port", backend.port, ("backend_name",)),
    Check("backend_tls", "secure line", backend.tls, ("backend_port", "certificate")),
    Check("signed_time", "signed time", backend.signed_time, ("backend_tls",)),
    Check("uplink", "uplink", machine.uplink, ("agent", "backend_tls")),
    Check("scanners", "scanners", equipment.scanners, ("config",)),
    Check("printer", "printer", equipment.printer, ("config",)),
    Check("drawer", "cash drawer", equipment.drawer, ("config",)),
    Check("beeper", "beeper", equipment.beeper, ("config",)),
    Check("display", "display", equipment.display, ("config",)),
)
