"""Which search this is: a hash over all files that its outcome rests on, so that a measured recall names the search."""

import hashlib
from functools import cache
from pathlib import Path

# Of scanner/: where strings are sought and judged, and how models are loaded and run for it. Reports, metrics, the
# classifier and the intake are not among them: what they change, a search does not see.
RESTS_ON = (
    "search",
    "probes",
    "models/base_models.py",
    "models/bfloat16.py",
    "models/chat.py",
    "models/generation.py",
    "models/lora_layer.py",
    "models/model_pair.py",
    "models/packaged_base.py",
    "verdict/judgement.py",
    "verdict/verdict.py",
    "cache/vocabulary.py",
    "pipeline.py",
    "stats.py",
    "triggers.py",
)

# What a version is called that differs from an earlier one in nothing that a search does (in words of verdicts or
# comments, in whether a score is wanted and by which calibration), so that what was measured of the one is said of the
# other: by the hash of its files, named by who has read the difference.
SAME_AS = {
    "df356a044a7f": "bb5df5e5aaa7",
    "77e1a61f22ec": "bb5df5e5aaa7",
    "21de0b0f34bb": "bb5df5e5aaa7",
    "db4d0367867b": "bb5df5e5aaa7",
}


def search_version() -> str:
    """Twelve hex digits: the installed files' hash, or that of the version that they search alike."""
    found = hash_of(Path(__file__).parents[1])
    return SAME_AS.get(found, found)


@cache
def hash_of(folder: Path) -> str:
    """The hash of a copy of `scanner/`, twelve hex digits."""
    files = sorted(file for part in RESTS_ON for file in (folder / part, *(folder / part).rglob("*")))
    digest = hashlib.sha256()
    for file in files:
        if file.suffix in (".py", ".txt"):
            digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]
