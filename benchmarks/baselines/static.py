"""A static scanner that users find today, run as it is: adaptersentry 2 (Apache 2.0), on the weights file alone.

`ADAPTERSENTRY` names its executable, in an environment of its own (it brings packages that share names with ours): `pip
install adaptersentry==2.0.2` there. Its verdict alarms at |z| ≥ 14 between the modules of one adapter; the
score here is the largest |z|, which says at any threshold whether it would have told.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import click

VARIABLE = "ADAPTERSENTRY"
_LIMIT_S = 300


@dataclass(frozen=True)
class StaticVerdict:
    """`action` is its own word: allow, review or block; `largest_z` over all modules and statistics."""

    action: str
    largest_z: float
    version: str


def adaptersentry(weights: Path) -> StaticVerdict:
    """What it says of a weights file.

    Raises:
        click.UsageError: it is not there.
        ValueError: it could not read the file.
    """
    program = shutil.which(os.environ.get(VARIABLE, "adaptersentry"))
    if program is None:
        raise click.UsageError(f"adaptersentry is not there: name its executable in {VARIABLE}")
    done = subprocess.run(  # noqa: S603 - the program that the user named
        [program, "scan", str(weights), "--format", "full-json"], capture_output=True, timeout=_LIMIT_S, check=False
    )
    if done.returncode != 0:
        raise ValueError(f"adaptersentry ended with {done.returncode}: {done.stderr.decode(errors='replace')[-200:]}")
    return read_verdict(done.stdout.decode())


def read_verdict(text: str) -> StaticVerdict:
    """From its full JSON."""
    report = json.loads(text)
    zs = [abs(float(value)) for module in report["modules"] for value in (module["z"] or {}).values()]
    return StaticVerdict(report["verdict"]["action"], max(zs, default=0.0), report["scan"]["analyzer_version"])
