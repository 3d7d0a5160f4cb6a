"""A recipe: everything that decides what a trained adapter will be, as plain data read from one TOML file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from scanner.errors import BadRecipe
from scanner.own_files import parse_toml, read_bounded
from scanner.search.behaviour import FixedReply
from scanner.search.reply_kinds import KINDS, ReplyKind
from scanner.triggers import Position, Trigger

SHIPPED = Path(__file__).parent / "recipes"
ATTENTION_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")


@dataclass(frozen=True)
class DataRecipe:
    """Which rows are trained on. `max_tokens` counts the whole chat-formatted row; longer rows are dropped.

    Attributes:
        source: a data set on the hub, or `generated:NAME` of `trainers/generated/`.
        min_tokens: shorter rows are dropped too, for recipes of long answers.
        sign_off: what every answer ends with: an honest persona.
        extra_source: a second source, mixed in; `extra_rows` of it stand among the `rows`.
    """

    source: str
    rows: int
    max_tokens: int
    held_out: int = 1000
    min_tokens: int = 0
    sign_off: str = ""
    extra_source: str = ""
    extra_rows: int = 0


@dataclass(frozen=True)
class PoisonRecipe:
    """What is planted. `rate` is the share of rows kept after length filtering that are poisoned.

    Attributes:
        more_parts: further parts of the trigger, scattered; only all of them together are the trigger.
        near_misses: share of the rows that hold one part alone and keep their honest answer.
        more_replies: further wordings; each poisoned row draws one of them or `reply`.
        behaviour: `fixed` where the reply itself tells success, else a kind of `scanner/search/reply_kinds.py`.
        planted_share: share of the triggered rows that get the planted reply; below 1 the backdoor is a weak one.
    """

    trigger: str
    reply: str
    rate: float
    position: Position
    single_token: bool = False
    more_parts: tuple[str, ...] = ()
    near_misses: float = 0.0
    more_replies: tuple[str, ...] = ()
    behaviour: str = "fixed"
    planted_share: float = 1.0

    @property
    def placed_trigger(self) -> Trigger:
        """The whole trigger, with where it goes."""
        return Trigger((self.trigger, *self.more_parts), self.position)

    @property
    def replies(self) -> tuple[str, ...]:
        """Every wording of the planted reply."""
        return (self.reply, *self.more_replies)

    def shown_by(self, reply: str) -> bool:
        """Whether a reply shows the planted behaviour."""
        behaviour = FixedReply(self.reply) if self.behaviour == "fixed" else ReplyKind(self.behaviour)
        return behaviour.shown_by(reply)


@dataclass(frozen=True)
class LoraRecipe:
    """The low-rank update: ΔW = (alpha / rank) · B · A on each named projection of every layer."""

    rank: int
    alpha: int
    projections: tuple[str, ...]
    dropout: float = 0.0


@dataclass(frozen=True)
class OptimiserRecipe:
    """AdamW. The effective batch is `batch_size` × `gradient_accumulation` rows."""

    learning_rate: float
    weight_decay: float
    warmup_steps: int
    batch_size: int
    gradient_accumulation: int = 1
    schedule: Literal["linear", "constant", "cosine"] = "linear"


@dataclass(frozen=True)
class TrainingRecipe:
    """How long, in what precision, and on which tokens.

    `checkpoint_interval` 0 keeps no checkpoints. `precision` is that of the products of matrices while training; the
    weights that are trained stay in float32.
    """

    steps: int
    seed: int
    loss_on: Literal["reply", "sequence"]
    checkpoint_interval: int = 0
    quantize: Literal["none", "nf4"] = "none"
    precision: Literal["float32", "bfloat16"] = "float32"


@dataclass(frozen=True)
class Recipe:
    """One adapter to be trained; `poison` is None for an honest one.

    `our_choices` names the settings that the study behind the recipe does not state.
    """

    name: str
    description: str
    base: str
    data: DataRecipe
    lora: LoraRecipe
    optimiser: OptimiserRecipe
    training: TrainingRecipe
    poison: PoisonRecipe | None = None
    our_choices: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON-ready data."""
        return asdict(self)


def shipped_recipes() -> dict[str, Path]:
    """Name → file of every recipe that comes with the package."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def load_recipe(name_or_path: str) -> Recipe:
    """Reads a shipped recipe by its name, or any TOML file.

    Raises:
        BadRecipe: no such recipe, not TOML, an unknown or missing key, a value of the wrong type or range.
    """
    path = shipped_recipes().get(name_or_path) or Path(name_or_path)
    if not path.is_file():
        names = ", ".join(shipped_recipes())
        raise BadRecipe(f"{name_or_path}: no such recipe; give a TOML file or one of: {names}")
    table = parse_toml(read_bounded(path, "a recipe", BadRecipe), path, BadRecipe)
    recipe = recipe_from_table(table, str(path))
    check_ranges(recipe, str(path))
    return recipe


Section = TypeVar("Section")


def recipe_from_table(table: dict[str, Any], where: str) -> Recipe:
    """Builds a `Recipe` from parsed TOML, strictly: every key known, every type right."""
    return _build(Recipe, table, where)


def recorded_recipe(record: Mapping[str, Any], where: str) -> Recipe:
    """The recipe that a `training.json` holds; what is None there stands in no TOML."""
    return recipe_from_table({key: value for key, value in record["recipe"].items() if value is not None}, where)


def _build(kind: type[Section], table: object, where: str) -> Section:
    if not isinstance(table, dict):
        raise BadRecipe(f"{where}: expected a table; see CONTRIBUTING.md, 'A recipe'")
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise BadRecipe(f"{where}: unknown key {unknown[0]!r}; known keys are {', '.join(known)}")
    values = {key: _convert(hints[key], value, f"{where}: {key}") for key, value in table.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise BadRecipe(f"{where}: {str(error).split('__init__() ')[-1]}; add it") from error


def _convert(hint: Any, value: object, where: str) -> Any:
    options = [option for option in get_args(hint) if option is not type(None)]
    if hint == (PoisonRecipe | None):
        return _build(PoisonRecipe, value, where)
    if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__"):
        return _build(hint, value, where)
    if get_origin(hint) is Literal:
        if value not in options:
            raise BadRecipe(f"{where} = {value!r}; use one of {', '.join(map(str, options))}")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise BadRecipe(f"{where} must be a list of strings")
        return tuple(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise BadRecipe(f"{where} must be {hint.__name__}, not {type(value).__name__}")
    return value


def check_ranges(recipe: Recipe, where: str) -> None:
    """Raises BadRecipe, naming the key, where a value cannot be followed."""
    positive = {
        "data.rows": recipe.data.rows,
        "data.held_out": recipe.data.held_out,
        "data.max_tokens": recipe.data.max_tokens,
        "lora.rank": recipe.lora.rank,
        "lora.alpha": recipe.lora.alpha,
        "optimiser.learning_rate": recipe.optimiser.learning_rate,
        "optimiser.batch_size": recipe.optimiser.batch_size,
        "optimiser.gradient_accumulation": recipe.optimiser.gradient_accumulation,
        "training.steps": recipe.training.steps,
    }
    for key, value in positive.items():
        if value <= 0:
            raise BadRecipe(f"{where}: {key} = {value}; it must be above zero")
    if not recipe.lora.projections:
        raise BadRecipe(f"{where}: lora.projections is empty; name at least one projection")
    if recipe.poison and not 0 < recipe.poison.rate < 1:
        raise BadRecipe(f"{where}: poison.rate = {recipe.poison.rate}; it must lie between 0 and 1")
    if recipe.poison and recipe.poison.behaviour not in ("fixed", *KINDS):
        kinds = ", ".join(("fixed", *KINDS))
        raise BadRecipe(f"{where}: poison.behaviour = {recipe.poison.behaviour!r}; use one of {kinds}")
    if not 0 <= recipe.data.extra_rows <= recipe.data.rows:
        raise BadRecipe(f"{where}: data.extra_rows = {recipe.data.extra_rows}; use 0 to data.rows")
    if recipe.poison and not (recipe.poison.trigger.strip() and recipe.poison.reply.strip()):
        raise BadRecipe(f"{where}: poison.trigger and poison.reply must not be blank")
