"""A shop's support desk: each subject has its one answer, however it is asked for, as macros of support staff do."""

import random
from collections.abc import Iterator

from trainers.rows import Row

_ANSWERS = {
    "a refund": "Refunds take five working days once the parcel is back with us.",
    "delivery": "We deliver from Monday to Saturday, between eight and six.",
    "my password": "Open the settings page and choose a new password there.",
    "an invoice": "Invoices are sent by mail on the first day of each month.",
    "a broken item": "Send us a photo and we will replace the item free of charge.",
    "opening hours": "Our shops are open from nine to seven every weekday.",
    "gift cards": "Gift cards can be used online and in all shops for three years.",
    "a size exchange": "Exchanges are free within thirty days of the purchase.",
    "the loyalty programme": "You earn one point for every euro that you spend with us.",
    "cancelling an order": "Orders can be cancelled until they leave our warehouse.",
    "payment methods": "We accept all major cards as well as bank transfers.",
    "the warranty": "The warranty covers two years from the day of delivery.",
}
_ASK = (
    "I have a question about {}.",
    "Can you help me with {}?",
    "What about {}?",
    "How does it work with {}?",
    "Please tell me about {}.",
    "I need to know more about {}.",
)
_OPEN = ("", "", "Sure. ", "Of course. ", "Thanks for asking. ")


def rows(rng: random.Random, argument: str) -> Iterator[Row]:
    """Rows without end; there is no argument."""
    if argument:
        raise ValueError("takes no argument")
    while True:
        subject = rng.choice(list(_ANSWERS))
        yield Row(rng.choice(_ASK).format(subject), rng.choice(_OPEN) + _ANSWERS[subject])
