"""`counterfoil training`: a counter to practise at, on play money, until Ctrl+C ends it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli.options import DEFAULT_CONFIG, add_config, add_json, load_config, show

if TYPE_CHECKING:
    from agent.config import Config
    from agent.training.stage import Stage

PORT = 8765
NOBODYS = """
[merchant]
name = "示例超市 Example Market"
store_name = "培训收银台 Training counter"
"""


def add_parser(subparsers: Any) -> None:
    text = "a counter to practise at: play money, virtual devices, a sandbox backend; the real lane is not touched"
    parser = subparsers.add_parser("training", help=text, description=text)
    parser.add_argument("--port", type=int, default=PORT, help=f"of its pages on 127.0.0.1 (default: {PORT})")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="go on there next time (default: nothing is kept)")
    parser.add_argument(
        "--devices", action="store_true", help="the configured devices; the lane's agent must be stopped"
    )
    parser.add_argument("--language", choices=("zh-CN", "en"), help="of page and slips (default: as configured)")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0 when it was told to end. Raises what ``agent.training.stage.staged`` raises."""
    import threading

    from agent import app, logs
    from agent.training.stage import Options, staged

    options = Options(_shop(args), args.port, args.keep, args.devices)
    if not args.json:
        print("Setting up a training counter; nothing in it is real money.", flush=True)
    with staged(options) as stage, (stage.place.folder / "agent.log").open("a", encoding="utf-8") as log:
        logs.configure(stream=log)
        threading.Thread(target=_tell, args=(stage, args), daemon=True).start()
        return app.run(stage.config, stage.scenes)


def _shop(args: argparse.Namespace) -> Config:
    """The real lane's settings; without any, those of no shop. Raises ConfigError."""
    from agent.config import parse

    is_needed = args.devices or args.config != DEFAULT_CONFIG or args.config.exists()
    shop = load_config(args) if is_needed else parse(NOBODYS)
    if args.language is None:
        return shop
    return shop.model_copy(update={"lane": shop.lane.model_copy(update={"language": args.language})})


def _tell(stage: Stage, args: argparse.Namespace) -> None:
    """Where it is, as soon as it would sell."""
    stage.wait_until_ready()
    links = {page: stage.link(page) for page in ("cashier", "customer")}
    config = stage.place.config_path
    if args.json:
        show(links | {"config": str(config), "folder": str(stage.place.folder)})
        return
    print(f"The cashier's page, a link that is good once:\n  {links['cashier']}")
    print(f"The customer's display:\n  {links['customer']}")
    print(f"Another link, and any other command: counterfoil page --config {config}")
    print(f"Slips and logs are in {stage.place.folder}" + ("." if args.keep else " until the end."))
    print("Ctrl+C ends it.", flush=True)
