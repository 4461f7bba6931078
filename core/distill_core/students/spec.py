"""What a kind of student says of itself without loading its network: settings, shape, costs, words.

A kind is one subclass of `StudentConfig` and one network; `kinds.py` lists it in a line. Everything that asks
for a student (settings, form, command line, costs, table of runs, latency, files, export) asks here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from distill_core.architecture import Cost, Shape, proposed_architectures
from distill_core.errors import SettingsError
from distill_core.settings import Settings, describe, is_optional

if TYPE_CHECKING:
    from distill_core.students.networks.student import Student


class StudentConfig(Settings, frozen=True, kw_only=True, tag_field="kind"):
    """Settings of a student; each kind is a subclass, with its name as `tag` and its own settings as fields.

    A field is shown by the form, the command line and the table of settings as it declares itself. One with a
    `symbol` belongs to the shape in short words. A field that is None takes the recipe's value of its name.
    """

    ABOUT: ClassVar[str] = ""
    """What the kind is, in a few words, such as `as published`."""

    HELP: ClassVar[str] = ""
    """What the help of the app says of the kind, in a sentence or two."""

    CARD_NOTE: ClassVar[str] = ""
    """What a model card says of every student of this kind."""

    INERT_HEADS: ClassVar[bool] = False
    """Whether H changes nothing in what the student computes."""

    REFERENCE_LAYOUT: ClassVar[bool] = False
    """Whether the reference implementation's `.pt` has a place for it."""

    BY_GRADIENTS: ClassVar[bool] = True
    """Whether it learns by steps of gradient descent; a kind that does not has a training of its own."""

    INERT_TRAINING: ClassVar[frozenset[str]] = frozenset()
    """Settings of the training that change nothing in the student, of a kind that is fitted."""

    LEAST_HEADS: ClassVar[int] = 1
    """Heads of a teacher below which the student is the teacher itself, whatever its H and L."""

    FIXED_BESIDE_SHAPE: ClassVar[Mapping[str, object]] = MappingProxyType({})
    """Settings that an experiment of H and L gives every student, so that nothing else differs."""

    KEEPS_HEADS: ClassVar[bool] = False
    """Whether it stores the teacher's heads: it never has fewer parameters, and saves operations alone."""

    @property
    def kind(self) -> str:
        """The name of the kind."""
        return kind_name(type(self))

    def value(self, name: str) -> object:
        """Return a setting by its name; None where the kind has no such setting."""
        return getattr(self, name) if name in self.__struct_fields__ else None

    def count(self, name: str) -> int | None:
        """Return a setting that is a whole number, such as H; None where the kind has no such setting."""
        value = self.value(name)
        return value if isinstance(value, int) else None

    # What a kind has to say.

    @classmethod
    def network(cls) -> type[Student]:
        """Return the class of the network; here torch is loaded."""
        raise NotImplementedError

    def shape(self, dimension: int, num_heads: int) -> Shape:
        """Return the arguments that build the network for a teacher of N heads in d dimensions."""
        raise NotImplementedError

    @classmethod
    def cost_of(cls, shape: Shape) -> Cost:
        """Return what a network of this shape costs, as it is trained."""
        raise NotImplementedError

    # What a kind may say otherwise.

    @classmethod
    def inference_cost_of(cls, shape: Shape) -> Cost:
        """Return what a network of this shape costs as it is used: folded, where it folds."""
        return cls.cost_of(shape)

    @classmethod
    def defaults(cls, num_heads: int, dimension: int) -> dict[str, int]:
        """Return the settings that follow from the teacher, where the user gives none."""
        return {}

    @classmethod
    def choices(cls, num_heads: int, dimension: int) -> dict[str, tuple[int, ...]]:
        """Return the sizes that a search tries for a teacher of N heads."""
        return {}

    @classmethod
    def of_shape(cls, shape: Shape) -> Self:
        """Return settings that give a network of this shape, for a file that knows of no run."""
        own = {name.removeprefix("num_"): value for name, value in shape.items()}
        return cls(**{name: own[name] for name in cls.__struct_fields__ if name in own})

    def check(self, dimension: int) -> None:
        """Check that the settings fit queries of dimension d.

        Raises:
            SettingsError: They do not; it names the field.
        """

    def fitting(self, dimension: int, num_heads: int) -> Self:
        """Return the settings as they are built for a teacher, which may be smaller than asked for."""
        return self

    def shared_by_heads(self, dimension: int) -> int:
        """Return how many dimensions the heads of a layer share; H must divide it."""
        return dimension

    def cost_row(self, dimension: int, num_heads: int) -> tuple[str, str] | None:
        """Return a further row of the table of costs: what it tells, and its value."""
        return None

    # What follows.

    def cost(self, dimension: int, num_heads: int) -> Cost:
        """Return what a student of these settings costs, as it is trained, for a teacher of N heads."""
        return self.cost_of(self.shape(dimension, num_heads))

    def inference_cost(self, dimension: int, num_heads: int) -> Cost:
        """Return what it costs as it is used."""
        return self.inference_cost_of(self.shape(dimension, num_heads))

    def fits(self, dimension: int) -> bool:
        """Tell whether the settings fit queries of dimension d."""
        try:
            self.check(dimension)
        except SettingsError:
            return False
        return True

    def without_recipe(self) -> Self:
        """Return the settings with all left to the recipe that can be; none of that shapes a network."""
        left = [name for name in self.__struct_fields__ if is_optional(type(self), name)]
        return self.with_values(**dict.fromkeys(left))

    def with_defaults(self, num_heads: int, dimension: int) -> Self:
        """Return the settings with those replaced that follow from the teacher."""
        return self.with_values(**self.defaults(num_heads, dimension))

    def words(self, dimension: int, num_heads: int) -> str:
        """Return kind and shape for a teacher of N heads, such as `encoder H 4 L 2`."""
        built = self.fitting(dimension, num_heads)
        symbols = ((describe(type(self), name).extra.get("symbol"), name) for name in self.__struct_fields__)
        return " ".join([self.kind, *(f"{letter} {built.value(name)}" for letter, name in symbols if letter)])

    def flat_heads(self) -> tuple[int, int] | None:
        """Return (H, L), whose power H^L is compared with N; None for a kind without heads or layers."""
        heads, layers = self.count("heads"), self.count("layers")
        return None if heads is None or layers is None else (heads, layers)

    def candidates(self, dimension: int, num_heads: int) -> tuple[Candidate, ...]:
        """Return the settings to choose from for a teacher, each with what it costs: those for H^L ≈ N.

        The default is among them. A kind without layers offers no choice; one without heads each L once.
        """
        if self.count("layers") is None:
            return ()
        rules: dict[StudentConfig, list[str]] = {}
        proposed = proposed_architectures(num_heads, self.shared_by_heads(dimension))
        for (heads, layers), names in proposed.items():
            rules.setdefault(self._shaped(heads, layers), []).extend(names)
        rules.setdefault(self.with_defaults(num_heads, dimension), ["default"])
        return tuple(
            Candidate(settings, settings.cost(dimension, num_heads), tuple(names))
            for settings, names in sorted(rules.items(), key=lambda item: _order(item[0]))
        )

    def _shaped(self, heads: int, layers: int) -> Self:
        values = {"heads": heads, "layers": layers}
        return self.with_values(**{name: values[name] for name in values if name in self.__struct_fields__})


class Candidate(NamedTuple):
    """Settings to choose from.

    Attributes:
        settings: Complete.
        cost: Of such a student, as it is trained.
        rules: That propose it.
    """

    settings: StudentConfig
    cost: Cost
    rules: tuple[str, ...] = ()


def kind_name(kind: type[StudentConfig]) -> str:
    """Return the name of a kind of student, as it stands in files."""
    return str(kind.__struct_config__.tag)


def _order(settings: StudentConfig) -> tuple[int, int]:
    return settings.count("layers") or 0, settings.count("heads") or 0
