"""`distill-tui doctor`: what this machine and this terminal have, and what to mend."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import click
from rich.console import Console

from distill_core.config import Device
from distill_core.device_names import missing_devices
from distill_core.errors import DistillError
from distill_core.extras import EXTRAS, is_installed
from distill_core.runs import RunStore
from distill_core.user_folders import cache_folder
from distill_core.wording import plural
from distill_tui.cli.options import json_option, runs_dir_option
from distill_tui.cli.output import say, say_object
from distill_tui.places import keymap_path, state_dir
from distill_tui.threads import APP_THREADS, can_start_threads

FEWEST_COLUMNS, FEWEST_ROWS = 80, 24
FEWEST_BYTES = 1_000_000_000
_GIGABYTE = 1e9


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one subject.

    Attributes:
        mend: What to do about it; empty where all is well.
    """

    subject: str
    found: str
    mend: str = ""


@click.command()
@runs_dir_option
@json_option
def doctor(runs_dir: Path | None, *, as_json: bool) -> int:
    """Look at the terminal, the devices, the libraries and the folders, and tell what to mend.

    Leaves with 0 where there is nothing to mend, else with 1.
    """
    findings = [*_terminal(), *_machine(), *_folders(runs_dir)]
    for finding in findings:
        if as_json:
            say_object(asdict(finding))
            continue
        say(f"{'!' if finding.mend else ' '} {finding.subject:<11} {finding.found}")
        if finding.mend:
            say(f"  {'':<11} mend: {finding.mend}")
    to_mend = sum(bool(finding.mend) for finding in findings)
    if not as_json:
        say(f"{plural(to_mend, 'thing')} to mend." if to_mend else "Nothing to mend.")
    return int(to_mend > 0)


def _terminal() -> Iterator[Finding]:
    term = os.environ.get("TERM", "")
    size = shutil.get_terminal_size()
    words = f"{term or 'no TERM'}, {size.columns}x{size.lines}"
    if term in ("", "dumb", "unknown"):
        yield Finding("terminal", words, "Set TERM to what the terminal is, such as xterm-256color.")
    elif size.columns < FEWEST_COLUMNS or size.lines < FEWEST_ROWS:
        wanted = f"Make it {FEWEST_COLUMNS}x{FEWEST_ROWS} at least; smaller ones cut the screens."
        yield Finding("terminal", words, wanted)
    else:
        yield Finding("terminal", words)
    colours = Console(force_terminal=True).color_system or "none"
    yield Finding("colours", "none, as NO_COLOR asks" if "NO_COLOR" in os.environ else colours)
    encoding = sys.stdout.encoding or "unknown"
    utf8 = encoding.lower().replace("-", "") == "utf8"
    yield Finding(
        "encoding", encoding, "" if utf8 else "Set LANG or LC_ALL to a UTF-8 locale, such as C.UTF-8."
    )
    if utf8:
        yield Finding("font", "these are dots, bars and letters, no boxes: ⠒⣿ ▏▌█ ╭┼╮ τ λ ²")
    if "TMUX" in os.environ:
        yield Finding("tmux", "to copy with y: set -g set-clipboard on, or allow-passthrough on")
    if "SSH_TTY" in os.environ:
        yield Finding("line", "over SSH: ssh -C and TEXTUAL_ANIMATIONS=none keep it light")


def _machine() -> Iterator[Finding]:
    yield Finding("python", sys.version.split()[0])
    try:
        from distill_core.latency.timing.machine import read_machine

        machine = read_machine()
    except (ImportError, OSError, RuntimeError) as error:
        yield Finding("torch", f"cannot be loaded: {error}", "Install distill-tui anew.")
    else:
        yield Finding("torch", f"{machine.torch}, {machine.torch_cpu_capability}")
        yield Finding(
            "cpu", f"{machine.cpu}, {machine.usable_cores} of {plural(machine.cores, 'core')} usable"
        )
        blas = machine.blas
        yield Finding(
            "BLAS", blas or "not found", "" if blas else "Install NumPy's own wheel: pip install numpy."
        )
    missing = missing_devices()
    for device in get_args(Device):
        if device != "auto":
            yield Finding("device", f"{device}: {missing.get(device, 'can be used')}")
    enough = can_start_threads(APP_THREADS)
    yield Finding(
        "threads",
        "as many as the app needs" if enough else f"the system allows fewer than {APP_THREADS} more",
        "" if enough else "Raise the limit ('ulimit -u', or that of the container), or end other processes.",
    )
    for extra, packages in EXTRAS.items():
        there = all(map(is_installed, packages))
        how = (
            "installed" if there else f"not installed; pip install 'distill-tui[{extra}]' adds it to exports"
        )
        yield Finding(extra, how)


def _folders(runs_dir: Path | None) -> Iterator[Finding]:
    try:
        store = RunStore(runs_dir)
    except DistillError as error:
        yield Finding("runs", error.message, error.hint)
    else:
        runs = store.list()
        damaged = sum(bool(run.problem) for run in runs)
        words = f"{store.root}, {plural(len(runs), 'run')}"
        yield _writable("runs", store.root, f"{words}, {damaged} damaged" if damaged else words)
        yield _storage(store.root)
    for subject, folder in (("state", state_dir()), ("cache", cache_folder())):
        if folder is None:
            yield Finding(subject, "no home directory: recent databases and settings are not kept")
        else:
            yield _writable(subject, folder, str(folder))
    keymap = keymap_path()
    if keymap is not None:
        yield Finding("keymap", f"{keymap}, {'read' if keymap.is_file() else 'none'}")


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    return next((place for place in (folder, *folder.parents) if place.exists()), folder)


def _writable(subject: str, folder: Path, words: str) -> Finding:
    place = _existing(folder)
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return Finding(subject, words)
    return Finding(subject, words, f"Allow writing in {place}, or choose another folder.")


def _storage(folder: Path) -> Finding:
    free = shutil.disk_usage(_existing(folder)).free
    words = f"{free / _GIGABYTE:,.1f} GB free for runs"
    return Finding("storage", words, "" if free >= FEWEST_BYTES else "Make room; a run takes up to 100 MB.")
