"""What a pickle would import if somebody loaded it, judged without loading it.

picklescan names the imports and knows many dangerous ones; it is used strictly, so that what it does not know to be
harmless is dangerous, and wrapped so that where it fails the file is refused. Two gaps are closed here. It treats a
stream that breaks off without an import as no pickle at all, so the stream is split and read to its end first; and
lists of dangers are always behind, so functions of Python's own library and of the libraries that run adapters are
refused unless they are known parts of saved optimisers and trainers.
"""

import io
import logging
import pickletools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from picklescan.scanner import SafetyLevel, scan_pickle_bytes

from reports.safe_text import visible
from scanner.errors import one_line

_MAX_OPS = 200_000
# Of a file that is refused anyway, so much is searched for the names to refuse it with.
_NAMED_BYTES = 2**17
_IMPORTS = {"GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}
_IMPORTS_BY_LINES = {"GLOBAL", "INST"}
_CALLS = {"REDUCE", "OBJ", "INST", "NEWOBJ", "NEWOBJ_EX", "BUILD"}
_CODES = frozenset(operation.code for operation in pickletools.opcodes)
_EXTENSIONS = {"EXT1", "EXT2", "EXT4"}
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
# torch's older format: its magic number, a version, the machine, the object, the names of its storages; then raw data.
_TORCH_LEGACY_PICKLES = 5
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

logging.getLogger("picklescan").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class PickleJudgement:
    """What loading would import: `refused` names what can run code or could not be judged, `strange` other classes
    than trainers write, `known` those.
    """

    refused: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


class _Broken(ValueError):
    """Why a stream is not a row of whole pickles."""


def looks_like_pickle(head: bytes) -> bool:
    """Whether a loader of pickles would do anything with these bytes: a whole pickle, or one that imports something.

    The first two bytes alone say nothing: protocols 0 and 1 have none, and other files begin with them by chance.
    """
    marked = head[:1] == b"\x80" and head[1:2] <= b"\x05"
    count, imported = 0, False
    try:
        for operation, argument in _loadable(head):
            count += 1
            if operation.name in _IMPORTS:
                imported = imported or operation.name not in _IMPORTS_BY_LINES or _is_import(argument)
            # A list of words can pass for an import, but not for one that is then called.
            if imported and (marked or operation.name in _CALLS):
                return True
            if operation.name == "STOP" or count > _MAX_OPS:
                return marked or imported or operation.name != "STOP"
    except Exception:  # whatever else pickletools meets in a stranger's bytes, they are no whole pickle
        # A marked stream that begins with an operation may run before it breaks, or break for this reader alone.
        return marked and head[2:3].decode("latin-1") in _CODES
    return False


def _loadable(content: bytes) -> Iterator[tuple[pickletools.OpcodeInfo, object]]:
    """The operations of a stream as far as a loader would come: those that find on the stack what they need.

    Raises:
        ValueError: where it would break off.
    """
    stack: list[object] = []
    for operation, argument, _ in pickletools.genops(io.BytesIO(content)):
        needed = operation.stack_before
        if pickletools.markobject in needed:
            while stack and stack[-1] is not pickletools.markobject:
                stack.pop()
            needed = [pickletools.markobject, *needed[: needed.index(pickletools.markobject)]]
        if len(stack) < len(needed):
            raise ValueError("the stack holds too little")
        del stack[len(stack) - len(needed) :]
        stack.extend(operation.stack_after)
        yield operation, argument


def judge_pickles(content: bytes) -> PickleJudgement:
    """Judges a row of pickles, or a file of torch's older format."""
    try:
        parts = list(_split(content))
    except _Broken as error:
        return _worse(_judge_broken(content), f"it cannot be read to its end ({error})")
    return _merged([_judge_one(part) for part in parts])


def _split(content: bytes) -> Iterator[bytes]:
    start, number = 0, 0
    legacy = False
    while start < len(content) and not (legacy and number == _TORCH_LEGACY_PICKLES):
        end, first_value = _end_of_pickle(content, start)
        legacy = legacy or (number == 0 and first_value == _TORCH_MAGIC)
        yield content[start:end]
        start, number = end, number + 1
        if number > 1_000:
            raise _Broken("more than 1,000 pickles in a row")


def _end_of_pickle(content: bytes, start: int) -> tuple[int, object]:
    first_value: object = None
    stream = io.BytesIO(content)
    stream.seek(start)
    try:
        for count, (operation, argument, position) in enumerate(pickletools.genops(stream)):
            if count > _MAX_OPS:
                raise _Broken(f"more than {_MAX_OPS:,} operations")
            if operation.name in _EXTENSIONS:
                raise _Broken("an import by number")
            if first_value is None and isinstance(argument, int) and operation.name != "PROTO":
                first_value = argument
            if operation.name == "STOP":
                return (position or 0) + 1, first_value
    except _Broken:
        raise
    except Exception as error:  # see above
        raise _Broken(visible(one_line(error, 80))) from error
    raise _Broken("it does not stop")


def _judge_one(pickle: bytes) -> PickleJudgement:
    try:
        strict = scan_pickle_bytes(io.BytesIO(pickle), "pickle", multiple_pickles=False, strict=True)
        known_bad = scan_pickle_bytes(io.BytesIO(pickle), "pickle", multiple_pickles=False, strict=False)
    except Exception as error:  # an evasion may make it fail in any way
        return PickleJudgement(refused=(f"picklescan fails on it ({type(error).__name__})",))
    if strict.scan_err or known_bad.scan_err:
        return PickleJudgement(refused=("picklescan fails on it",))
    imports = sum(operation.name in _IMPORTS for operation, _, _ in pickletools.genops(pickle))
    if imports and not strict.globals:
        return PickleJudgement(refused=("picklescan sees none of its imports",))
    dangerous = {(item.module, item.name) for item in known_bad.globals if item.safety is SafetyLevel.Dangerous}
    harmless = {(item.module, item.name) for item in strict.globals if item.safety is SafetyLevel.Innocuous}
    found: dict[str, list[str]] = {"refused": [], "strange": [], "known": []}
    for item in sorted({(item.module, item.name) for item in strict.globals}):
        found[_standing(*item, item in dangerous, item in harmless)].append(visible(".".join(item), 80))
    return PickleJudgement(**{name: tuple(values) for name, values in found.items()})


def _standing(module: str, name: str, dangerous: bool, harmless: bool) -> str:
    if dangerous or not _PLAIN_NAME.match(module) or not _PLAIN_NAME.match(name):
        return "refused"
    if harmless or name in _TRAINERS_OWN.get(module, ()):
        return "known"
    if module.partition(".")[0] in _WELL_KNOWN or not _CLASS_NAME.match(name):
        return "refused"
    return "strange"


def _judge_broken(content: bytes) -> PickleJudgement:
    """The imports that come before the break: a loader runs them before it notices."""
    try:
        result = scan_pickle_bytes(io.BytesIO(content[:_NAMED_BYTES]), "pickle", strict=True)
    except Exception:  # see above
        return PickleJudgement()
    bad = sorted({f"{item.module}.{item.name}" for item in result.globals if item.safety is SafetyLevel.Dangerous})
    return PickleJudgement(refused=tuple(visible(item, 80) for item in bad))


def _worse(judgement: PickleJudgement, why: str) -> PickleJudgement:
    return PickleJudgement((*judgement.refused, why), judgement.strange, judgement.known)


def _merged(judgements: list[PickleJudgement]) -> PickleJudgement:
    return PickleJudgement(
        *(
            tuple(dict.fromkeys(item for judgement in judgements for item in getattr(judgement, name)))
            for name in ("refused", "strange", "known")
        )
    )


def _is_import(lines: object) -> bool:
    """Whether the two lines after an import's opcode are names: ordinary text begins with the same letters."""
    module, _, name = str(lines).partition(" ")
    return bool(_PLAIN_NAME.match(module) and _PLAIN_NAME.match(name))
