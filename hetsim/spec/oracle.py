"""Scenario and answer files of an external oracle, JSON of the format "hetsim-oracle".

A scenario is a network with given routes, flows and compute tasks, and events; an answer holds what
an independent simulator says of it: start, finish and state of every activity, joules of every node
and link. All quantities are SI, as the suffix of each key says. Keys that the format does not name
are labels and are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hetsim.core.errors import SpecError, did_you_mean

_Amount = Annotated[float, Field(ge=0.0)]
_Positive = Annotated[float, Field(gt=0.0)]
_Index = Annotated[int, Field(ge=0)]
_Name = Annotated[str, Field(min_length=1)]


_Model = TypeVar("_Model", bound=BaseModel)


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class PState(_Entry):
    """An operating point: speed of one core, and power idle, just busy, and with all cores busy."""

    speed: _Amount = Field(alias="flops_per_s")
    idle: _Amount = Field(alias="idle_W")
    epsilon: _Amount = Field(alias="epsilon_W")
    full: _Amount = Field(alias="all_cores_W")


class Computer(_Entry):
    """A node; a switch is one that has no task."""

    id: _Name
    cores: Annotated[int, Field(ge=1)]
    pstates: Annotated[tuple[PState, ...], Field(min_length=1)]
    pstate: _Index = 0
    off: _Amount = Field(alias="off_W")


class Cable(_Entry):
    """A link: one capacity in each direction (`full`), or one for both (`shared`)."""

    id: _Name
    a: _Name
    b: _Name
    bandwidth: _Amount = Field(alias="bandwidth_Bps")
    latency: _Amount = Field(alias="latency_s")
    duplex: Literal["full", "shared"]
    idle: _Amount = Field(alias="idle_W")
    busy: _Amount = Field(alias="busy_W")


class _Activity(_Entry):
    id: _Name
    start: _Amount = Field(alias="start_s", default=0.0)
    after: tuple[_Name, ...] = ()


class Flow(_Activity):
    """Bytes along a given path of nodes."""

    type: Literal["flow"]
    path: Annotated[tuple[_Name, ...], Field(min_length=1)]
    size: _Amount = Field(alias="bytes")
    cap: _Positive | None = Field(alias="rate_cap_Bps", default=None)


class Task(_Activity):
    """Work for one core of a node."""

    type: Literal["compute"]
    node: _Name
    flops: _Amount


class _Event(_Entry):
    at: _Amount = Field(alias="t_s")


class Bandwidth(_Event):
    """Both directions of a link have another bandwidth."""

    type: Literal["link_bandwidth"]
    link: _Name
    bandwidth: _Amount = Field(alias="bandwidth_Bps")


class Step(_Event):
    """A node changes its operating point."""

    type: Literal["pstate"]
    node: _Name
    pstate: _Index


class Cancel(_Event):
    """An activity is given up."""

    type: Literal["cancel"]
    activity: _Name


class Power(_Event):
    """A node is switched off or on."""

    type: Literal["node_off", "node_on"]
    node: _Name


AnyActivity = Annotated[Flow | Task, Field(discriminator="type")]
AnyEvent = Annotated[Bandwidth | Step | Cancel | Power, Field(discriminator="type")]


class Scenario(_Entry):
    """What happens. `check` has seen to it that every name in it is known."""

    format: Literal["hetsim-oracle/1"]
    id: _Name
    title: str = ""
    model: Literal["maxmin", "maxmin_inverse_latency", "lv08"] = Field(alias="network_model")
    horizon: _Amount = Field(alias="horizon_s")
    nodes: tuple[Computer, ...]
    links: tuple[Cable, ...]
    activities: tuple[AnyActivity, ...]
    events: tuple[AnyEvent, ...] = ()


class Outcome(_Entry):
    """What became of an activity; an instant that there is not is null."""

    start: float | None = Field(alias="start_s", default=None)
    finish: float | None = Field(alias="finish_s", default=None)
    state: Literal["done", "cancelled", "failed", "skipped"]


class Drawn(_Entry):
    """What a node or a direction of a link drew."""

    energy: _Amount = Field(alias="energy_J")


class Answer(_Entry):
    """What the oracle says of a scenario."""

    format: Literal["hetsim-oracle-expected/1"]
    digest: str = Field(alias="scenario_sha256", default="")
    activities: dict[str, Outcome]
    nodes: dict[str, Drawn]
    links: dict[str, Drawn]


class PacketCase(_Entry):
    """When the flows of a scenario ended in a packet-level simulator."""

    scenario: _Name
    finish: dict[str, _Positive] = Field(alias="finish_s")


class PacketLevel(_Entry):
    """Answers of a packet-level simulator, of several scenarios."""

    format: Literal["hetsim-oracle-packet/1"]
    engine: str = ""
    cases: tuple[PacketCase, ...]


def read_scenario(path: Path) -> Scenario:
    """Read a scenario.

    Raises:
        SpecError: with the file and the key: not such a file, or a name that nothing has.
    """
    scenario = _read(Scenario, path)
    _Check(path, scenario).run()
    return scenario


def read_answer(path: Path) -> Answer:
    """Read what the oracle says of a scenario.

    Raises:
        SpecError: as `read_scenario`.
    """
    return _read(Answer, path)


def read_packet_level(path: Path) -> PacketLevel:
    """Read the finish times of a packet-level simulator.

    Raises:
        SpecError: as `read_scenario`.
    """
    return _read(PacketLevel, path)


def _read(model: type[_Model], path: Path) -> _Model:
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SpecError(
            f"cannot be read: {error.strerror}.", where=str(path), remedy="Check the path."
        ) from error
    except ValidationError as error:
        raise _refusal(error, path) from error


def _refusal(error: ValidationError, path: Path) -> SpecError:
    """The first fault that pydantic found."""
    first: Any = error.errors()[0]
    kind, context = first["type"], first.get("ctx", {})
    steps = list(first["loc"])
    if steps[:1] in (["activities"], ["events"]):
        del steps[2:3]  # pydantic's name of the kind of entry
    what, remedy = f"{first['msg']}.", "Change the value."
    if kind == "missing":
        known = [key for key in first["input"] if isinstance(key, str)]
        what = f"missing.{did_you_mean(steps[-1], known)}"
        remedy = "The format needs it; see the oracle's README."
    elif kind == "json_invalid":
        what, remedy = f"is no JSON: {context['error']}.", "Mend the file."
    elif kind == "union_tag_invalid":
        hint = did_you_mean(context["tag"], context["expected_tags"].replace("'", "").split(", "))
        what = f'no type "{context["tag"]}".{hint}'
        remedy = f"One of: {context['expected_tags']}."
    elif kind == "union_tag_not_found":
        what, remedy = "has no type.", 'Add "type".'
    return SpecError(what, where=str(path), key=_key(*steps), remedy=remedy)


def _key(*steps: str | int) -> str:
    """Path of a value in the file.

    >>> _key("events", 2, "t_s")
    'events[2].t_s'
    """
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class _Check:
    """Whether the parts of a scenario fit together."""

    def __init__(self, path: Path, scenario: Scenario) -> None:
        self.path, self.scenario = path, scenario
        self.nodes = {node.id: node for node in scenario.nodes}
        self.links = {link.id: link for link in scenario.links}
        self.activities = {activity.id: activity for activity in scenario.activities}

    def run(self) -> None:
        """Refuse what does not fit."""
        scenario = self.scenario
        self._unique("nodes", (node.id for node in scenario.nodes))
        self._unique("links", (link.id for link in scenario.links))
        self._unique("activities", (activity.id for activity in scenario.activities))
        for place, node in enumerate(scenario.nodes):
            self._pstate(node, node.pstate, "nodes", place, "pstate")
        hops = self._hops()
        self._activities(hops)
        for place, event in enumerate(scenario.events):
            match event:
                case Bandwidth():
                    self._known(event.link, self.links, "link", "events", place, "link")
                case Cancel():
                    known = self.activities
                    self._known(event.activity, known, "activity", "events", place, "activity")
                case Step() | Power():
                    self._known(event.node, self.nodes, "node", "events", place, "node")
                    if isinstance(event, Step):
                        node = self.nodes[event.node]
                        self._pstate(node, event.pstate, "events", place, "pstate")

    def _hops(self) -> set[frozenset[str]]:
        hops: set[frozenset[str]] = set()
        for place, link in enumerate(self.scenario.links):
            for end in ("a", "b"):
                self._known(getattr(link, end), self.nodes, "node", "links", place, end)
            pair = frozenset((link.a, link.b))
            if len(pair) == 1:
                self._fail(f"the link joins {link.a} to itself.", "links", place, "b")
            if pair in hops:
                what = f"a second link between {link.a} and {link.b}."
                self._fail(what, "links", place)
            hops.add(pair)
        return hops

    def _activities(self, hops: set[frozenset[str]]) -> None:
        earlier: set[str] = set()
        for place, activity in enumerate(self.scenario.activities):
            for index, name in enumerate(activity.after):
                at = ("activities", place, "after", index)
                self._known(name, self.activities, "activity", *at)
                if name not in earlier:
                    self._fail(f"{name} stands no earlier in the list.", *at)
            earlier.add(activity.id)
            if isinstance(activity, Task):
                self._known(activity.node, self.nodes, "node", "activities", place, "node")
            else:
                self._path(activity, hops, place)

    def _path(self, flow: Flow, hops: set[frozenset[str]], place: int) -> None:
        latency = 0.0
        cables = {frozenset((link.a, link.b)): link for link in self.scenario.links}
        for index, node in enumerate(flow.path):
            at = ("activities", place, "path", index)
            self._known(node, self.nodes, "node", *at)
            if index:
                pair = frozenset(flow.path[index - 1 : index + 1])
                if pair not in hops:
                    self._fail(f"no link from {flow.path[index - 1]} to {node}.", *at)
                latency += cables[pair].latency
        if self.scenario.model == "maxmin_inverse_latency" and len(flow.path) > 1 and not latency:
            what = "a path of latency 0 has no weight under maxmin_inverse_latency."
            self._fail(what, "activities", place, "path")

    def _pstate(self, node: Computer, index: int, *place: str | int) -> None:
        if index >= len(node.pstates):
            what = f"{node.id} has no pstate {index}, only 0 to {len(node.pstates) - 1}."
            self._fail(what, *place)

    def _unique(self, key: str, names: Iterable[str]) -> None:
        seen: set[str] = set()
        for place, name in enumerate(names):
            if name in seen:
                self._fail(f'a second "{name}".', key, place, "id")
            seen.add(name)

    def _known(self, name: str, known: Iterable[str], kind: str, *place: str | int) -> None:
        if name not in known:
            self._fail(f'no {kind} "{name}".{did_you_mean(name, known)}', *place)

    def _fail(self, what: str, *place: str | int) -> NoReturn:
        remedy = "Mend the scenario; the oracle's README tells its format."
        raise SpecError(what, where=str(self.path), key=_key(*place), remedy=remedy)
