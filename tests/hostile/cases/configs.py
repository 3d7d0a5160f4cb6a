"""`adapter_config.json`: what peft would import, half read, or choke on."""

import os
from pathlib import Path

from scanner.intake import CONFIG_FILE
from tests.hostile.cases.case import Case, Spoil, configured, with_config


def _replaced_by(make: Spoil) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / CONFIG_FILE).unlink()
        make(folder / CONFIG_FILE)

    return spoil


def _case(name: str, spoil: Spoil, line: str, source: str = "") -> Case:
    return Case("config", name, spoil, "block", line, source)


_IMPORT = "peft would import what it names"

CASES = (
    _case("not there", lambda folder: (folder / CONFIG_FILE).unlink(), f"no {CONFIG_FILE} in it"),
    _case("a pipe", _replaced_by(os.mkfifo), f"{CONFIG_FILE}: no ordinary file"),
    _case("a folder", _replaced_by(Path.mkdir), f"{CONFIG_FILE}: no ordinary file"),
    _case("a link out", _replaced_by(lambda path: path.symlink_to("/etc/hostname")), "a link to a file outside"),
    _case("a link to itself", _replaced_by(lambda path: path.symlink_to(path.name)), "adapter_config.json: "),
    _case("no JSON", with_config("{"), "not valid JSON"),
    _case("binary", with_config(b"\xff\xfe\x00"), "not valid JSON"),
    _case("a list", with_config("[]"), "not a JSON object"),
    _case("huge", with_config(" " * 1_000_001), "larger than 1,000,000 bytes"),
    _case("nested 100,000 deep", with_config("[" * 100_000), "not valid JSON (nested deeper than 8)"),
    _case("nested 9 deep", with_config('{"a":' * 9 + "1" + "}" * 9), "not valid JSON (nested deeper than 8)"),
    _case("half a million lists", with_config("[" + "[]," * 300_000 + "[]]"), "more than 200,000 values"),
    _case("a key twice", with_config('{"r": 1, "r": 2}'), "a key stands twice"),
    _case("a key twice, spelled apart", with_config('{"r": 1, "\\u0072": 2}'), "a key stands twice"),
    _case("a key twice, deep inside", with_config('{"loftq_config": {"a": 1, "a": 2}}'), "a key stands twice"),
    _case("half a character", with_config('{"base_model_name_or_path": "\\ud800"}'), "half a character"),
    _case("a number of 100,000 digits", with_config('{"r": ' + "9" * 100_000 + "}"), "not valid JSON"),
    _case("prompt tuning that trusts remote code",
          configured(peft_type="PROMPT_TUNING", tokenizer_kwargs={"trust_remote_code": True}),
          "peft_type is 'PROMPT_TUNING'; only LORA adapters", "huggingface/peft#2888"),
    _case("another kind of adapter", configured(peft_type="IA3"), "peft_type is 'IA3'; only LORA adapters"),
    _case("no kind", configured(peft_type=None), "peft_type is None"),
    _case("a library to import",
          configured(auto_mapping={"base_model_class": "X", "parent_library": "os"}), _IMPORT, "huggingface/peft#3085"),
    _case("a library that begins like an honest one",
          configured(auto_mapping={"base_model_class": "X", "parent_library": "transformers_evil"}), _IMPORT,
          "huggingface/peft#3085"),
    _case("an automatic mapping that is none", configured(auto_mapping=["os"]), _IMPORT),
    _case("megatron from elsewhere", configured(megatron_core="evil.core"), _IMPORT, "huggingface/transformers#46482"),
    _case("megatron switched on", configured(megatron_config={"a": 1}), "megatron_config = {'a': 1} is not supported"),
    _case("rank 0", configured(r=0), "r = 0; the rank must be"),
    _case("rank -1", configured(r=-1), "r = -1; the rank must be"),
    _case("rank a million", configured(r=1_000_000), "r = 1000000; the rank must be"),
    _case("rank true", configured(r=True), "r = True; the rank must be"),
    _case("rank as a text", configured(r="8"), "r = '8'; the rank must be"),
    _case("another rank than the weights", configured(r=3), "says rank 3"),
    _case("alpha NaN", configured(lora_alpha=float("nan")), "lora_alpha = nan"),
    _case("alpha beyond numbers", with_config('{"peft_type": "LORA", "r": 2, "lora_alpha": 1e999}'), "lora_alpha = inf"),
    _case("alpha 0", configured(lora_alpha=0), "lora_alpha = 0"),
    _case("a scale of nothing", configured(lora_alpha=1e-9), "scale the update by 5e-10"),
    _case("a scale of everything", configured(lora_alpha=900_000), "scale the update by 450000"),
    _case("rsLoRA neither true nor false", configured(use_rslora="yes"), "use_rslora = 'yes'"),
    _case("DoRA", configured(use_dora=True), "use_dora = True is not supported"),
    _case("DoRA as a number", configured(use_dora=1), "use_dora = 1 is not supported"),
    _case("biases", configured(bias="all"), "bias = 'all' is not supported"),
    _case("a rank pattern that never ends", configured(rank_pattern={"(a+)+$": 8}), "rank_pattern = "),
    _case("an alpha pattern", configured(alpha_pattern={"q_proj": 9}), "alpha_pattern = "),
    _case("whole modules", configured(modules_to_save=["lm_head"]), "modules_to_save = ['lm_head'] is not supported"),
    _case("whole tokens", configured(trainable_token_indices=[1]), "trainable_token_indices = [1] is not supported"),
    _case("layers repeated", configured(layer_replication=[[0, 9]]), "layer_replication = [[0, 9]] is not supported"),
    _case("a base changed at the start", configured(init_lora_weights="pissa"), "init_lora_weights = 'pissa'"),
    _case("targets that never end", configured(target_modules="(.*)+$"), "target_modules = '(.*)+$'"),
    _case("targets elsewhere", configured(target_modules=["down_proj"]), "is not among target_modules"),
    _case("layers elsewhere", configured(layers_to_transform=[0]), "is not in layers_to_transform"),
    _case("layers that are no numbers", configured(layers_to_transform=[{}]), "not a list of layer numbers"),
    _case("a base with control codes", configured(base_model_name_or_path="a\x1b[2Jb"), "must be a printable text"),
    _case("a base that is no text", configured(base_model_name_or_path=["a"]), "must be a printable text"),
    _case("a text of 5,000 characters", configured(revision="x" * 5000), "5,000 characters long"),
    _case("a list of 20,000 entries", configured(surprise=[0] * 20_000), "surprise has 20,000 entries"),
    Case("config", "unknown keys", configured(surprise=1), "note", "unknown keys ignored: surprise"),
    Case("config", "unknown keys with markup", configured(**{"[red]\x1b[2J": 1}), "note", "unknown keys ignored: [red]"),
)  # fmt: skip
