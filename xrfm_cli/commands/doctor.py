"""``xrfm doctor``: the facts about this machine that a bug report needs."""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

import psutil

from xrfm_cli.commands.common.session import THREAD_VARIABLES, Session
from xrfm_cli.options.cores import usable_cores
from xrfm_cli.options.declarations import DoctorOptions
from xrfm_cli.terminal.tables import facts_table

LIBRARIES = (
    "xrfm-cli",
    "numpy",
    "torch",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "optuna",
    "safetensors",
    "typer",
    "rich",
    "jinja2",
    "matplotlib",
)
# Files of the drivers of NVIDIA, AMD, and Windows below Linux.
DRIVER_FILES = ("/proc/driver/nvidia", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
COMPILERS = {"win32": "Visual Studio's C++ build tools", "darwin": "Xcode's: xcode-select --install"}


def run(options: DoctorOptions, session: Session) -> int:
    """Print versions, devices, memory and threads."""
    document = {
        "versions": _versions(),
        "platform": platform.platform(),
        "devices": _devices(),
        "memory": _memory(),
        "threads": _threads(),
        "compiled": _compiled(),
    }
    for title in ("versions", "devices", "memory", "threads", "compiled"):
        session.renderer.result(facts_table(title, _shown(title, document[title])))
    session.renderer.document("doctor", document)
    return 0


def _versions() -> dict[str, str | None]:
    """Return the versions of Python and the libraries; None for a missing library."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _devices() -> list[dict[str, object]]:
    """Return the available devices; report a torch that cannot be loaded instead of failing.

    torch takes seconds to load, so it is loaded only if there may be a GPU.
    """
    devices: list[dict[str, object]] = [{"name": "cpu", "description": _processor()}]
    if find_spec("torch") is None:
        return [{"name": "cpu", "description": "torch is not installed"}]
    if not may_have_gpu():
        return devices
    try:
        import torch
    except (ImportError, OSError) as fault:
        return [{"name": "cpu", "description": f"torch cannot be loaded: {fault}"}]
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        properties = torch.cuda.get_device_properties(number)
        devices.append(
            {
                "name": f"cuda:{number}",
                "description": properties.name,
                "memory_bytes": int(properties.total_memory),
            }
        )
    if torch.backends.mps.is_available():
        devices.append({"name": "mps", "description": "Apple GPU"})
    return devices


def may_have_gpu() -> bool:
    """Return False on a Linux without a GPU driver; elsewhere only torch can tell."""
    return sys.platform != "linux" or any(Path(file).exists() for file in DRIVER_FILES)


def _processor() -> str:
    """Return the processor's name if the system provides it, otherwise its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory() -> dict[str, int]:
    """Return the total and the available memory in bytes; empty if the system does not tell."""
    try:
        memory = psutil.virtual_memory()
    except (OSError, RuntimeError, ValueError, psutil.Error):
        return {}
    return {"total_bytes": memory.total, "available_bytes": memory.available}


def _threads() -> dict[str, object]:
    """Return the cores, the usable cores, and the variables that limit library threads."""
    usable, torch = usable_cores(), sys.modules.get("torch")
    # As in the other commands; torch has a thread for each physical core unless a variable says otherwise.
    given = next((os.environ[name] for name in THREAD_VARIABLES if os.environ.get(name, "").isdigit()), None)
    default = int(given) if given else psutil.cpu_count(logical=False) or usable
    count = default if torch is None else torch.get_num_threads()
    threads: dict[str, object] = {"cores": os.cpu_count(), "usable_cores": usable}
    threads["torch"] = max(1, min(count, usable))
    return threads | {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ}


def _compiled() -> dict[str, object]:
    """Return which parts were compiled at installation; torch replaces missing ones."""
    try:
        import_module("xrfm_cli.leaf_models.compiled._coordinates")
    except ImportError:
        return {"coordinate_loops": False}
    return {"coordinate_loops": True}


def _shown(title: str, facts: object) -> dict[str, str]:
    """Format the facts of a section for the terminal."""
    if title == "devices" and isinstance(facts, list):
        return {item["name"]: _device_text(item) for item in facts}
    pairs = facts.items() if isinstance(facts, dict) else ()
    if title == "memory":
        return {name.removesuffix("_bytes"): f"{value / 2**30:.1f} GiB" for name, value in pairs}
    if title == "compiled":
        compiler = COMPILERS.get(sys.platform, "gcc or clang")
        says = {
            True: "yes",
            False: f"no, so kernels are slower: install a C compiler ({compiler}), then reinstall xrfm-cli "
            "with pip's --force-reinstall --no-deps",
            None: "unknown",
        }
        return {name.replace("_", " "): says[value] for name, value in pairs}
    return {name: "not installed" if value is None else str(value) for name, value in pairs}


def _device_text(device: dict[str, object]) -> str:
    memory = device.get("memory_bytes")
    size = f", {memory / 2**30:.0f} GiB" if isinstance(memory, int) else ""
    return f"{device['description']}{size}"
