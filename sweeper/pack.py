"""Arms side by side on one device: whose epochs are trained together, and when. No Ray.

Arms come as coroutines (`sweeper.execute.course`) that order epochs. Those of one shape that order an epoch of the
same stage are trained as one stack (`trainables.lockstep`); an arm that is stopped leaves its place, and one that
begins takes it, between two epochs of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch

from sweeper.execute import Course, Order, Report, Wait
from trainables.epoch import Epoch, Tensors
from trainables.lockstep import Lockstep, Seat
from trainables.task import Task

#: Share of a device's memory that stacks may fill; evaluation needs some more for a moment.
FILL = 0.8
#: What an arm said: its next report, or why there will be none.
Word = Report | Exception


class Stack(Protocol):
    """A stage of one or several arms, under way: `trainables.lockstep.Lockstep`, or what stands for it."""

    def step(self) -> list[Epoch]:
        """Train the next epoch of every arm."""

    def states(self) -> list[Tensors]:
        """What each arm goes on from."""

    def close(self) -> None:
        """Let go of the stage."""


#: Begins the stage that the given orders are of, of one arm or of several of one shape where each is now.
Begin = Callable[[Sequence[Order], Sequence[Seat]], Stack]


@dataclass(eq=False)
class _Member:
    """An arm.

    Attributes:
        course: It, as a coroutine.
        alone: Whether it must not be stacked with others.
        item: What it said last and nobody has dealt with.
        ordered: The seat of the order that it has in hand: another one is another stage.
        seat: Where it is in that stage.
        turn: When it was last trained.
    """

    course: Course
    alone: bool = False
    item: Order | Wait | None = None
    ordered: Seat | None = None
    seat: Seat | None = None
    turn: int = 0


@dataclass(eq=False)
class _Group:
    """Arms that are trained together: their orders' seats, and their states before the last epoch."""

    names: tuple[str, ...]
    ordered: tuple[Seat | None, ...]
    stack: Stack
    before: list[Tensors] = field(default_factory=list)


class Pack:
    """Arms trained side by side.

    Args:
        task: Corpus, folds and seeds of one arm.
        most: Most arms in a stack. Fewer are taken where more do not fit on the device.
        begin: Begins a stage; by default it is trained in this process.
    """

    def __init__(self, task: Task, most: int = 1, begin: Begin | None = None) -> None:
        self._wished, self.most = most, most
        self._start = begin or (lambda orders, seats: Lockstep(orders[0].stage, task, seats))
        self._members: dict[str, _Member] = {}
        self._groups: list[_Group] = []
        self._turn = 0

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __len__(self) -> int:
        return len(self._members)

    def waiting(self, names: Collection[str]) -> bool:
        """Whether all of these arms wait for arms elsewhere."""
        return all(isinstance(self._members[name].item, Wait) for name in names if name in self._members)

    def add(self, name: str, course: Course) -> None:
        """Take in an arm; one of that name is dropped."""
        self.drop(name)
        self._members[name] = _Member(course)

    def drop(self, name: str) -> None:
        """Let go of an arm, wherever it is."""
        member = self._members.pop(name, None)
        if member is None:
            return
        member.course.close()
        for group in [each for each in self._groups if name in each.names]:
            self._part(group)

    def step(self, names: Collection[str]) -> dict[str, Word]:
        """Go on with some of the arms, until one or more have something to say.

        Reports that need no training come first; else the arms that have waited longest are trained for one epoch,
        with all that can be stacked with them. Arms that failed are dropped.

        Args:
            names: Arms that may go on.

        Returns:
            What they say, by name; nothing if all wait for others, or have to be trained anew in smaller company.
        """
        said = {name: word for name in names if (word := self._listen(name)) is not None}
        orders = [name for name in names if name in self._members and isinstance(self._members[name].item, Order)]
        return said if said or not orders else self._train(self._company(orders))

    def _listen(self, name: str) -> Word | None:
        """What an arm says without being trained."""
        member = self._members[name]
        if isinstance(member.item, Order):
            return None
        return self._say(name, lambda: next(member.course))

    def _say(self, name: str, ask: Callable[[], Report | Order | Wait]) -> Word | None:
        member = self._members[name]
        try:
            item = ask()
        except Exception as error:
            self.drop(name)
            return error
        member.item = None if isinstance(item, Report) else item
        return item if isinstance(item, Report) else None

    def _company(self, orders: list[str]) -> tuple[str, ...]:
        """Who is trained next: the arm that waits longest, and those of its shape."""
        first = min(orders, key=lambda name: self._members[name].turn)
        shape = self._shape(first)
        alike = [name for name in orders if name == first or (shape is not None and self._shape(name) == shape)]
        alike.sort(key=lambda name: self._members[name].turn)
        return tuple(sorted(alike[: self.most], key=list(self._members).index))

    def _shape(self, name: str) -> str | None:
        member = self._members[name]
        assert isinstance(member.item, Order)
        return None if member.alone else member.item.shape

    def _train(self, names: tuple[str, ...]) -> dict[str, Word]:
        self._turn += 1
        group = self._seated(names)
        if len(names) > 1:
            group.before = group.stack.states()
        try:
            epochs = group.stack.step()
        except Exception as error:
            return self._failed(group, error)
        self._fit(len(names))
        said = {name: self._answer(name, epoch) for name, epoch in zip(names, epochs, strict=True)}
        return {name: word for name, word in said.items() if word is not None}

    def _answer(self, name: str, epoch: Epoch) -> Word | None:
        member = self._members[name]
        member.turn = self._turn
        return self._say(name, lambda: member.course.send(epoch))

    def _seated(self, names: tuple[str, ...]) -> _Group:
        """The group of these arms: the one there is, or another one put together from where they are."""
        members = [self._members[name] for name in names]
        begun = [self._begin(member) for member in members]
        for group in self._groups:
            if group.names == names and not any(begun):
                return group
        for group in [each for each in self._groups if set(each.names) & set(names)]:
            self._part(group)
        orders = [order for member in members if isinstance(order := member.item, Order)]
        seats = [member.seat for member in members if member.seat is not None]
        ordered = tuple(member.ordered for member in members)
        group = _Group(names, ordered, self._start(orders, seats))
        self._groups.append(group)
        return group

    def _begin(self, member: _Member) -> bool:
        """Whether an arm's order is the first of a stage."""
        order = member.item
        assert isinstance(order, Order)
        if member.ordered is order.seat:
            return False
        member.ordered = member.seat = order.seat
        return True

    def _part(self, group: _Group) -> None:
        """Take a group apart; its arms that are still in its stage keep where they are."""
        self._groups.remove(group)
        try:
            self._leave(group)
        finally:
            group.stack.close()

    def _leave(self, group: _Group) -> None:
        staying = [
            (place, member)
            for place, (name, ordered) in enumerate(zip(group.names, group.ordered, strict=True))
            if (member := self._members.get(name)) is not None and member.ordered is ordered
        ]
        if not staying:
            return
        states = group.stack.states()
        for place, member in staying:
            self._move(member, states[place])

    def _move(self, member: _Member, state: Tensors) -> None:
        assert member.seat is not None
        member.seat = replace(member.seat, state=state)

    def _failed(self, group: _Group, error: Exception) -> dict[str, Word]:
        """An epoch could not be trained: for lack of memory in smaller company again, else each arm by itself."""
        self._groups.remove(group)
        group.stack.close()
        if len(group.names) == 1:
            self.drop(group.names[0])
            return {group.names[0]: error}
        for name, state in zip(group.names, group.before, strict=True):
            self._move(self._members[name], state)
        if isinstance(error, torch.OutOfMemoryError):
            self.most = self._wished = len(group.names) // 2
            torch.cuda.empty_cache()
        else:
            # One of them is at fault, and the others shall not fail with it.
            for name in group.names:
                self._members[name].alone = True
        return {}

    def _fit(self, arms: int) -> None:
        """How many arms fit on the device, by what so many have taken at most."""
        if torch.cuda.is_available():
            free = FILL * torch.cuda.mem_get_info()[1]
            self.most = max(1, min(self._wished, int(free * arms / torch.cuda.max_memory_allocated())))
