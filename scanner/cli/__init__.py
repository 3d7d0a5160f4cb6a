"""The command `scan`. Heavy imports wait until a scan really starts, so that `--help` answers at once."""

from scanner.cli.cache import cache
from scanner.cli.main import COMMANDS, main
from scanner.cli.running import calm_libraries, run_command
from scanner.cli.scan_adapter import scan
from scanner.cli.verify import verify
from scanner.cli.writing import say, write_whole

__all__ = ["COMMANDS", "cache", "calm_libraries", "main", "run_command", "say", "scan", "verify", "write_whole"]
