"""Boots a machine with the product installed as a package installs it, and runs a lane's day on it.

usage: unshare --mount --pid --fork --kill-child --mount-proc python smoke_machine.py EMPTY_DIRECTORY [SEED]

The machine is an overlay of this computer's own root under systemd-nspawn: nothing is downloaded, nothing here changes.
The rule: whatever happens, no mount and no process is left. All live in namespaces that end with this process, so that
there is no cleaning up that could fail (systemd-nspawn's empty control groups stay). Prints one JSON object; exit code
77 when no machine can be booted here.
"""

import configparser
import json
import shutil
import subprocess
import sys
import time
import venv
import zipfile
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
HOME = "usr/lib/counterfoil/venv"
CANNOT_BOOT = 77
NEVER_LOADED = "/(setuptools|pkg_resources|pygments|rich|typer|prompt_toolkit|barcode|docs)/"
"""Libraries of libraries that no process of a lane loads; compiling them would cost half of the time."""
BOOT_S = 120.0
DAY_S = 480.0
SHIPPED = {  # folder of the repository -> folder of the machine
    "systemd": "usr/lib/systemd/system",
    "packaging/sysusers.d": "usr/lib/sysusers.d",
    "packaging/tmpfiles.d": "usr/lib/tmpfiles.d",
    "packaging/modules-load.d": "usr/lib/modules-load.d",
    "packaging/udev": "usr/lib/udev/rules.d",
}


class CannotBoot(Exception):
    """This computer does not let a machine boot in it; the message says what stands in the way."""


def main(work: Path, *seed: str) -> int:
    began = time.monotonic()
    try:
        root = overlay(work)
        install(root, work)
        installed = time.monotonic()
        init_pid = boot(root, work)
    except CannotBoot as reason:
        print(reason)
        return CANNOT_BOOT
    booted = time.monotonic()
    report = run_day(init_pid, *seed)
    report |= {"install_s": installed - began, "boot_s": booted - installed, "whole_s": time.monotonic() - began}
    print(json.dumps(report, ensure_ascii=False))
    return 0


def overlay(work: Path) -> Path:
    """This computer's root, with everything that is changed kept in memory."""
    mount("tmpfs", work, "-t", "tmpfs", "-o", "size=2g,mode=0755")
    for name in ("upper", "work", "root"):
        (work / name).mkdir()
    root = work / "root"
    mount("overlay", root, "-t", "overlay", "-o", f"lowerdir=/,upperdir={work / 'upper'},workdir={work / 'work'}")
    (root / "etc/fstab").write_text("")  # the disks of this computer are not the machine's
    (root / "etc/machine-id").unlink(missing_ok=True)
    return root


def mount(source: str, target: Path, *options: str) -> None:
    done = subprocess.run(["mount", *options, source, target], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBoot(f"{source} cannot be mounted: {done.stderr.strip()}")


def install(root: Path, work: Path) -> None:
    """What a package installs: an environment with the locked libraries and the wheel, units, account, directories."""
    home = root / HOME
    venv.EnvBuilder(symlinks=True).create(home)
    site = home / "lib/python3.11/site-packages"
    copy_libraries(REPOSITORY / "requirements.lock", site)
    install_wheel(build_wheel(work), home, site)
    compiled = ["-m", "compileall", "-q", "-j2", "-x", NEVER_LOADED, "-s", str(root), "-p", "/", str(site)]
    subprocess.run([sys.executable, *compiled], check=False, capture_output=True)  # the services cannot write there
    for source, target in SHIPPED.items():
        for path in (REPOSITORY / source).iterdir():
            if path.is_file():
                shutil.copy(path, root / target)
    for name in ("smoke_lane.py", "smoke_shop.py"):
        shutil.copy(Path(__file__).with_name(name), root / "root")


def copy_libraries(lock: Path, site: Path) -> None:
    """The libraries of the lock, from the environment that runs this; nothing else, so the lock must be enough."""
    names = [line.partition("==")[0] for line in lock.read_text().splitlines() if line[:1].isalnum()]
    for path in (path for name in names for path in metadata.files(name) or ()):
        if ".." not in path.parts:  # commands beside the library are not needed
            target = site / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path.locate(), target)


def build_wheel(work: Path) -> Path:
    """Built from a copy: building leaves files behind."""
    source = work / "source"
    source.mkdir()
    for name in ("agent", "drivers", "backend"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        if (REPOSITORY / name).exists():
            shutil.copy(REPOSITORY / name, source)
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(work)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    return next(work.glob("counterfoil-*.whl"))


def install_wheel(wheel: Path, home: Path, site: Path) -> None:
    """A wheel without data files is unpacked, and each entry point becomes a script (PyPA, entry points)."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    points = configparser.ConfigParser()
    points.read(next(site.glob("counterfoil-*.dist-info")) / "entry_points.txt")
    for name, target in points["console_scripts"].items():
        module, _, function = target.partition(":")
        script = home / "bin" / name
        script.write_text(
            f"#!/{HOME}/bin/python\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        )
        script.chmod(0o755)


def boot(root: Path, work: Path) -> int:
    """The process id of the machine's init, once it is up: nothing of this computer's own services is started."""
    options = ("--quiet", "--register=no", "--keep-unit", "--link-journal=no", "--private-network", "--machine=lane")
    line = ["systemd-nspawn", *options, f"--directory={root}", "--boot", "systemd.unit=basic.target"]
    console = work / "console"
    with console.open("wb") as log:
        machine = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    deadline = time.monotonic() + BOOT_S
    while machine.poll() is None and time.monotonic() < deadline:
        for pid in children(machine.pid):
            state = inside(pid, "systemctl", "is-system-running").stdout.strip()
            if state in ("running", "degraded"):
                return pid
        time.sleep(0.05)
    raise CannotBoot(f"systemd-nspawn brings no machine up: {console.read_text(errors='replace')[-500:]}")


def children(pid: int) -> list[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in found if Path(f"/proc/{child}/comm").read_text().strip() == "systemd"]
    except OSError:
        return []


def inside(init_pid: int, *command: str, timeout_s: float = 10.0) -> subprocess.CompletedProcess[str]:
    enter = ["nsenter", "--target", str(init_pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--"]
    clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
    return subprocess.run([*enter, *clean, *command], capture_output=True, text=True, check=False, timeout=timeout_s)


def run_day(init_pid: int, *seed: str) -> dict[str, object]:
    done = inside(init_pid, f"/{HOME}/bin/python", "/root/smoke_lane.py", *seed, timeout_s=DAY_S)
    try:
        report: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        journal = inside(init_pid, "journalctl", "--no-pager", "-n", "60", "-u", "counterfoil*").stdout
        report = {"faults": [f"the day broke off: {done.stderr[-2000:]}", journal]}
    return report


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
