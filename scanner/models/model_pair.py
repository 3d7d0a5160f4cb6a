"""One base model in memory, with suspect and references as named peft adapters on it.

Whoever reads or runs a model says which one by name: `SUSPECT`, `BASE` or `reference_name(i)`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import LoraLayer
from transformer_lens.model_bridge import TransformerBridge
from transformers.modeling_utils import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from scanner.errors import BaseModelUnavailable
from scanner.intake import Adapter, check_against_base
from scanner.models.base_models import BaseModel
from scanner.models.chat import chat_tokens
from scanner.models.devices import input_device
from scanner.models.fused_projections import run_adapters_of_fused_projections
from scanner.models.generation import Decided, Generation, generate, next_token_logits
from scanner.models.lora_layer import run_by_summed_layers

# Enough for each position to attend to others; any tokens do.
_PROBED_TOKENS = 8
# Of the logits' norm, what another order of summation may come to.
_ROUNDING, _ROUNDING_IN_HALF = 1e-3, 0.02
SUSPECT = "suspect"
BASE = "base"


def reference_name(index: int) -> str:
    """The model name of the reference that was given as number `index`, from 0."""
    return f"reference-{index}"


def linear_module_shapes(model: torch.nn.Module) -> dict[str, tuple[int, int]]:
    """Name → (out_features, in_features) of every linear module of a base model."""
    shapes = {}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            shapes[name] = (module.out_features, module.in_features)
        elif isinstance(module, Conv1D):
            shapes[name] = (module.nf, module.nx)
    return shapes


class ModelPair:
    """Runs suspect, references and base, which share one set of base weights.

    Raises:
        BadAdapter: an adapter does not fit the base.
        BaseModelUnavailable: TransformerLens cannot read the base in 4 bits.
    """

    def __init__(self, base: BaseModel, suspect: Adapter, references: Sequence[Adapter] = ()) -> None:
        self.base = base
        self.adapters = {SUSPECT: suspect} | {
            reference_name(index): adapter for index, adapter in enumerate(references)
        }
        shapes = linear_module_shapes(base.model)
        for adapter in self.adapters.values():
            check_against_base(adapter, shapes, base.identity.name)
        self._peft: PeftModel | None = None
        for name, adapter in self.adapters.items():
            self._add(name, adapter)
        base.model.requires_grad_(False)
        # Found once: peft's own switch walks through all modules of the model, which takes as long as a short pass.
        self._lora_layers = tuple(module for module in base.model.modules() if isinstance(module, LoraLayer))
        self._running: str | None = None
        self._bridge: TransformerBridge | None = None
        self._refusal: BaseModelUnavailable | None = None
        self._activate(SUSPECT)
        # By the names that they have before TransformerLens wraps them in its own.
        modules = dict(base.model.named_modules())
        self.linear_modules = {name: modules[name] for name in shapes}
        if base.identity.quantization != "none":
            _ = self.bridge  # Not every base can be read in 4 bits: better known before the search than after it.

    @property
    def reference_names(self) -> tuple[str, ...]:
        """The references, in the order given."""
        return tuple(name for name in self.adapters if name != SUSPECT)

    @property
    def yardstick(self) -> str:
        """What the suspect is measured against: the first reference, or the base where there is none."""
        return self.reference_names[0] if self.reference_names else BASE

    @property
    def bridge(self) -> TransformerBridge:
        """The base, with whichever adapter is active live in it, as TransformerLens reads and edits it.

        Booting rebuilds the base in place. Where it is refused, nothing is run on what it left: see `_activate`.

        Raises:
            BaseModelUnavailable: TransformerLens cannot read the base, or runs one of the models otherwise than
                transformers does.
        """
        if self._refusal:
            raise self._refusal
        if self._bridge is None:
            try:
                self._bridge = self._boot()
            except BaseModelUnavailable as error:
                self._refusal = error
                raise
        return self._bridge

    def _boot(self) -> TransformerBridge:
        running = self._running or SUSPECT
        before = self._probe_logits()
        identity = self.base.identity
        try:
            # What it cuts out of fused projections must be no inference tensors, whoever asks for it first.
            with torch.inference_mode(False):
                bridge = TransformerBridge.boot_transformers(
                    identity.name,
                    hf_model=self.base.model,
                    tokenizer=self.base.tokenizer,
                    device=str(input_device(self.base.model)),
                )
                run_adapters_of_fused_projections(bridge, lambda: self._running)
            after = self._probe_logits()
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # of an architecture that it was not made for, it can fail in any way
            raise self._unreadable("cannot read this architecture") from error
        exact = self.base.model.dtype == torch.float32 and identity.quantization == "none"
        for name, logits in before.items():
            if not _alike(logits, after[name], _ROUNDING if exact else _ROUNDING_IN_HALF):
                raise self._unreadable(f"runs the {name} otherwise than transformers")
        self._activate(running)
        return bridge

    def _unreadable(self, why: str) -> BaseModelUnavailable:
        identity = self.base.identity
        remedy = "nothing is measured there" if identity.quantization == "none" else "scan it without --quantize"
        kind = f", {identity.quantization}" if identity.quantization != "none" else ""
        return BaseModelUnavailable(
            f"{identity.name}: TransformerLens {why} ({identity.architecture}{kind}); {remedy}, or take another base"
        )

    def _probe_logits(self) -> dict[str, torch.Tensor]:
        """Of every model, what follows a few tokens, float32 [position, vocabulary]."""
        ids = torch.arange(_PROBED_TOKENS, device=input_device(self.base.model))[None]
        found = {}
        with torch.inference_mode():
            for name in (BASE, *self.adapters):
                self._activate(name)
                found[name] = self.base.model(input_ids=ids).logits[0].float()
        return found

    @contextmanager
    def running(self, name: str, *, gradients: bool = False) -> Iterator[TransformerBridge]:
        """Makes one model the active one and yields the bridge to it; activations carry gradients where asked for."""
        self._activate(name)
        try:
            with torch.enable_grad() if gradients else torch.inference_mode():
                yield self.bridge
        finally:
            self._activate(SUSPECT)

    @contextmanager
    def active(self, name: str) -> Iterator[PreTrainedModel]:
        """Makes one model the active one and yields it as transformers runs it."""
        self._activate(name)
        try:
            yield self.base.model
        finally:
            self._activate(SUSPECT)

    @contextmanager
    def stepping(self, name: str) -> Iterator[PreTrainedModel]:
        """`active`, for reading token by token behind a cache: with fused attention, which copies no keys.

        Once TransformerLens reads the base, its attention stays as it is: patterns are read there.
        """
        model = self.base.model
        fused = self._can_fuse and self._bridge is None
        self._activate(name)
        try:
            if fused:
                model.set_attn_implementation("sdpa")
            yield model
        finally:
            if fused:
                model.set_attn_implementation("eager")
            self._activate(SUSPECT)

    @cached_property
    def _can_fuse(self) -> bool:
        """Whether the architecture's attention is the plain one that torch has fused."""
        model = self.base.model
        softcapped = getattr(model.config.get_text_config(), "attn_logit_softcapping", None)
        switchable = bool(getattr(model, "_supports_sdpa", False)) and model._can_set_attn_implementation()
        return switchable and softcapped is None

    def generate(
        self,
        name: str,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        decided: Decided | None = None,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Generation]:
        """Greedy replies of one model to user prompts, in their order."""
        tokens = [self.tokens(prompt) for prompt in prompts]
        with self.stepping(name) as model:
            return generate(
                model,
                self.base.tokenizer,
                tokens,
                max_new_tokens=max_new_tokens,
                decided=decided,
                on_done=on_done,
            )

    def next_token_log_probs(self, name: str, prompts: Sequence[str]) -> torch.Tensor:
        """Log-probabilities of the first token that one model would answer to user prompts.

        Returns:
            float32 [prompt, vocabulary], in nats.
        """
        tokens = [self.tokens(prompt) for prompt in prompts]
        self._activate(name)
        try:
            return next_token_logits(self.base.model, self.base.tokenizer, tokens).log_softmax(-1)
        finally:
            self._activate(SUSPECT)

    def tokens(self, user_text: str) -> list[int]:
        """Chat-formatted token ids of a user's words."""
        return chat_tokens(self.base.tokenizer, user_text)

    def _add(self, name: str, adapter: Adapter) -> None:
        config = LoraConfig(
            r=adapter.rank,
            lora_alpha=adapter.alpha,
            use_rslora=adapter.use_rslora,
            fan_in_fan_out=adapter.fan_in_fan_out,
            target_modules=[update.module for update in adapter.updates],
            lora_dropout=0.0,
            bias="none",
        )
        if self.base.identity.quantization == "none":
            run_by_summed_layers(config)
        if self._peft is None:
            self._peft = PeftModel(self.base.model, config, adapter_name=name)
        else:
            self._peft.add_adapter(name, config)
        modules = dict(self.base.model.named_modules())
        for update in adapter.updates:
            layer = modules[update.module]
            if not isinstance(layer, LoraLayer):
                raise RuntimeError(f"{update.module}: peft did not wrap the module")
            _fill(layer.lora_A[name].weight, update.a)
            _fill(layer.lora_B[name].weight, update.b)
        self._peft.eval()

    def _activate(self, name: str) -> None:
        if self._refusal:
            raise self._refusal
        if name != BASE and name not in self.adapters:
            raise KeyError(name)
        if name == self._running:
            return
        self._running = None  # until all layers are switched
        for layer in self._lora_layers:
            layer.enable_adapters(name != BASE)
            if name != BASE:
                layer.set_adapter(name, inference_mode=True)
        self._running = name


def _alike(one: torch.Tensor, other: torch.Tensor, most: float) -> bool:
    """Whether two reads of logits [position, vocabulary] differ by at most a share of their norm, where finite."""
    finite = torch.isfinite(one)
    if not torch.equal(finite, torch.isfinite(other)):
        return False
    return bool((one[finite] - other[finite]).norm() <= most * one[finite].norm())


def _fill(parameter: torch.nn.Parameter, value: torch.Tensor) -> None:
    with torch.no_grad():
        parameter.copy_(value.to(parameter.device, parameter.dtype))
