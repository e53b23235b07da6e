"""How pydantic reads the values of a topology: quantities, short forms, whole numbers, plug-ins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from hetsim.core.errors import SpecError
from hetsim.spec import options, units
from hetsim.spec.annotation import quantity_form, whole
from hetsim.spec.load import Place, as_mapping, in_words


class Fault(ValueError):
    """What is wrong with a value and what to do; pydantic adds the path, and `at` goes on."""

    def __init__(self, what: str, remedy: str, at: Place = ()) -> None:
        super().__init__(what)
        self.what, self.remedy, self.at = what, remedy, at


@dataclass(frozen=True, slots=True)
class Quantity:
    """Text with a unit in the file, a float in SI units in the model."""

    dimension: units.Dimension
    positive: bool = False

    def read(self, value: object) -> float:
        """SI value of what the user wrote."""
        try:
            return units.parse(value, self.dimension, positive=self.positive)
        except SpecError as error:
            raise Fault(error.what, error.remedy) from None

    def write(self, value: float) -> object:
        """What to write to a file; a fraction is a bare number."""
        return value if self.dimension == "fraction" else units.format(value, self.dimension)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(self.write)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return quantity_form(self.dimension)


@dataclass(frozen=True, slots=True)
class Short:
    """A section that has a short form.

    Attributes:
        expand: writes it out.
        form: its JSON Schema.
        complete: the schema describes the long form too.
    """

    expand: Callable[[Any], Any]
    form: Callable[[], JsonSchemaValue]
    complete: bool = False

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        form = self.form()
        return form if self.complete else {"anyOf": [form, handler(schema)]}


@dataclass(frozen=True, slots=True)
class PlugIn:
    """`NAME` or `{name: NAME, option: value, ...}` becomes {"name": NAME, "options": {...}}.

    Attributes:
        kind: key of `hetsim.spec.options.REGISTRIES`.
        default: name to use where only options are given.
    """

    kind: str
    default: str = ""

    def expand(self, value: object) -> object:
        """The section with its options apart."""
        if isinstance(value, str):
            return {"name": value}
        section = as_mapping(value)
        if section is None:
            return value
        given = dict(section)
        name = given.pop("name", self.default)
        if not name:
            raise Fault("missing.", f"Add `name:`, one of {', '.join(self.names)}.", ("name",))
        if not isinstance(name, str):
            raise Fault(f"expected a name, got {in_words(name)}.", self.known, ("name",))
        return {"name": name, "options": given}

    @property
    def names(self) -> list[str]:
        """What can be named here."""
        return options.REGISTRIES[self.kind].names()

    @property
    def known(self) -> str:
        """The names as a remedy."""
        return f"One of: {', '.join(self.names)}."

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return self.form("name")

    def form(self, key: str) -> JsonSchemaValue:
        """JSON Schema: a name, or for each plug-in a mapping with its name and its options.

        Imports every plug-in of the kind.

        Args:
            key: under which a mapping names the plug-in.
        """
        names: JsonSchemaValue = {"type": "string", "enum": self.names}
        return {"anyOf": [names, *(self._section(name, key) for name in self.names)]}

    def _section(self, name: str, key: str) -> JsonSchemaValue:
        plugin = options.REGISTRIES[self.kind].load(name)
        form = options.form(plugin)
        form["title"] = name
        form["description"] = (plugin.__doc__ or "").partition("\n")[0]
        form["properties"] = {key: {"const": name}, **form["properties"]}
        if name != self.default:
            form["required"] = [key, *form["required"]]
        return form


@dataclass(frozen=True, slots=True)
class Number:
    """A number without a unit.

    Attributes:
        above: it is larger than this; None for at least 0.
        below: it is smaller than this.
    """

    above: float | None = None
    below: float = inf

    def read(self, value: object) -> float:
        """The number, inside its limits."""
        limit = "at least 0" if self.above is None else f"above {self.above:g}"
        limit += f" and below {self.below:g}" if self.below < inf else ""
        remedy = f"Write a number {limit}."
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Fault(f"expected a number, got {in_words(value)}.", remedy)
        least = value >= 0.0 if self.above is None else value > self.above
        if not (least and value < self.below):
            raise Fault(f"{in_words(value)} is not {limit}.", remedy)
        return float(value)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        form: JsonSchemaValue = {"type": "number"}
        form |= {"minimum": 0} if self.above is None else {"exclusiveMinimum": self.above}
        return form | ({"exclusiveMaximum": self.below} if self.below < inf else {})


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number; `1e6` is one.

    Attributes:
        least, most: its limits.
        instead: what to write for a smaller one, where that means something.
    """

    least: int
    most: int
    instead: str = ""

    def read(self, value: object) -> int:
        """The number, inside its limits."""
        number = whole(value)
        if isinstance(number, bool) or not isinstance(number, int):
            what = f"expected a whole number, got {in_words(value)}."
            raise Fault(what, f"Write a number from {self.least} to {self.most}.")
        if not self.least <= number <= self.most:
            what = f"{in_words(value)} is not between {self.least} and {self.most}."
            remedy = self.instead if number < self.least else ""
            raise Fault(what, remedy or "Write a number between them.")
        return number

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}
