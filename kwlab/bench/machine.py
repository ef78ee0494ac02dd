"""The machine that the figures come from: without it they mean nothing."""

import os
import platform
import sys
import sysconfig
from pathlib import Path
from typing import Any

from kwlab.runtime.linux import allowed_cpus

__all__ = ["machine"]

CPUFREQ = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
CPUINFO = Path("/proc/cpuinfo")


def machine() -> dict[str, Any]:
    """CPUs, governor, load, Python; ``None`` stands for what cannot be read here."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cpus": len(allowed_cpus()),
        "governor": _read(CPUFREQ),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "optimized_build": "--enable-optimizations" in _configure_arguments(),
        "gil": bool(getattr(sys, "_is_gil_enabled", lambda: True)()),
        "switch_interval": sys.getswitchinterval(),
    }


def _configure_arguments() -> str:
    return str(sysconfig.get_config_var("CONFIG_ARGS") or "")


def _processor() -> str | None:
    lines = (_read(CPUINFO) or "").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
