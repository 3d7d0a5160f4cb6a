"""Which imports of a pickle are harmless, strange or refused.

Lists of dangers are always behind; so functions of Python's own library and of the libraries that run adapters are
refused unless they are known parts of saved optimisers and trainers.
"""

import re
import sys
from collections import deque

_MAX_NAME = 1_000
_REMEMBERED, _RECALLED = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}, {"GET", "BINGET", "LONG_BINGET"}

_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\Z", re.ASCII)
_CLASS_NAME = re.compile(r"[A-Z]\w*\Z", re.ASCII)

_PLAIN_TYPES = frozenset({
    "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "long", "object", "set", "slice",
    "str", "tuple", "unicode",
})  # fmt: skip
# Classes and rebuilding functions that torch, transformers and trl write into optimiser states and training arguments.
_TRAINERS_OWN: dict[str, frozenset[str]] = {
    "_codecs": frozenset({"encode"}),
    "accelerate.state": frozenset({"AcceleratorState", "PartialState"}),
    "accelerate.utils.dataclasses": frozenset({"DeepSpeedPlugin", "DistributedType"}),
    "__builtin__": _PLAIN_TYPES,
    "builtins": _PLAIN_TYPES,
    "copy_reg": frozenset({"_reconstructor"}),
    "copyreg": frozenset({"_reconstructor"}),
    "collections": frozenset({"Counter", "OrderedDict", "defaultdict", "deque"}),
    "datetime": frozenset({"datetime", "timedelta"}),
    "numpy._core.multiarray": frozenset({"_reconstruct", "scalar"}),
    "numpy.core.multiarray": frozenset({"_reconstruct", "scalar"}),
    "pathlib": frozenset({"Path", "PosixPath", "PurePosixPath", "WindowsPath"}),
    "torch": frozenset({
        "Size", "device", "dtype", "Tensor", "Generator", "UntypedStorage", "bfloat16", "float16", "float32",
        "float64", "int32", "int64", "uint8", "bool",
    }),
    "torch._utils": frozenset({"_rebuild_parameter", "_rebuild_tensor", "_rebuild_tensor_v2"}),
    "torch.nn.parameter": frozenset({"Parameter"}),
    "torch.storage": frozenset({"TypedStorage", "UntypedStorage"}),
    "transformers.integrations.deepspeed": frozenset({"HfDeepSpeedConfig", "HfTrainerDeepSpeedConfig"}),
    "transformers.trainer_pt_utils": frozenset({"AcceleratorConfig"}),
    "transformers.trainer_utils": frozenset({
        "EvaluationStrategy", "FSDPOption", "HubStrategy", "IntervalStrategy", "SaveStrategy", "SchedulerType",
    }),
    "transformers.training_args": frozenset({"OptimizerNames", "ParallelMode", "TrainingArguments"}),
    "transformers.training_args_seq2seq": frozenset({"Seq2SeqTrainingArguments"}),
    "transformers.generation.configuration_utils": frozenset({"GenerationConfig"}),
    "trl.trainer.dpo_config": frozenset({"DPOConfig", "FDivergenceType"}),
    "trl.trainer.grpo_config": frozenset({"GRPOConfig"}),
    "trl.trainer.kto_config": frozenset({"KTOConfig"}),
    "trl.trainer.orpo_config": frozenset({"ORPOConfig"}),
    "trl.trainer.reward_config": frozenset({"RewardConfig"}),
    "trl.trainer.sft_config": frozenset({"SFTConfig"}),
}  # fmt: skip
# What one of these gives, beyond the list above, is refused: gadgets are looked for where everybody has the library.
_WELL_KNOWN = sys.stdlib_module_names | {
    "__builtin__", "accelerate", "bitsandbytes", "cloudpickle", "dill", "huggingface_hub", "jax", "joblib", "keras",
    "numpy", "pandas", "peft", "pip", "pkg_resources", "requests", "scipy", "setuptools", "sklearn", "tensorflow",
    "torch", "torchvision", "transformers", "trl", "yaml",
}  # fmt: skip


def standing(module: str, name: str, dangerous: bool, harmless: bool) -> str:
    """`refused`, `strange` or `known`; `dangerous` and `harmless` are what picklescan holds of it."""
    if dangerous or not _PLAIN_NAME.match(module) or not _PLAIN_NAME.match(name):
        return "refused"
    if harmless or name in _TRAINERS_OWN.get(module, ()):
        return "known"
    if module.partition(".")[0] in _WELL_KNOWN or not _CLASS_NAME.match(name):
        return "refused"
    return "strange"


def is_import(lines: object) -> bool:
    """Whether the two lines after an import's opcode are names: ordinary text begins with the same letters."""
    module, _, name = str(lines).partition(" ")
    return bool(_PLAIN_NAME.match(module) and _PLAIN_NAME.match(name))


class NamesBefore:
    """The last two values that a pickle puts on its stack, which an import takes for its names.

    They are followed as picklescan follows them: it would write out a value of megabytes as a name, for every import.
    """

    def __init__(self) -> None:
        self._memo: dict[object, object] = {}
        self._last: deque[object] = deque(maxlen=2)
        self._argument: object = None

    def see(self, operation: str, argument: object) -> None:
        """Follows one operation."""
        if operation in _REMEMBERED:
            self._memo[len(self._memo) if operation == "MEMOIZE" else argument] = self._argument
        else:
            self._last.append(self._memo.get(argument) if operation in _RECALLED else argument)
        self._argument = argument

    def are_names(self) -> bool:
        """Whether both are texts as long as names are."""
        return all(isinstance(value, str) and len(value) <= _MAX_NAME for value in self._last)
