"""What a file's name says of it: by which loader it would be opened, and whether it is code."""

import re

_CODE = (
    ".py", ".pyc", ".pyi", ".pyw", ".pyx", ".ipynb", ".sh", ".bash", ".zsh", ".fish", ".bat", ".cmd", ".ps1", ".psm1",
    ".js", ".mjs", ".cjs", ".ts", ".rb", ".pl", ".php", ".lua", ".vbs", ".vbe", ".jse", ".wsf", ".hta", ".desktop",
    ".command", ".applescript", ".lnk",
)  # fmt: skip
_PROGRAM = (
    ".so", ".dll", ".dylib", ".pyd", ".exe", ".scr", ".msi", ".node", ".class", ".dex", ".apk", ".deb", ".rpm", ".whl",
    ".egg", ".jar", ".pyz", ".pex", ".appimage",
)  # fmt: skip
_VERSIONED_LIBRARY = re.compile(r"\.so(\.\d+)+\Z")
_MODEL = (
    ".onnx", ".h5", ".hdf5", ".keras", ".gguf", ".ggml", ".tflite", ".msgpack", ".pb", ".ot", ".nemo", ".mlmodel",
    ".engine", ".pdparams",
)  # fmt: skip
# What torch, pickle, joblib and pandas are given by its name.
_PICKLE = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".joblib", ".p")
_PICKLED_WEIGHTS = (".bin", ".pt", ".pth", ".ckpt")
# The names under which loaders look for weights, in one piece or many.
_WEIGHTS = re.compile(r"(adapter|consolidated|model|pytorch_lora_weights|pytorch_model)[-._].*")
# What Trainer and accelerate keep of a training beside the weights.
_TRAINERS = re.compile(
    r"(custom_checkpoint|dl_state_dict|optimizer|random_states|rng_state|sampler|scaler|scheduler|training_args)"
    r"([_-]\d+)?\.\w+"
)
# torch's archives name each storage of numbers by its own number, in a folder beside the pickle that uses it.
_STORAGE = re.compile(r"(?P<top>(.*/)?)(\.?data|constants)/\d+\Z", re.DOTALL | re.ASCII)


def is_code(name: str) -> bool:
    """Whether somebody may run it."""
    return name.lower().endswith(_CODE)


def is_program(name: str) -> bool:
    """Whether a system loads or installs it."""
    return name.lower().endswith(_PROGRAM) or bool(_VERSIONED_LIBRARY.search(name.lower()))


def is_model(name: str) -> bool:
    """Whether it is a model of another format than safetensors and pickles."""
    return name.lower().endswith(_MODEL)


def is_pickle(name: str) -> bool:
    """Whether loaders of pickles are given it."""
    return name.lower().endswith(_PICKLE)


def is_weights(name: str, holds_tensors: bool) -> bool:
    """Whether loaders may take a pickle for weights: by its name, or as it has tensors and is no trainer's state."""
    last = name.lower().rpartition("/")[2]
    if not last.endswith((*_PICKLED_WEIGHTS, ".bin.index.json")) or _TRAINERS.fullmatch(last):
        return False
    return holds_tensors or bool(_WEIGHTS.fullmatch(last))


def storage_of(name: str) -> str | None:
    """The pickle that a member of an archive holds numbers for, if torch would take it for that."""
    found = _STORAGE.match(name)
    return f"{found['top']}data.pkl" if found else None
