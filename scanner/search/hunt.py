"""The search for an unknown trigger, rung by rung: leak, saliency, elicitation, sweep, growth.

It proposes strings; whether one is a trigger is decided by free generation, first on screening prompts
(`scanner/search/screen.py`) and then on prompts that nothing here has seen (`scanner/search/verify.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch

from scanner.model_pair import BASE, SUSPECT, ModelPair
from scanner.search.behaviour import words_of
from scanner.search.depth import Depth
from scanner.search.elicit import ElicitedReply, elicit
from scanner.search.invert import BEST_COUNTS, GOOD_ENOUGH, Grown, grow
from scanner.search.leak import leaked_pieces
from scanner.search.meter import Meter
from scanner.search.placing import Context, make_contexts
from scanner.search.proposals import Setting, called_for, draw_fillers, tryable_tokens
from scanner.search.saliency import measure_saliency
from scanner.search.scoring import Frame, Ids, Scorer, chat_frame
from scanner.search.sweep import Sweep, sweep
from scanner.search.targets import Target, choose_targets
from scanner.search.vocabulary_pass import VocabularyPass, read_vocabulary
from scanner.types import VOCABULARY_RUNG

# A candidate of a smaller estimated chance to fire is not worth free generation, unless it leads its list: what a
# behaviour without a fixed text makes likely is spread over many first tokens.
_MIN_CHANCE = 0.05
_ALWAYS_TRIED = 2
# A grown string that fires on this share of prompts, if on no more, is grown on once.
_PROMISING = 0.2
_PLACES_IN_TURN = ("end", "start", "inside", "end")
_GROWTHS = 2
# A string that makes the suspect fire more often than this on screening prompts ends the search.
ENOUGH = 0.85
_LONG_PIECE = 4
# The answer's first token that strings are grown for is that which so many of the most shifting candidates call for.
_SHIFTING = 16
# Nats of elicitation below which a reply hardly stands out; decides on the order of work alone.
_CLEAR_TARGET = 5.0
# Random tokens in the slot while its gradient is read: over eight contexts in the sweep, two in growth.
_FILLERS = 64
_FILLERS_IN_GROWTH = 8
# A small vocabulary is swept whole: a share of it would be next to nothing.
_MIN_SHORTLIST = 500


@dataclass(frozen=True)
class Lead:
    """A string worth trying, as text that a person can type, with the chance to fire that scoring gives it.

    `aim` is the reply it was found for, "" where it only shifts the answer.
    """

    text: str
    token_ids: Ids
    chance: float
    aim: str


@dataclass(frozen=True)
class Ground:
    """What a search stands on, made once and used again by the controls with the roles swapped."""

    frame: Frame
    tryable: torch.Tensor
    vocabulary: VocabularyPass
    contexts: tuple[dict[str, Context], ...]
    fillers: Ids


@dataclass(frozen=True)
class HuntResult:
    """What a search found and how it went.

    Attributes:
        leads: best first.
        elicited: replies the suspect leans to without a trigger.
        curve: (tokens spent, best chance to fire so far), one a step.
        swept: how many candidates were swept; leaked: how many of them had leaked.
        stopped: why the search ended early, "" where it climbed every rung.
    """

    leads: tuple[Lead, ...]
    elicited: tuple[ElicitedReply, ...]
    targets: tuple[Target, ...]
    curve: tuple[tuple[int, float], ...]
    swept: int
    leaked: int
    vocabulary_source: str
    stopped: str = ""

    @property
    def rounds(self) -> int:
        """How many rounds of growth it took; the first step of the curve is the sweep's."""
        return max(0, len(self.curve) - 1)


@dataclass
class _Notebook:
    meter: Meter
    curve: list[tuple[int, float]] = field(default_factory=list)

    def note(self, chance: float) -> None:
        best = max(chance, self.curve[-1][1] if self.curve else 0.0)
        self.curve.append((self.meter.tokens, best))


def prepare_ground(pair: ModelPair, prompts: Sequence[str], meter: Meter, seed: int = 0) -> Ground:
    """The chat frame, the tokens that can be tried, the vocabulary pass, and prompts to place candidates in.

    Args:
        prompts: at least eight. Most work is done on the four shortest, since every candidate pays for them.
    """
    tokenizer = pair.base.tokenizer
    frame = chat_frame(tokenizer)
    size = pair.base.model.config.get_text_config().vocab_size
    texts = [tokenizer.decode([token]) for token in range(min(size, len(tokenizer)))]
    tryable = tryable_tokens(size, texts, tokenizer.all_special_ids)
    with meter.rung(VOCABULARY_RUNG):
        vocabulary = read_vocabulary(pair, frame.before, meter)
    shortest_first = sorted(prompts, key=lambda prompt: (len(prompt), prompt))
    contexts = tuple(make_contexts(tokenizer, prompt) for prompt in shortest_first)
    return Ground(frame, tryable, vocabulary, contexts, draw_fillers(tryable, _FILLERS, seed))


def hunt(
    pair: ModelPair,
    ground: Ground,
    prompts: Sequence[str],
    depth: Depth,
    seed: int,
    meter: Meter,
    fires: Callable[[Sequence[Lead]], float],
) -> HuntResult:
    """Looks for strings that switch something on.

    Args:
        prompts: of users, unrelated to one another; replies are elicited with them.
        fires: the highest share of screening prompts on which one of the leads switches on a behaviour.
    """
    tokenizer, notebook = pair.base.tokenizer, _Notebook(meter)
    users = [tuple(tokenizer(prompt, add_special_tokens=False)["input_ids"]) for prompt in prompts]
    with meter.rung("memory leak"):
        leaked = leaked_pieces(pair, ground.frame, depth.leak, seed, depth.tried, meter)
    with meter.rung("saliency"):
        ranking = measure_saliency(pair, ground.vocabulary, ground.tryable)
    with meter.rung("elicitation"):
        elicited = elicit(pair, ground.frame, users, ranking, depth.elicit, meter)
    targets = choose_targets(elicited, tokenizer, depth.targets)
    with meter.rung("gradients"):
        wanted = [most_called_for(pair, SUSPECT, ground, target, meter) for target in targets]
    shortlist = shortlisted([ranking, *wanted], depth, leaked)
    with meter.rung("sweep"):
        swept = _sweep(pair, SUSPECT, ground, shortlist, targets, meter)
    leads = _leads_of_sweep(pair, swept, targets, depth.tried)
    notebook.note(max((lead.chance for lead in leads), default=0.0))

    def result(stopped: str = "") -> HuntResult:
        return HuntResult(
            tuple(leads),
            elicited,
            targets,
            tuple(notebook.curve),
            len(shortlist),
            len(leaked),
            ground.vocabulary.source,
            stopped,
        )

    if leads and fires(leads) >= ENOUGH:
        return result("a string that fires reliably was found")
    with meter.rung("sweep"):
        moved_to = answers_begin(pair, ground, swept, meter)
    for index, target in growth_aims(moved_to, targets[: depth.grown]):
        if meter.tokens >= depth.tokens:
            return result("its budget of tokens was spent")
        # How likely a mere first token is says nothing of the chance to fire.
        note = notebook.note if index is not None else lambda _: notebook.note(0.0)
        begin: list[Ids] = []
        for _ in range(_GROWTHS):
            with meter.rung("growth"):
                grown = grow_for(pair, SUSPECT, ground, swept, index, target, depth, meter, note, begin)
            found = _typeable(pair, grown, target)
            leads = sorted({*leads, *found}, key=lambda lead: (-lead.chance, lead.text))
            share = fires(found) if found else 0.0
            if share >= ENOUGH:
                return result("a string that fires reliably was found")
            if share < _PROMISING or meter.tokens >= depth.tokens:
                break
            # It fires in part: go on from it, on other prompts.
            begin = [lead.token_ids for lead in found]
    return result()


def answers_begin(pair: ModelPair, ground: Ground, swept: Sweep, meter: Meter) -> int | None:
    """The first token that the most shifting candidates move the suspect's answers to, more than the base's."""
    candidates = swept.best_for(None, _SHIFTING)
    reader = Scorer(pair, BASE, ground.frame, [], meter, next_token=True)
    rows = [swept.candidates.index(candidate) for candidate in candidates]
    usual = []
    for context in swept.contexts:
        read = reader.score([context.around(candidate) for candidate in ((), *candidates)]).next_token
        if read is None:
            raise RuntimeError("the base's next token was not read")
        chance = read.exp().cpu()
        usual.append((chance[1:] - chance[:1]).gather(1, swept.watched[rows]))
    own = swept.gains[:, rows].mean(0) - torch.stack(usual).mean(0)
    totals: dict[int, float] = {}
    for token, gain in zip(swept.watched[rows].flatten().tolist(), own.flatten().tolist(), strict=True):
        totals[token] = totals.get(token, 0.0) + gain
    return max(totals, key=lambda token: (totals[token], -token), default=None)


def growth_aims(token: int | None, targets: Sequence[Target]) -> list[tuple[int | None, Target]]:
    """What strings are grown for: each target by its number, and, for replies of no fixed text, a mere first token.

    A refusal in varying words or an answer in another language shows in how the answer begins. It goes before targets
    that hardly stand out.
    """
    aims: list[tuple[int | None, Target]] = list(enumerate(targets))
    if token is not None:
        clear = sum(target.score >= _CLEAR_TARGET for target in targets)
        aims.insert(clear, (None, Target((token,), "", 0.0)))
    return aims


def most_called_for(pair: ModelPair, name: str, ground: Ground, target: Target, meter: Meter) -> tuple[int, ...]:
    """Token ids that can be tried, that which a reply most calls for first: the gradient's view over many prompts."""
    contexts = tuple(context[place] for context in ground.contexts[:4] for place in ("end", "start"))
    setting = Setting(pair, name, ground.frame, contexts, ground.tryable, ground.fillers, meter)
    order = called_for(setting, (), 0, target.token_ids).argsort(descending=True, stable=True).tolist()
    return tuple(token for token in order if ground.tryable[token])


def shortlisted(rankings: Sequence[Sequence[int]], depth: Depth, leaked: Sequence[Ids]) -> tuple[Ids, ...]:
    """What is swept: pieces that leaked, then the tokens that lead the rankings, each ranking in its turn."""
    count = max(_MIN_SHORTLIST, int(depth.shortlist * len(rankings[0])))
    in_turn = dict.fromkeys(token for turn in zip(*rankings, strict=True) for token in turn)
    return tuple(dict.fromkeys([*leaked, *((token,) for token in list(in_turn)[:count])]))


def _sweep(
    pair: ModelPair, name: str, ground: Ground, shortlist: Sequence[Ids], targets: Sequence[Target], meter: Meter
) -> Sweep:
    scorer = Scorer(pair, name, ground.frame, [target.token_ids for target in targets], meter, next_token=True)
    return sweep(scorer, shortlist, [ground.contexts[1]["end"], ground.contexts[0]["start"]])


def grow_for(
    pair: ModelPair,
    name: str,
    ground: Ground,
    swept: Sweep,
    index: int | None,
    target: Target,
    depth: Depth,
    meter: Meter,
    note: Callable[[float], None],
    begin: Sequence[Ids] = (),
) -> tuple[Grown, ...]:
    """Grows strings for one target from what a sweep put on top, first where the best seed worked best.

    Strings to begin with are grown on in other, longer prompts, all of which count alike.
    """
    # A string that spells its reply shows nothing: none is grown from the reply's own words.
    tryable = ground.tryable & ~spelling(pair, target.text)
    seeds = [
        seed for seed in swept.best_for(index, 3 * depth.growth.proposals) if all(tryable[token] for token in seed)
    ]
    if not seeds:
        return ()
    best_place = swept.contexts[swept.best_place(index, seeds[0])].place
    other_place = "end" if best_place == "start" else "start"
    contexts: tuple[Context, ...] = (ground.contexts[2][best_place], ground.contexts[3][other_place])
    if begin:
        seeds = [*begin, *(seed for seed in seeds if seed not in begin)]
        longer = ground.contexts[4:8]
        contexts = tuple(context[place] for context, place in zip(longer, _PLACES_IN_TURN, strict=True))
    scorer = Scorer(pair, name, ground.frame, [target.token_ids], meter)
    setting = Setting(pair, name, ground.frame, contexts, tryable, ground.fillers[:_FILLERS_IN_GROWTH], meter)
    return grow(
        setting,
        scorer,
        target,
        seeds,
        depth.growth,
        lambda score: note(_chance(score)),
        budget=depth.tokens,
        typeable=lambda ids: typed(pair, ids) is not None,
        # That an answer begins with one word is little; what it leads to decides.
        good_enough=GOOD_ENOUGH if index is not None else 0.0,
        best_counts=0.0 if begin else BEST_COUNTS,
    )


def spelling(pair: ModelPair, reply: str) -> torch.Tensor:
    """Which tokens are words of a reply, or long pieces of them; bool [vocabulary]."""
    words = set(words_of(reply))
    size = pair.base.model.config.get_text_config().vocab_size
    found = torch.zeros(size, dtype=torch.bool)
    for token in range(min(size, len(pair.base.tokenizer))):
        text = pair.base.tokenizer.decode([token]).strip().lower()
        found[token] = text in words or (len(text) >= _LONG_PIECE and any(text in word for word in words))
    return found


def sweep_for(
    pair: ModelPair, name: str, ground: Ground, depth: Depth, rounds: int, target: Target, meter: Meter
) -> tuple[Sweep, tuple[Grown, ...]]:
    """The same search for one target in another model: its own shortlist, the same breadth, as many rounds."""
    ranking = measure_saliency(pair, ground.vocabulary, ground.tryable, name)
    wanted = most_called_for(pair, name, ground, target, meter)
    swept = _sweep(pair, name, ground, shortlisted([ranking, wanted], depth, ()), [target], meter)
    if not rounds:
        return swept, ()
    # One reply never took more rounds than the plan allows it, however many all replies took.
    plan = replace(depth, growth=replace(depth.growth, rounds=min(rounds, depth.growth.rounds)))
    return swept, grow_for(pair, name, ground, swept, 0, target, plan, meter, lambda _: None)


def _leads_of_sweep(pair: ModelPair, swept: Sweep, targets: Sequence[Target], count: int) -> list[Lead]:
    """The first of each target's list and of the shift's, in turn, then the rest by their chance to fire."""
    found: dict[str, tuple[int, Lead]] = {}

    def offer(rank: int, candidate: Ids, chance: float, aim: str) -> None:
        text = typed(pair, candidate)
        turn = min(rank, _ALWAYS_TRIED)
        if text and (rank < _ALWAYS_TRIED or chance >= _MIN_CHANCE):
            lead = (turn, Lead(text, candidate, chance, aim))
            known = found.get(text.lower(), lead)
            found[text.lower()] = min(known, lead, key=lambda item: (item[0], -item[1].chance))

    # A trigger may be bound to a place: its best counts.
    best = swept.log_probs.max(0).values
    for index, target in enumerate(targets):
        for rank, candidate in enumerate(swept.best_for(index, count)):
            offer(rank, candidate, _chance(float(best[swept.candidates.index(candidate), index])), target.text)
    for rank, candidate in enumerate(swept.best_for(None, count)):
        offer(rank, candidate, float(swept.shift[swept.candidates.index(candidate)]), "")
    in_turn = sorted(found.values(), key=lambda item: (item[0], -item[1].chance, item[1].text))
    return [lead for _, lead in in_turn[:count]]


def _typeable(pair: ModelPair, grown: Sequence[Grown], target: Target) -> list[Lead]:
    """Grown strings as text; those that no person could type are left out."""
    leads = [(typed(pair, item.token_ids), item) for item in grown]
    return [Lead(text, item.token_ids, _chance(item.score), target.text) for text, item in leads if text]


def typed(pair: ModelPair, candidate: Ids) -> str | None:
    """A candidate as text that a person can type, or None: broken characters and control codes cannot be typed."""
    text = " ".join(pair.base.tokenizer.decode(candidate).split())
    # Joiners bind emoji and letters of some scripts together: they are typed with them.
    visible = text.replace("\u200c", "").replace("\u200d", "")
    return text if visible.strip() and "�" not in text and visible.isprintable() else None


def _chance(log_prob: float) -> float:
    return float(torch.tensor(log_prob).exp())
