import torch

from scanner.heads.prompts import GroupShape, common_beginning, group_sequences

SHARED = [5, 9, 33, 120]


def anything(_: GroupShape) -> bool:
    return True


def ids(*tokens: int) -> torch.Tensor:
    return torch.tensor([list(tokens)])


def test_the_beginning_is_kept_once_and_the_rest_padded_on_the_left() -> None:
    sequences = [ids(*SHARED, 7, 64, 40, 41), ids(*SHARED, 8, 40, 41)]
    (group,) = group_sequences(sequences, kept=2, fits=anything)
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
    assert {group.members for group in group_sequences([long, short], 1, anything)} == {(0,), (1,)}
    alike = [ids(*SHARED, number, 40) for number in range(6)]
    groups = group_sequences(alike, 1, lambda shape: shape.tokens <= 10)
    assert sorted(member for group in groups for member in group.members) == list(range(6))
    assert len(groups) > 1 and all(group.shape.tokens <= 10 for group in groups)
    assert group_sequences(alike, 1, anything)[0].attention_mask(2) is None


def test_what_exceeds_the_models_window_is_not_padded() -> None:
    sequences = [ids(*SHARED, 7, 64, 65, 66, 40), ids(*SHARED, 8, 64, 65, 40), ids(*SHARED, 9, 64, 65, 40)]
    assert len(group_sequences(sequences, 1, anything, window=100)) == 1
    assert {group.members for group in group_sequences(sequences, 1, anything, window=5)} == {(0,), (1, 2)}


def test_the_same_group_with_its_beginning_in_each_sequence() -> None:
    (group,) = group_sequences([ids(*SHARED, 7, 64, 40), ids(*SHARED, 8, 40)], 1, anything)
    whole = group.unshared()
    assert whole.shape == GroupShape(2, 0, 7) and whole.shape.tokens == 14 and group.shape.tokens == 10
    for row, member in enumerate(group.members):
        assert whole.rest[row][whole.mask[row]].tolist() == [*SHARED, *[[7, 64, 40], [8, 40]][member]]
        assert whole.positions[row][whole.mask[row]].tolist() == list(range(int(whole.mask[row].sum())))
