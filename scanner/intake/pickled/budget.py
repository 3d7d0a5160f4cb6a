"""How much work a whole folder may make: one purse for its pickles, archives and JSON, however many files share it.

A limit on each file alone is no limit: a folder may hold thousands of files, and an archive of a few kilobytes
thousands of members.
"""

from dataclasses import dataclass

# An optimiser's state takes some 80 operations and 3 members a matrix: 89,000 in this purse's coin for a LoRA of seven
# projections in 32 layers, so that 22 checkpoints with such a state each may lie in a folder. To judge as much as is
# allowed takes a few seconds; a case of the corpus for each kind of excess holds it to five.
_OPERATIONS = 2_000_000
# Of bytes to inflate: three seconds. Honest tensors hardly shrink, and torch does not deflate them at all.
_BYTES = 2**30
# Opening a member takes as long as some thirty-five operations of a pickle.
_A_MEMBER = 35
# Of JSON: a trainer's log of 10,000 lines takes some 100,000 a checkpoint. Three million take five seconds.
_VALUES = 2_000_000
# Bytes that lie in the file as they are only have to be read for their checksum, and are no more than the folder holds.
_STORED = 16


class OverBudget(Exception):
    """The folder makes more work than any honest one; the text says of what."""


@dataclass
class Budget:
    """What is left of the work that a folder may make."""

    operations: int = _OPERATIONS
    n_bytes: int = _BYTES
    n_values: int = _VALUES

    def operate(self, count: int) -> None:
        """Pays for operations of a pickle.

        Raises:
            OverBudget: nothing is left.
        """
        self.operations -= count
        if self.operations < 0:
            raise OverBudget(f"its folder's pickles and archives take more than {_OPERATIONS:,} operations to judge")

    def open_members(self, count: int) -> None:
        """Pays for the members of an archive.

        Raises:
            OverBudget: nothing is left.
        """
        self.operate(count * _A_MEMBER)

    def unpack(self, n_bytes: int, stored: bool = False) -> None:
        """Pays for bytes that are inflated or, where they are `stored` as they are, read.

        Raises:
            OverBudget: nothing is left.
        """
        self.n_bytes -= n_bytes // _STORED if stored else n_bytes
        if self.n_bytes < 0:
            raise OverBudget(f"its folder's pickles and archives unpack to more than {_BYTES:,} bytes")

    def read_values(self, count: int) -> None:
        """Pays for the values of a JSON text.

        Raises:
            OverBudget: nothing is left.
        """
        self.n_values -= count
        if self.n_values < 0:
            raise OverBudget(f"its folder's JSON files hold more than {_VALUES:,} values")
