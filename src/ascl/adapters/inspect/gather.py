"""Calls that are awaited one by one, done many at a time: what waits while a batch runs is the next batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import anyio
import anyio.to_thread

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(eq=False)
class _Waiting(Generic[Item, Result]):
    item: Item
    results: list[Result] = field(default_factory=list)  # none or one
    error: BaseException | None = None


@dataclass(eq=False)
class Gathered(Generic[Item, Result]):
    """`work` takes at most `most` items at once and runs in a thread, one batch after the other.

    pause: a batch that is not full begins once no item has come for that many seconds.
    """

    work: Callable[[Sequence[Item]], Sequence[Result]]
    most: int
    pause: float
    _waiting: list[_Waiting[Item, Result]] = field(default_factory=list)
    _lock: anyio.Lock = field(default_factory=anyio.Lock)

    async def __call__(self, item: Item) -> Result:
        """The result of one item. Raises what `work` raised for its batch."""
        mine: _Waiting[Item, Result] = _Waiting(item)
        self._waiting.append(mine)
        try:
            async with self._lock:
                while not mine.results and mine.error is None:
                    await self._fill()
                    await self._run()
        finally:
            if mine in self._waiting:  # cancelled before its turn
                self._waiting.remove(mine)
        if mine.error is not None:
            raise mine.error
        return mine.results[0]

    async def _fill(self) -> None:
        known = 0
        while known < len(self._waiting) < self.most:
            known = len(self._waiting)
            await anyio.sleep(self.pause)

    async def _run(self) -> None:
        batch, self._waiting = self._waiting[: self.most], self._waiting[self.most :]
        try:
            results = await anyio.to_thread.run_sync(self.work, [one.item for one in batch])
            for one, result in zip(batch, results, strict=True):
                one.results.append(result)
        except Exception as error:
            for one in batch:
                one.error = error
        except BaseException:  # cancelled: the others are still to be done
            self._waiting = batch + self._waiting
            raise
