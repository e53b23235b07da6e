"""The sections of a topology file, one frozen model each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_serializer,
    model_serializer,
    model_validator,
)

from hetsim.sim.heat import ROOM
from hetsim.sim.sunlight import DAY
from hetsim.spec.annotation import quantity_form
from hetsim.spec.fields import Fault, Number, PlugIn, Quantity, Short, Whole
from hetsim.spec.load import as_mapping

_MOST = 10_000_000
LARGEST_SEED = 2**63 - 1
_NO_DATA = "Write `data: none` for devices that hold no data."
_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"

Name = Annotated[str, Field(pattern=_NAME, max_length=100)]
"""What becomes part of a file name or of a device's id."""
Time = Annotated[float, Quantity("time")]
Power = Annotated[float, Quantity("power")]
Speed = Annotated[float, Quantity("rate", positive=True)]
Share = Annotated[float, Quantity("fraction", positive=True)]
Size = Annotated[float, Quantity("size", positive=True)]
Count = Annotated[int, Whole(1, _MOST)]
Sharing = Literal["maxmin", "maxmin_inverse_latency", "lv08"]
"""Names of `hetsim.sim.network_model.NETWORK_MODELS`."""


class Section(BaseModel):
    """Base of every mapping in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    also: ClassVar[tuple[str, ...]] = ()
    """Keys of a short form that the model does not keep."""


class Plugin(Section):
    """A plug-in by name, with its options as written.

    Attributes:
        name: file name of the plug-in.
        options: raw; `hetsim.spec.options.make` reads them.
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict[str, Any])

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        return {"name": self.name, **self.options}


def _link(value: object) -> object:
    """Write `rate` out as `up` and `down`."""
    section = as_mapping(value)
    if section is None:
        return value
    given = dict(section)
    for both in ("rate", "trace"):
        apart = ("up", "down") if both == "rate" else ("trace_up", "trace_down")
        if both in given and any(key in given for key in apart):
            remedy = f"Leave out {both}, or {apart[0]} and {apart[1]}."
            raise Fault("stands for both directions.", remedy, (both,))
    if "rate" not in given:
        return given
    rate = given.pop("rate")
    try:
        Quantity("rate", positive=True).read(rate)
    except Fault as fault:
        raise Fault(fault.what, fault.remedy, ("rate",)) from None
    return given | {"up": rate, "down": rate}


def _trace(value: object) -> object:
    """`FILE.csv` in place of a name plays that file."""
    section = as_mapping(value)
    name = value if section is None else section.get("name")
    if not isinstance(name, str) or not name.endswith(".csv"):
        return value
    return {**(section or {}), "name": "replay", "file": name}


def _trace_form() -> dict[str, Any]:
    return {"type": "string", "pattern": r"\.csv$", "description": "a file to play."}


def _or_none(value: object) -> object:
    """`none` for a section that is not there."""
    return None if value == "none" else value


_NONE: dict[str, Any] = {"const": "none"}
Following = Annotated[Plugin, PlugIn("trace", "replay"), Short(_trace, _trace_form)]
"""A bandwidth in the course of time."""


def _link_form() -> dict[str, Any]:
    trace = {"anyOf": [_trace_form(), PlugIn("trace", "replay").form("name")]}
    return {
        "type": "object",
        "properties": {
            "to": {
                "type": "string",
                "description": "network node it hangs on; may be left out where there is only one.",
            },
            "rate": {
                **quantity_form("rate"),
                "description": "payload rate in either direction, as a file transfer measures it; "
                "may be left out where the technology has one.",
            },
            "latency": {
                **quantity_form("time"),
                "description": "one way; left out, the technology's.",
            },
            "cap": {**quantity_form("rate"), "description": "largest rate of each of its flows."},
            **{
                key: {**trace, "description": f"the rate {way} in the course of time."}
                for key, way in (
                    ("trace", "in both directions"),
                    ("trace_up", "from the device"),
                    ("trace_down", "to the device"),
                )
            },
        },
        "required": ["rate"],
        "additionalProperties": False,
    }


class Link(Section):
    """How a device is connected; `rate` in place of `up` and `down` means both.

    Rates are of payload, as a file transfer measures them: headers and retransmissions are inside.

    Attributes:
        to: network node it hangs on; may be left out where there is only one.
        up: payload rate from the device; left out, the technology's.
        down: payload rate to the device; left out, the technology's.
        latency: one way; left out, the technology's.
        cap: largest rate of each of its flows.
        trace: the rate in both directions in the course of time.
        trace_up: the same from the device.
        trace_down: the same to the device.
    """

    also: ClassVar[tuple[str, ...]] = ("rate",)
    to: str = ""
    up: Speed | None = None
    down: Speed | None = None
    latency: Time | None = None
    cap: Speed | None = None
    trace: Following | None = None
    trace_up: Following | None = None
    trace_down: Following | None = None


class Charger(Section):
    """A charger, plugged in during the same windows of every period.

    Attributes:
        power: what it offers.
        on: (from, to) pairs inside a period, in order, apart; left out, always.
        period: after which they repeat; left out, never.
    """

    power: Annotated[float, Quantity("power", positive=True)]
    on: Annotated[
        tuple[Annotated[tuple[Time, Time], Field(strict=False)], ...], Field(strict=False)
    ] = ()
    period: Annotated[float, Quantity("time", positive=True)] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Charger:
        edges = [0.0, *(edge for window in self.on for edge in window), self.period or inf]
        if edges != sorted(edges) or any(start == end for start, end in self.on):
            what = "the windows are empty, not in order, overlap or end after the period."
            raise Fault(what, 'Write pairs such as ["22 h", "24 h"].', ("on",))
        if self.period and not self.on:
            raise Fault("nothing repeats.", "Add `on:`, or leave out the period.", ("period",))
        return self


class Solar(Section):
    """A solar panel: what a trace file says, or sunlight at a latitude.

    Attributes:
        peak: power of the panel in full sun; a trace in watts needs none.
        trace: CSV file of `seconds,share` of the peak power, or of `seconds,W` without a peak.
        end: loop to start the trace again after its last row, clamp to keep that row.
        latitude: where the panel lies flat, in place of a trace.
        day: of the year at t = 0.
        clock: solar time at t = 0, after midnight; "12 h" is noon.
        clearness: bounds between which each day's share of clear-sky power is drawn.
    """

    peak: Annotated[float, Quantity("power", positive=True)] | None = None
    trace: str | None = None
    end: Literal["loop", "clamp"] = "loop"
    latitude: Annotated[float, Quantity("angle")] | None = None
    day: Annotated[int, Whole(1, 366)] = 172
    clock: Time = 0.0
    clearness: Annotated[tuple[Share, Share], Field(strict=False)] = (1.0, 1.0)

    @model_validator(mode="after")
    def _one_sun(self) -> Solar:
        if (self.trace is None) == (self.latitude is None):
            remedy = 'Write `trace: FILE.csv`, or `latitude: "52.5 deg"`.'
            raise Fault("expected a trace or a latitude, one of them.", remedy)
        if self.latitude is not None and not -90.0 <= self.latitude <= 90.0:
            raise Fault("no latitude.", "Write one from -90 deg to 90 deg.", ("latitude",))
        if self.clock >= DAY:
            raise Fault("is after the end of the day.", 'Write less than "24 h".', ("clock",))
        if self.latitude is not None and self.peak is None:
            raise Fault("missing.", 'Add `peak: "10 W"`.', ("peak",))
        if self.clearness[0] > self.clearness[1]:
            raise Fault("the bounds are not in order.", "Write the lower first.", ("clearness",))
        return self


class Battery(Section):
    """What a battery holds at t = 0, and what charges it.

    Attributes:
        charge: share of its charge.
        capacity: left out, the profile's; a device whose profile has none runs on mains.
        model: linear, voltage or kibam, if the profile has its numbers; left out, the profile's.
        charger: left out, it is never plugged in.
        solar: left out, it has no panel.
    """

    charge: Annotated[float, Quantity("fraction")] = 1.0
    capacity: Annotated[float, Quantity("energy", positive=True)] | None = None
    model: Literal["linear", "voltage", "kibam"] | None = None
    charger: Charger | None = None
    solar: Solar | None = None


class Holding(Section):
    """What a device holds of the data.

    Attributes:
        samples: upper bound; left out, its whole shard.
    """

    samples: Annotated[int, Whole(1, _MOST, _NO_DATA)] | None = None


class Crashes(Section):
    """A device that crashes now and then, at random, and reboots.

    Attributes:
        every: mean time from one start to the next crash, exponentially distributed.
        reboot: how long it is away; it draws its idle power meanwhile.
    """

    every: Annotated[float, Quantity("time", positive=True)]
    reboot: Annotated[float, Quantity("time", positive=True)]


class Group(Section):
    """Devices of one kind.

    Attributes:
        profile: name or file of the device profile.
        count: how many.
        name: prefix of their ids; left out, the profile's name.
        link: how each is connected.
        memory: bytes a job may use, of which there may also be more than the device has (what if
            memory were no limit?); left out, what the profile leaves.
        battery: `none` for mains; left out, the profile's, full.
        ambient: temperature around it.
        temperature: of the device at t = 0; left out, what it has after idling for long.
        availability: when a device is there.
        crashes: left out, it never crashes.
        governor: left out, the topology's.
        data: `none` for a device that holds no data.
    """

    profile: str
    count: Count = 1
    name: Name | None = None
    link: Annotated[Link, Short(_link, _link_form)]
    memory: Size | None = None
    battery: Annotated[Battery | None, Short(_or_none, lambda: _NONE)] = Battery()
    ambient: Annotated[float, Quantity("temperature")] = ROOM
    temperature: Annotated[float, Quantity("temperature")] | None = None
    availability: Annotated[Plugin, PlugIn("availability", "always")] = Plugin(name="always")
    crashes: Crashes | None = None
    governor: Annotated[Plugin, PlugIn("governor")] | None = None
    data: Annotated[Holding | None, Short(_or_none, lambda: _NONE)] = Holding()

    @property
    def label(self) -> str:
        """Prefix of the ids of its devices ("pi" of "pi-0")."""
        return self.name or safe_name(Path(self.profile).stem)

    @field_serializer("battery", "data")
    def _none(self, value: Section | None) -> object:
        return "none" if value is None else value.model_dump()


class Event(Section):
    """Something that happens to the world from outside.

    Attributes:
        at: when.
        on: a device, a group of them, a gateway, `server`, a network node, or a link as in
            "switch--edge".
        what: crash or cancel (devices, gateways), pause (devices, gateways, server), outage
            (devices, network nodes, links), bandwidth (links).
        lasts: how long; left out, to the end of the run.
        to: the bandwidth of a link from then on.
    """

    at: Time
    on: str
    what: Literal["crash", "cancel", "pause", "outage", "bandwidth"]
    lasts: Annotated[float, Quantity("time", positive=True)] | None = None
    to: Annotated[float, Quantity("rate")] | None = None


def _node(value: object) -> object:
    """`NAME` or `{technology: NAME, option: value}` with the options inside the technology."""
    if isinstance(value, str):
        return {"technology": value}
    section = as_mapping(value)
    if section is None:
        return value
    given = dict(section)
    if "name" in given:
        raise Fault("a node has its name before the colon.", "Remove it.", ("name",))
    if "technology" not in given:
        remedy = f"Add `technology:`, one of {', '.join(PlugIn('technology').names)}."
        raise Fault("missing.", remedy, ("technology",))
    count = {"count": given.pop("count")} if "count" in given else {}
    return {"technology": {"name": given.pop("technology"), **given}, **count}


def _node_form() -> dict[str, Any]:
    """JSON Schema of a network node: a technology with its options, and how many there are."""
    form = PlugIn("technology").form("technology")
    for one in form["anyOf"]:
        if "properties" in one:
            one["properties"]["count"] = {
                "type": "integer", "minimum": 1,
                "description": "how many of them, NAME-0, NAME-1 and so on.",
            }  # fmt: skip
    return form


class Node(Section):
    """A cell, an access point or a switch, or many that are alike.

    Attributes:
        technology: how stations share it.
        count: how many there are, called NAME-0, NAME-1 and so on. Devices and links that name NAME
            are spread over them in turn: device n of a group hangs on the one of number n modulo
            the count. Left out, one, called NAME.
    """

    technology: Annotated[Plugin, PlugIn("technology")]
    count: Count | None = None

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        count = {} if self.count is None else {"count": self.count}
        return {"technology": self.technology.name, **self.technology.options, **count}


class LinePower(Section):
    """Power of a line and its interfaces.

    Attributes:
        idle: always.
        busy: while it carries as much as it can.
    """

    idle: Power
    busy: Power

    @model_validator(mode="after")
    def _busy_is_more(self) -> LinePower:
        if self.busy < self.idle:
            raise Fault("busy draws less than idle.", "Check both: idle <= busy.", ("busy",))
        return self


class Line(Section):
    """A link between two network nodes.

    Attributes:
        between: the two nodes.
        bandwidth: payload rate in each direction (full duplex) or of both together (shared).
        latency: one way.
        duplex: full or shared.
        power: left out, it draws nothing.
        trace: the bandwidth in the course of time.
    """

    between: Annotated[tuple[str, str], Field(strict=False)]
    bandwidth: Speed
    latency: Time
    duplex: Literal["full", "shared"] = "full"
    power: LinePower | None = None
    trace: Following | None = None


def network_written_out(value: object) -> object:
    """`NAME` or `{name: NAME, ...}`: one node of that technology."""
    if isinstance(value, str):
        return {"nodes": {value: {"technology": value}}}
    section = as_mapping(value)
    if section is not None and "name" in section and "nodes" not in section:
        given = dict(section)
        name = given.pop("name")
        sharing = {"sharing": given.pop("sharing")} if "sharing" in given else {}
        return {"nodes": {str(name): {"technology": name, **given}}, **sharing}
    return value


def network_form() -> dict[str, Any]:
    """JSON Schema of a network that is one node."""
    form = PlugIn("technology").form("name")
    for one in form["anyOf"]:
        if "properties" in one:
            one["properties"]["sharing"] = {"enum": list(get_args(Sharing))}
    return form


class Network(Section):
    """The graph that joins devices and server.

    Attributes:
        nodes: by name.
        links: between nodes.
        sharing: how flows share links: maxmin, maxmin_inverse_latency or lv08 (TCP).
    """

    nodes: dict[
        str,
        Annotated[Node, Short(_node, _node_form, complete=True)],
    ]
    links: Annotated[tuple[Line, ...], Field(strict=False)] = ()
    sharing: Sharing = "maxmin"

    @property
    def cells(self) -> dict[str, str]:
        """Every node that there is, and the name that stands for it in `nodes`."""
        return {cell: name for name in self.nodes for cell in self.spread(name)}

    def spread(self, name: str) -> tuple[str, ...]:
        """The nodes that a name stands for: itself, or as many as its count says."""
        node = self.nodes.get(name)
        if node is None or node.count is None:
            return (name,)
        return tuple(f"{name}-{number}" for number in range(node.count))

    @property
    def lines(self) -> Iterator[tuple[int, str, str]]:
        """Every line that there is: its place in `links`, and its two ends.

        Where ends stand for many nodes, the one of number n is joined to that of number n of the
        other end, or n modulo the count of the fewer.
        """
        for index, line in enumerate(self.links):
            first, second = (self.spread(end) for end in line.between)
            for number in range(max(len(first), len(second))):
                yield index, first[number % len(first)], second[number % len(second)]


class Server(Section):
    """Where models are aggregated.

    Attributes:
        profile: name or file of the device profile.
        at: network node it hangs on; may be left out where there is only one.
    """

    profile: str
    at: str = ""


class Gateway(Section):
    """A computer on the way from devices to the server, which can average for it.

    It averages under a pace that asks it to; under any other it only draws its idle power.

    Attributes:
        profile: name or file of the device profile.
        at: network node it hangs on.
        name: left out, "gateway-0" for the first in the list, "gateway-1" for the second.
        serves: groups of devices; left out, of the groups that no gateway names, those to which it
            is the nearest such gateway.
    """

    profile: str
    at: str
    name: Name = ""
    serves: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = None


class Source(Section):
    """What parts of models are pre-trained on, and how: samples that the task never sees.

    The source is some classes of the task's data, a share of its training samples, another data
    set, or, if none of these is given, the samples that the data set keeps for it (digits and
    synthetic do). Pre-training is plain SGD on one computer before the run; its learning rate falls
    to a tenth after half of the epochs and again after four fifths. No device pays for it. The
    defaults suit some hundred samples and take a second; those of the EcoFed paper are epochs 100,
    batch 128 and lr 0.01.

    Attributes:
        classes: labels whose training samples are the source; the task keeps the others, numbered
            from 0 in their order.
        share: of the training samples; of their owners, where samples have owners.
        data: another data set.
        published: start from weights that others have trained on CIFAR-10 (resnet20, resnet32,
            resnet44, resnet56) instead of pre-training; other models are pre-trained on the source,
            if one is named beside it.
        samples: of the source, at most.
        epochs: passes over the source.
        batch: samples a step.
        lr: learning rate.
        momentum: of the steps.
        weight_decay: L2 penalty on the weights.
        seed: of first weights and order of samples; the run's own seed changes neither.
    """

    classes: (
        Annotated[tuple[Annotated[int, Whole(0, _MOST)], ...], Field(strict=False, min_length=1)]
        | None
    ) = None
    share: Share | None = None
    data: Annotated[Plugin, PlugIn("data")] | None = None
    published: bool = False
    samples: Count | None = None
    epochs: Count = 20
    batch: Count = 32
    lr: Annotated[float, Number(above=0.0)] = 0.05
    momentum: Annotated[float, Number(below=1.0)] = 0.9
    weight_decay: Annotated[float, Number()] = 5e-4
    seed: Annotated[int, Whole(0, LARGEST_SEED)] = 0

    @model_validator(mode="after")
    def _one_source(self) -> Source:
        given = [key for key in ("classes", "share", "data") if getattr(self, key)]
        if len(given) > 1:
            what = f"{' and '.join(given)} are several sources."
            raise Fault(what, "Keep one of them.", (given[1],))
        return self

    @property
    def read_only(self) -> bool:
        """Whether weights are only read, and no samples set aside."""
        return self.published and self.classes is self.share is self.data is None

    @property
    def training(self) -> dict[str, Any]:
        """How parts are pre-trained, as `ops.pretrain` takes it."""
        names = ("epochs", "batch", "lr", "momentum", "weight_decay", "seed")
        return {name: getattr(self, name) for name in names}


class Task(Section):
    """What is learned.

    Attributes:
        data: data set.
        model: network.
        partition: how samples fall to devices.
        source: what parts are pre-trained on; left out, nothing, or what the data set keeps for it
            if the method starts from pre-trained parts.
    """

    data: Annotated[Plugin, PlugIn("data")]
    model: Annotated[Plugin, PlugIn("model")]
    partition: Annotated[Plugin, PlugIn("partition", "iid")] = Plugin(name="iid")
    source: Source | None = None


class Stop(Section):
    """When a run ends: at whichever comes first.

    Attributes:
        rounds: rounds or server steps.
        accuracy: test accuracy of the server model.
        time: simulated time.
    """

    rounds: Count
    accuracy: Share | None = None
    time: Annotated[float, Quantity("time", positive=True)] | None = None


class Report(Section):
    """What is written down on the way.

    Attributes:
        evaluate_every: rounds between two evaluations.
        views: whether other models that follow from the server's are scored too, such as those of
            each level, where a method has some.
        targets: accuracies whose time and joules are wanted.
    """

    evaluate_every: Count = 1
    views: bool = False
    targets: Annotated[tuple[Share, ...], Field(strict=False)] = ()


class Surrogate(Section):
    """A finished run from which a cost-only run takes accuracy and loss of the server's model.

    Attributes:
        run: its folder.
        despite: what may differ from it: method, task.
    """

    run: str
    despite: Annotated[tuple[Literal["method", "task"], ...], Field(strict=False)] = ()


def surrogate_written_out(value: object) -> object:
    """`DIR` alone."""
    return {"run": value} if isinstance(value, str) else value


def server_written_out(value: object) -> object:
    """`PROFILE` alone."""
    return {"profile": value} if isinstance(value, str) else value


def safe_name(text: str) -> str:
    """`text` with a dash for everything that a name cannot hold.

    >>> safe_name("my fleet (2)")
    'my-fleet-2'
    """
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.") or "unnamed"
