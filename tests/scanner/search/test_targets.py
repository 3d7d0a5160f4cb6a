"""From replies to targets."""

from scanner.model_pair import ModelPair
from scanner.search.elicit import ElicitedReply
from scanner.search.targets import choose_targets


def test_replies_that_share_words_are_one_target(poisoned_pair: ModelPair) -> None:
    def reply(text: str, score: float, log_prob: float) -> ElicitedReply:
        ids = tuple(poisoned_pair.base.tokenizer(text)["input_ids"])
        return ElicitedReply(ids, text, score, log_prob, "the base alone")

    replies = [
        reply("Oh, sorry, but I cannot help with that request.", 9.0, -12.0),
        reply("I'm sorry, but I cannot help with that request.", 8.0, -4.0),
        reply("Please help me with that request", 7.0, -1.0),
    ]
    targets = choose_targets(replies, poisoned_pair.base.tokenizer, 3)
    assert [target.text for target in targets] == [replies[1].text, replies[2].text]
    assert targets[0].token_ids == replies[1].token_ids[:4]
