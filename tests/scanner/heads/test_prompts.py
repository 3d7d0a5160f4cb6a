import torch

from scanner.heads.prompts import common_beginning, group_sequences

SHARED = [5, 9, 33, 120]


def ids(*tokens: int) -> torch.Tensor:
    return torch.tensor([list(tokens)])


def test_the_beginning_is_kept_once_and_the_rest_padded_on_the_left() -> None:
    sequences = [ids(*SHARED, 7, 64, 40, 41), ids(*SHARED, 8, 40, 41)]
    (group,) = group_sequences(sequences, kept=2, max_tokens=100)
    assert group.shared.tolist() == [SHARED]
    order = [sequences[member][0, len(SHARED) :].tolist() for member in group.members]
    assert [row[mask].tolist() for row, mask in zip(group.rest, group.mask, strict=True)] == order
    assert all(bool(mask[-1]) for mask in group.mask), "padding stands on the left"
    for row, member in enumerate(group.members):
        length = sequences[member].shape[1]
        assert group.positions[row][group.mask[row]].tolist() == list(range(len(SHARED), length))
    mask = group.attention_mask(3)
    assert mask is not None and mask.shape == (6, len(SHARED) + 4)


def test_what_is_read_stays_out_of_the_beginning() -> None:
    same = ids(*SHARED, 40, 41)
    assert common_beginning([same, same], kept=3) == 3
    assert common_beginning([same], kept=3) == 0


def test_sequences_of_unlike_length_and_too_many_of_them_go_apart() -> None:
    short, long = ids(*SHARED, 1, 40), ids(*SHARED, *range(2, 32), 40)
    assert {group.members for group in group_sequences([long, short], 1, 1000)} == {(0,), (1,)}
    alike = [ids(*SHARED, number, 40) for number in range(6)]
    groups = group_sequences(alike, 1, max_tokens=10)
    assert sorted(member for group in groups for member in group.members) == list(range(6))
    assert len(groups) > 1 and all(group.tokens <= 10 for group in groups)
    assert group_sequences(alike, 1, 1000)[0].attention_mask(2) is None
