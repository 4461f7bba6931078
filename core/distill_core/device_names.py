"""Which devices can be asked for on this machine, found out without loading torch."""

from __future__ import annotations

import platform
import re
import sys
from importlib.util import find_spec
from pathlib import Path

_GPU_FILES = ("proc/driver/nvidia", "dev/nvidiactl", "dev/dxg", "dev/kfd")
"""What the drivers of NVIDIA, of Windows under Linux, and of AMD put into the file system."""


def missing_devices(root: Path = Path("/"), version_file: Path | None = None) -> dict[str, str]:
    """Return the devices that are certainly not here, each with the reason in a few words.

    A device that is not named may still be refused by torch, which is asked where it is loaded already.

    Args:
        root: Of the file system; another one in tests.
        version_file: torch's `version.py`; by default that of the installed one.
    """
    missing = {}
    if why := _why_no_cuda(root, version_file or _version_file()):
        missing["cuda"] = why
    if (platform.system(), platform.machine()) != ("Darwin", "arm64"):
        missing["mps"] = "only Apple's own chips have it"
    return missing


def _why_no_cuda(root: Path, version_file: Path | None) -> str:
    if version_file is not None and not _is_built_for_gpus(version_file):
        return "the installed torch is built without CUDA"
    torch = sys.modules.get("torch")
    if torch is not None:
        return "" if torch.cuda.is_available() else "torch finds no GPU that it can use"
    if sys.platform == "linux" and not any((root / file).exists() for file in _GPU_FILES):
        return "there is no GPU with a driver"
    return ""


def _version_file() -> Path | None:
    spec = find_spec("torch")
    return Path(spec.origin).with_name("version.py") if spec is not None and spec.origin else None


def _is_built_for_gpus(version_file: Path) -> bool:
    try:
        text = version_file.read_text(encoding="utf-8")
    except OSError:
        return True  # unknown; torch will say it
    return bool(re.search(r"^(?:cuda|hip)\b.*= ['\"]", text, re.MULTILINE))
