"""After the story: the lane goes on, and whoever watched it may sell and play with it.

The one rule: the devices of the story become the lane's own, so that `counterfoil virtual` reaches them.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from shlex import quote

from agent.demo.props import command, wait_for
from agent.demo.stage import Stage, is_ready


def stay(stage: Stage) -> None:
    """Until Ctrl+C. Raises DemoFailed when the lane does not come back with its own devices."""
    _hand_over(stage)
    lane, backend = command("counterfoil")[0], command("counterfoil-backend")[0]
    config = f"--config {quote(str(stage.config.resolve()))}"
    fresh = stage.accounts[-1]  # the first one has bought so often that the policy makes it pause
    scanned = f"$({backend} pass issue --verified --dir {quote(str(stage.backend_dir.resolve()))} {fresh})"
    print("\nThe lane goes on; Ctrl-C ends it. In another terminal:\n")
    print(f"  {lane} status {config}")
    print(f'  {lane} sale make 2580 {config} --code "{scanned}"')
    print(f'  {lane} virtual scan {config} "{scanned}"     # a sale that waits for a code takes it')
    print(f"  {lane} virtual paper-out {config}     # then sell, then `virtual well`: the slip comes out")
    print(f"  chromium \"$({lane} page {config})\"     # the cashier's page; `page customer`: the customer's display")
    print(f"  curl --unix-socket {stage.socket} http://localhost/v1/status")
    token = f"$(cat {stage.socket.with_name('pos-token')})"
    print(f'  curl -N -H "Authorization: Bearer {token}" http://127.0.0.1:{stage.http_port}/v1/events', flush=True)
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(1)


def _hand_over(stage: Stage) -> None:
    stage.agent.stop()
    for device in (stage.printer, stage.scanner, stage.display):
        device.close()
    slips = stage.scanner.path.with_name("slips")  # the address of a device has no spaces; the folder's name may
    slips.symlink_to((stage.out / "slips").resolve())
    stage.config.write_text(_with_own_devices(stage.config.read_text(), stage, slips))
    stage.agent.start()
    wait_for("the lane is back with devices of its own", lambda: is_ready(stage), 180)


def _with_own_devices(config: str, stage: Stage, slips: Path) -> str:
    """The configuration, in which the devices of the story run inside the agent."""
    scanner, display = stage.scanner.path, stage.display.path
    for theirs, own in (
        (stage.printer.address, f"virtual:{slips}"),
        (f"serial:{scanner}", f"virtual:{scanner}"),
        (f"serial:{display}", f"virtual:{display}"),
    ):
        config = config.replace(f'"{theirs}"', f'"{own}"')
    return config
