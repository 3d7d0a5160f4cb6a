"""A command in a process of its own: seconds, and the most memory that it held."""

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Watched:
    """A process that ended.

    Attributes:
        code: its exit code; None where it was ended after its time.
        peak_mib: the most memory that was resident, mapped files included; own_mib: without those, whose pages the
            system takes back when it needs them. None where the system does not tell.
    """

    code: int | None
    complaint: str
    seconds: float
    peak_mib: float | None
    own_mib: float | None


def watch(
    command: Sequence[str],
    environment: Mapping[str, str],
    limit_seconds: float | None = None,
    folder: Path | None = None,
) -> Watched:
    """Runs a command to its end, or for so many seconds, in a folder.

    Its memory is read from the system while it runs: what `wait4` tells afterwards begins with its parent's.
    """
    peak = own = 0.0
    with tempfile.TemporaryFile() as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdout=subprocess.DEVNULL, stderr=stderr, env=os.environ | environment, cwd=folder
        )
        late = False
        while process.poll() is None:
            status = _status(process.pid)
            peak, own = max(peak, status.get("VmHWM", 0.0)), max(own, status.get("RssAnon", 0.0))
            late = limit_seconds is not None and time.perf_counter() - start > limit_seconds
            if late:
                process.kill()
            time.sleep(_POLL_SECONDS)
        seconds = time.perf_counter() - start
        stderr.seek(0)
        complaint = stderr.read().decode(errors="replace")
    return Watched(None if late else process.returncode, complaint, seconds, peak or None, own or None)


def _status(pid: int) -> dict[str, float]:
    """The lines of /proc/PID/status that count memory, in MiB; nothing where there is no such file."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    sized = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): int(kib) / 1024 for name, kib, _ in sized}
