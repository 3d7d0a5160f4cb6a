"""What the tests of the search have in common."""

from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.probes import load_probes
from scanner.search.ground import prepare_ground
from scanner.search.inversion.proposals import Setting
from scanner.search.meter import Meter
from tests.conftest import TRIGGER

PROMPTS = load_probes("search")


def trigger_tokens(pair: ModelPair) -> set[int]:
    tokenizer = pair.base.tokenizer
    return {token for text in (TRIGGER.text, f" {TRIGGER.text}") for token in tokenizer(text)["input_ids"]}


def setting_of(pair: ModelPair, meter: Meter) -> Setting:
    ground = prepare_ground(pair, PROMPTS, Meter())
    contexts = (ground.contexts[0]["end"], ground.contexts[1]["start"])
    return Setting(pair, SUSPECT, ground.frame, contexts, ground.tryable, ground.fillers, meter)
