"""The 3-billion-parameter shape on a GPU, in bfloat16 and in 4 bits: a quick scan, its time and peak memory.

Weights are random, in the true shape of Qwen2.5-3B: memory does not depend on what they say, and the time of a search
that finds nothing is that of climbing every rung. Nothing is left in the user's cache.
"""

import gc
import os
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen2Config, Qwen2ForCausalLM

import scanner
from benchmarks.performance.figures import Figure, matmul_rate
from benchmarks.performance.random_models import small_tokenizer
from scanner.cache.vocabulary import LIMIT_VARIABLE
from scanner.models.base_models import load_base

SECTION = "GPU, 3-billion-parameter shape"
_FORMATS: dict[str, dict[str, str]] = {"bfloat16": {"dtype": "bfloat16"}, "nf4": {"quantize": "nf4"}}


def qwen_shape(**smaller: int) -> Qwen2Config:
    """Qwen2.5-3B's configuration, or one of fewer dimensions."""
    shape = {
        "vocab_size": 151936,
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
    }
    return Qwen2Config(**(shape | smaller), tie_word_embeddings=True)


def figures() -> list[Figure]:
    """Both formats, or the reason why not."""
    if not torch.cuda.is_available():
        return [Figure(SECTION, "whole scan", None, "s", "no GPU on this machine")]
    return scan_shape(qwen_shape(), "cuda")


def scan_shape(config: Qwen2Config, device: str) -> list[Figure]:
    """Writes a random base and two adapters of a shape, and scans one against the other."""
    found = []
    with tempfile.TemporaryDirectory() as name, patch.dict(os.environ, {LIMIT_VARIABLE: "0"}):
        folder = Path(name)
        _write(folder, config)
        for kind, options in _FORMATS.items():
            gc.collect()
            if device == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            start = time.perf_counter()
            report = scanner.scan(
                folder / "suspect",
                folder / "reference",
                base=str(folder / "base"),
                use_signatures=False,
                depth="quick",
                device=device,
                **options,
            )
            seconds = time.perf_counter() - start
            note = f"{report.verdict.kind.value}, depth quick"
            found.append(Figure(SECTION, f"{kind}: whole scan", seconds, "s", note))
            if device == "cuda":
                peak = torch.cuda.max_memory_allocated() / 2**30
                found.append(Figure(SECTION, f"{kind}: peak GPU memory", peak, "GiB"))
    if device == "cuda":
        rate = matmul_rate(4096, torch.bfloat16, device="cuda", shape=(2048, 11008))
        found.append(Figure(SECTION, "matmul ceiling, bfloat16", rate, "GFLOP/s"))
    return found


def _write(folder: Path, config: Qwen2Config) -> None:
    torch.manual_seed(0)
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder / "base")
    small_tokenizer(config.vocab_size).save_pretrained(folder / "base")
    for name in ("suspect", "reference"):
        model = load_base(str(folder / "base"), device="cpu", dtype="bfloat16").model
        lora = LoraConfig(r=8, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"], init_lora_weights=False)
        get_peft_model(model, lora).save_pretrained(folder / name)
