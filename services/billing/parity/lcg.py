"""A stream of numbers that is the same on every Python: `random` does not promise that for its methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Lcg:
    """Knuth's MMIX linear congruential generator; its lower bits have short periods, so only the upper 31 are used."""

    def __init__(self, seed: int) -> None:
        self._state = seed
        for _ in range(8):  # neighbouring seeds part
            self.below(1)

    def below(self, bound: int) -> int:
        """The next number from 0 up to, not including, `bound`."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self._state >> 33) % bound

    def pick(self, items: Sequence[Item]) -> Item:
        """The next item."""
        return items[self.below(len(items))]
