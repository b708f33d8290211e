"""Operations that look after the whole: the audit, and the cutting of layers.

The one rule: nothing is corrected here.
"""

from __future__ import annotations

from backend import audit
from backend.admin.operation import Answer
from backend.compose import Backend


def run_audit(backend: Backend) -> Answer:
    """Every broken promise in a sentence, and what people must look at."""
    return {"findings": list(audit.findings(backend.lenders)), "disputes": list(audit.disputes())}


def build_snapshots(backend: Backend) -> Answer:
    """Cut the layers that lanes need now."""
    return {"layers": backend.refresh_snapshots()}
