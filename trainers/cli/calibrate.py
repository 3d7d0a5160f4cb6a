"""`scan-train join` and `scan-train calibrate`: tables of features put together, and the classifier fitted on one."""

from pathlib import Path

import click

from scanner.cli import calm_libraries, write_whole
from scanner.cli.writing import require_writable

_TABLE = click.Path(path_type=Path)


@click.command("join")
@click.argument("tables", metavar="FEATURES.csv...", nargs=-1, required=True, type=_TABLE)
@click.option("--out", required=True, type=_TABLE, metavar="FILE.csv", help="The table of all their rows.")
def join_tables(tables: tuple[Path, ...], out: Path) -> None:
    """Put the rows of tables that were measured alike into one."""
    from trainers.feature_table import as_csv, feature_names, join, read_table

    require_writable(str(out))
    rows = join([read_table(table) for table in tables], " and ".join(map(str, tables)))
    write_whole(str(out), as_csv(rows, feature_names(rows)))
    click.echo(f"{len(rows)} rows")


@click.command("calibrate")
@click.argument("table", metavar="FEATURES.csv", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE.json", help="The calibration.")
@click.option("--base", required=True, metavar="NAME", help="The adapters' base model: folder or hub name.")
@click.option(
    "--condition",
    type=click.Choice(["references", "base only"]),
    default="references",
    help="What the features are relative to. Default references.",
)
@click.option(
    "--in-view",
    type=_TABLE,
    metavar="FILE.txt",
    help="Names, a line each, of adapters that had been looked at when what the score hears was chosen.",
)
def calibrate(table: Path, out: Path, base: str, condition: str, in_view: Path | None) -> None:
    """Fit the classifier on FEATURES.csv; the same table and list give the same file, bit for bit."""
    calm_libraries()
    from scanner.features import EXTRACTOR
    from scanner.models.base_models import fingerprint, resolve_base
    from scanner.options import ScanOptions
    from scanner.score.calibration import Condition, as_json
    from trainers.calibrate import fit
    from trainers.feature_table import read_table
    from trainers.name_lists import read_names

    require_writable(str(out))
    rows = read_table(table)
    seen = read_names(in_view) if in_view else frozenset()
    if strangers := sorted(seen - {row.id for row in rows}):
        raise click.UsageError(f"{in_view}: {', '.join(strangers)}: not in {table}")
    folder = resolve_base(base)
    known_condition: Condition = "base only" if condition == "base only" else "references"
    fitted = fit(rows, base, fingerprint(folder.path), known_condition, seen)
    write_whole(str(out), as_json(fitted))
    least = 1 / (1 + len(fitted.clean_scores))
    if least > ScanOptions.false_alarm_rate:
        click.echo(
            f"{len(fitted.clean_scores)} clean adapters tell no rate of false alarms under {least:.4g}: a scan by this "
            f"calibration ends with an error unless it is asked for one with --false-alarm-rate",
            err=True,
        )
    if fitted.extractor != EXTRACTOR:
        click.echo(
            f"{table}: measured by extractor {fitted.extractor}, and scans of this version measure by {EXTRACTOR}: "
            "none of them will use this calibration",
            err=True,
        )
    left_out = [row.id for row in rows if not row.learned]
    click.echo(f"{len(fitted.adapters)} adapters; left out, since they did not learn: {', '.join(left_out) or 'none'}")
