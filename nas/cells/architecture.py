"""Architectures: a cell on a skeleton or a published network, and how a run records it."""

import dataclasses

from nas.cells import plan as plan_lib
from nas.cells import zoo
from nas.cells.cell import Cell
from nas.cells.plan import Plan
from nas.cells.skeleton import Skeleton


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A network that can be written down and built again.

    Attributes:
        name: the published name of the network or cell, or else the tokens of the cell.
        cell, skeleton: the cell and its skeleton; None for networks outside the cell space.
        network: its name in `zoo.NETWORKS`; None unless it is a network exactly as published.
    """

    name: str
    cell: Cell | None = None
    skeleton: Skeleton | None = None
    network: str | None = None

    def __post_init__(self):
        if (self.cell is None) != (self.skeleton is None):
            raise ValueError(f'architecture {self.name!r}: cell and skeleton go together')
        if self.cell is None and self.network not in zoo.NETWORKS:
            raise ValueError(
                f'architecture {self.name!r}: network {self.network!r} is unknown; accepted: '
                f'{", ".join(zoo.NETWORKS)}'
            )

    @property
    def plan(self) -> Plan:
        """The layer records. Raises ValueError if the cell does not fit its skeleton."""
        if self.cell is None:
            return zoo.NETWORKS[self.network].plan()
        return plan_lib.build(self.cell, self.skeleton)

    @property
    def input(self) -> tuple[int, int, int]:
        """(size in pixels, channels, classes) of the images that the network takes."""
        return zoo.NETWORKS[self.network].input if self.cell is None else self.skeleton.input

    def for_classes(self, classes: int) -> 'Architecture':
        """The same network with another number of outputs.

        Raises:
            ValueError: if the network is published for a fixed number of classes.
        """
        if self.input[2] == classes:
            return self
        if self.cell is None:
            raise ValueError(
                f'--network={self.network} is defined for {self.input[2]} classes, but the data '
                f'set has {classes}; a cell fits any number'
            )
        skeleton = dataclasses.replace(self.skeleton, classes=classes)
        return Architecture(self.name, self.cell, skeleton)

    def as_dict(self) -> dict:
        """{'name', 'cell', 'network', 'skeleton'} for JSON; `from_dict` is the inverse."""
        return {
            'name': self.name,
            'cell': None if self.cell is None else str(self.cell),
            'network': self.network,
            'skeleton': None if self.skeleton is None else dataclasses.asdict(self.skeleton),
        }

    @classmethod
    def from_dict(cls, record: dict) -> 'Architecture':
        """Reads what `as_dict` wrote; ignores other keys.

        Raises:
            ValueError, KeyError, TypeError: if the record does not have the form that this version
                writes.
        """
        cell, skeleton = record['cell'], record['skeleton']
        if skeleton is not None:
            skeleton = Skeleton(
                **{
                    name: tuple(value) if isinstance(value, list) else value
                    for name, value in skeleton.items()
                }
            )
        return cls(
            record['name'], None if cell is None else Cell.parse(cell), skeleton, record['network']
        )
