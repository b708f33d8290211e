"""The lane's operators in a file of their own: a backup of the ledger brings back no old PIN.

The one rule: it is read and replaced as a whole, by one at a time; a file that cannot be read is never "no operators".
PINs are hashed with Argon2id (RFC 9106) at the least cost that OWASP's Password Storage Cheat Sheet names: 19 MiB, two
passes, so that a till with little memory can do it too.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from agent.core.operators import OPERATORS_MAX, Operator, Role
from agent.errors import OperatorsUnreadable

FILE_MODE: Final = 0o600
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class OperatorFile:
    """Implements ``ports.OperatorBook``; the daemon and the command may use the same file at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> Mapping[str, Operator]:
        """By name; empty as long as there is no file. Raises OperatorsUnreadable."""
        try:
            rows = json.loads(self._path.read_bytes())
            if not isinstance(rows, list):
                raise TypeError("operators are a list")  # anything else that is empty would be "nobody signs in"
            found = [Operator(**row | {"role": Role(row["role"])}) for row in rows]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise OperatorsUnreadable from error
        return {operator.name: operator for operator in found}

    def change(self, name: str, become: Callable[[Operator | None], Operator | None]) -> Operator | None:
        """What ``become`` makes of an operator; None: there is none of this name (any more). Raises
        OperatorsUnreadable, also when it cannot be written, or would be one too many."""
        try:
            with self._alone():
                operators = dict(self.all())
                changed = become(operators.pop(name, None))
                if changed is not None:
                    operators[name] = changed
                if len(operators) > OPERATORS_MAX:
                    raise OperatorsUnreadable(f"A lane has at most {OPERATORS_MAX} operators.")
                self._write(operators)
        except OSError as error:
            raise OperatorsUnreadable(f"{self._path}: {error.strerror}.") from error
        return changed

    def hashed(self, pin: str) -> str:
        return _HASHER.hash(pin)

    def fits(self, pin_hash: str, pin: str) -> bool:
        """Takes about a tenth of a second and 19 MiB."""
        try:
            return _HASHER.verify(pin_hash, pin)
        except (Argon2Error, InvalidHashError):
            return False

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write(self, operators: Mapping[str, Operator]) -> None:
        rows = [{name: getattr(row, name) for name in Operator.__dataclass_fields__} for row in operators.values()]
        draft = self._path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "w") as file:
            json.dump(rows, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
