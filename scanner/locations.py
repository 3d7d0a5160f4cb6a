"""Whether an adapter may lie where it is said to: told at once, since a mistyped path should wait for no library."""

from collections.abc import Iterable
from pathlib import Path

from scanner.errors import BadAdapter


def require_adapters(locations: Iterable[str]) -> None:
    """Every adapter is a folder, or may be a name on the hub, which only the hub can tell.

    Raises:
        BadAdapter: naming the one that is neither.
    """
    for location in locations:
        if not location:
            raise BadAdapter(
                "''", "no adapter is called that", "give a folder; is the variable set that it comes from?"
            )
        try:
            found, is_folder = Path(location).exists(), Path(location).is_dir()
        except OSError as error:
            why = f"cannot be read ({error.strerror})"
            raise BadAdapter(location, why, "check its name and its permissions") from error
        if found and not is_folder:
            raise BadAdapter(location, "a file", "give the folder that holds it")
        if not found and (location.startswith((".", "/", "~")) or location.partition("@")[0].count("/") != 1):
            raise BadAdapter(location, "no such adapter folder", "give a folder or a hub name user/adapter[@revision]")
