from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal

import pytest

from hetsim.core.errors import HetsimError, SpecError
from hetsim.core.quantities import Bytes, Celsius, Fraction, Hertz, Joules, Rate, Seconds, Watts
from hetsim.spec import options

Mode = Literal["fast", "exact"]


@dataclass(frozen=True, kw_only=True)
class Base:
    """Base of the plug-in.

    Attributes:
        lr: learning rate.
    """

    lr: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything(Base):
    """A plug-in with an option of every type.

    Attributes:
        rounds: how many; this text
            has two lines.
        up, down: rates.
    """

    rounds: int
    up: Rate = 1e6
    down: Rate = inf
    wait: Seconds = 1.5
    store: Joules = 3600.0
    draw: Watts = 0.5
    size: Bytes = 1024.0
    clock: Hertz = 1e9
    heat: Celsius = -3.0
    share: Fraction = 0.25
    name: str = "x"
    flag: bool = False
    mode: Mode = "fast"
    kind: Literal["a", "b"] = "a"
    widths: tuple[int, ...] = (64,)
    windows: tuple[tuple[Seconds, Seconds], ...] = ()
    limit: int | None = None
    patience: Seconds | None = None
    either: float | str = 1.0
    made: tuple[float, ...] = field(default_factory=lambda: (0.5,))
    hidden: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError("rounds must be at least 1")
        if self.share > 0.9:
            raise SpecError("too large a share", remedy="Take less.")


def factory(data: object, *, depth: int = 2, rate: Rate = inf) -> tuple[object, int, float]:
    """A factory: what comes before the star is not an option."""
    return data, depth, rate


def made(**given: object) -> Everything:
    return options.make(Everything, {"rounds": 1, **given})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rounds", 5, 5), ("rounds", 1e3, 1000), ("up", "8 Mbit/s", 1e6), ("down", "none", inf),
        ("wait", "2 min", 120.0), ("store", "1 Wh", 3600.0), ("draw", "5 mW", 0.005),
        ("size", "1 KiB", 1024.0), ("clock", "2 GHz", 2e9), ("heat", "-5 degC", -5.0),
        ("share", "30 %", 0.3), ("share", 0.3, 0.3), ("lr", 1, 1.0), ("lr", 0.5, 0.5),
        ("name", "y", "y"), ("flag", True, True), ("mode", "exact", "exact"), ("kind", "b", "b"),
        ("widths", [1, 2, 3], (1, 2, 3)), ("widths", [], ()),
        ("windows", [["1 h", "2 h"]], ((3600.0, 7200.0),)),
        ("limit", 3, 3), ("limit", "none", None),
        ("patience", "1 s", 1.0), ("patience", "none", None),
        ("either", 2, 2.0), ("either", "two", "two"),
    ],
)  # fmt: skip
def test_reads_values_by_the_annotation(name: str, text: object, value: object) -> None:
    read = getattr(made(**{name: text}), name)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("rounds", 2.5, "expected a whole number, got 2.5"),
        ("rounds", True, "expected a whole number, got true"),
        ("rounds", "5", 'expected a whole number, got the text "5"'),
        ("up", 8, "8 has no unit"),
        ("up", "none", '"none" is not a quantity'),
        ("wait", "2 W", '"W" is no unit of time'),
        ("share", 30, "30 is not between 0 and 1"),
        ("lr", True, "expected a number, got true"),
        ("lr", float("nan"), "expected a finite number, got nan"),
        ("lr", inf, "expected a finite number, got inf"),
        ("lr", "0.1 s", "expected a number"),
        ("lr", 10**400, "expected a finite number"),
        ("name", 3, "expected text, got 3"),
        ("flag", 1, "expected true or false, got 1"),
        ("flag", "yes", "expected true or false"),
        ("mode", "fsat", 'Did you mean "fast"?'),
        ("kind", 1, "1 is not allowed"),
        ("widths", 3, "expected a list, got 3"),
        ("widths", ["a"], "expected a whole number"),
        ("windows", [["1 h"]], "expected 2 items, got 1"),
        ("windows", [["1 h", 2]], "2 has no unit"),
        ("limit", "all", "expected a whole number"),
        ("hidden", 1.0, "no such option"),
        ("wiat", "1 s", 'no such option. Did you mean "wait"?'),
    ],
)
def test_refuses_with_place_and_key(name: str, text: object, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        options.make(
            Everything, {"rounds": 1, name: text}, where=lambda key: f"x.yaml:{key}", key="method"
        )
    error = caught.value
    assert says in error.what
    assert error.where == f"x.yaml:{name}"
    assert error.key == f"method.{name}"
    assert error.remedy


def test_a_required_option_must_be_there() -> None:
    with pytest.raises(SpecError, match=r"x\.yaml: method\.rounds: missing"):
        options.make(Everything, {}, where=lambda key: "x.yaml", key="method")


@pytest.mark.parametrize(("given", "says"), [({"rounds": 0}, "rounds must"), ({"share": 1}, "too")])
def test_what_the_plug_in_refuses_gets_a_place(given: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=rf"x\.yaml: method[.a-z]*: {says}"):
        options.make(Everything, {"rounds": 1, **given}, where=lambda key: "x.yaml", key="method")


def test_a_refusal_without_a_remedy_is_told_the_defaults() -> None:
    def refuse(*, depth: int = 3, rate: Rate = 1e6, must: int) -> None:
        raise ValueError(f"too deep: {depth}")

    with pytest.raises(SpecError) as error:
        options.make(refuse, {"depth": 9, "must": 1})
    assert error.value.remedy.startswith("Its defaults are: depth: 3, rate: ")
    assert "must" not in error.value.remedy


def test_a_refusal_that_begins_with_an_option_gets_its_place() -> None:
    def refuse(*, depth: int = 1, width: int = 1) -> None:
        raise SpecError(f"depth is {depth}")

    def told(**given: int) -> tuple[str, str]:
        with pytest.raises(SpecError) as error:
            options.make(refuse, given, where=lambda key: f"--set {key}", key="method")
        return error.value.where, error.value.key

    assert told(depth=0) == ("--set depth", "method.depth")
    assert told(width=0) == ("--set ", "method")


def test_a_factory_gets_its_arguments_first() -> None:
    assert options.make(factory, {"depth": 3}, "data") == ("data", 3, inf)
    assert options.accepts(factory) == {"depth", "rate"}
    with pytest.raises(SpecError, match="no such option"):
        options.make(factory, {"data": 1}, "data")


def test_resolved_says_everything_and_is_read_back() -> None:
    full = options.resolved(Everything, {"rounds": 2, "wait": "60 s"})
    assert full.keys() == options.accepts(Everything)
    assert full["wait"] == "1 min"
    assert full["down"] == full["limit"] == full["patience"] == "none"
    assert full["widths"] == [64]
    assert options.make(Everything, full) == Everything(rounds=2, wait=60.0)
    assert options.resolved(Everything, full) == full


def test_describe_tells_type_default_and_meaning() -> None:
    rows = {row.name: row for row in options.describe(Everything)}
    assert rows["lr"].doc == "learning rate."
    assert rows["rounds"].doc == "how many; this text has two lines."
    assert rows["rounds"].default is None
    assert rows["up"].doc == rows["down"].doc == "rates."
    assert rows["up"].default == "8 Mbit/s"
    assert rows["up"].type == 'rate, such as "20 Mbit/s"'
    assert rows["mode"].type == "one of fast, exact"
    assert rows["limit"].type == "a whole number or none"


def test_the_form_of_the_options_is_json_schema() -> None:
    form = options.form(Everything)
    assert (form["type"], form["required"]) == ("object", ["rounds"])
    assert form["additionalProperties"] is False
    assert form["properties"].keys() == options.accepts(Everything)
    of = form["properties"]
    assert of["rounds"] == {
        "description": "how many; this text has two lines.", "type": "integer",
    }  # fmt: skip
    assert of["up"] == {
        "description": "rates.", "type": "string", "examples": ["20 Mbit/s"], "default": "8 Mbit/s",
    }  # fmt: skip
    rate = {"type": "string", "examples": ["20 Mbit/s"]}
    assert of["down"]["anyOf"] == [rate, {"const": "none"}]
    assert of["down"]["default"] == "none"
    assert of["share"]["anyOf"][0] == {"type": "number", "minimum": 0, "maximum": 1}
    assert (of["lr"]["type"], of["flag"]["type"]) == ("number", "boolean")
    assert (of["mode"]["enum"], of["kind"]["enum"]) == (["fast", "exact"], ["a", "b"])
    assert of["widths"]["items"] == {"type": "integer"}
    assert of["windows"]["items"]["minItems"] == of["windows"]["items"]["maxItems"] == 2
    assert of["limit"]["anyOf"] == [{"type": "integer"}, {"const": "none"}]
    assert of["either"]["anyOf"] == [{"type": "number"}, {"type": "string"}]


def test_annotations_must_be_text() -> None:
    plain = type("Plain", (), {"__module__": __name__})

    def evaluated(*, lr: float = 0.1) -> object:
        return plain

    evaluated.__annotations__["lr"] = float
    with pytest.raises(HetsimError, match="from __future__ import annotations"):
        options.accepts(evaluated)


def test_a_type_without_rule_is_the_plug_ins_fault() -> None:
    def odd(*, inner: complex = 1j) -> None: ...

    with pytest.raises(HetsimError, match="no rule to read complex"):
        options.accepts(odd)
