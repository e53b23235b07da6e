"""The sections of a topology file, one frozen model each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_serializer,
    model_serializer,
    model_validator,
)

from hetsim.spec.annotation import quantity_form
from hetsim.spec.fields import Fault, PlugIn, Quantity, Short, Whole
from hetsim.spec.load import as_mapping

_MOST = 10_000_000
_NO_DATA = "Write `data: none` for devices that hold no data."
_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"

Name = Annotated[str, Field(pattern=_NAME, max_length=100)]
"""What becomes part of a file name or of a device's id."""
Time = Annotated[float, Quantity("time")]
Power = Annotated[float, Quantity("power")]
Speed = Annotated[float, Quantity("rate", positive=True)]
Share = Annotated[float, Quantity("fraction", positive=True)]
Count = Annotated[int, Whole(1, _MOST)]


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
    both = "up" in given and "down" in given
    if "rate" not in given:
        if both:
            return given
        remedy = 'Add `rate: "40 Mbit/s"`, or `up:` and `down:`.'
        raise Fault("missing.", remedy, ("rate",))
    if "up" in given or "down" in given:
        raise Fault("stands for both directions.", "Leave out rate, or up and down.", ("rate",))
    rate = given.pop("rate")
    try:
        Quantity("rate", positive=True).read(rate)
    except Fault as fault:
        raise Fault(fault.what, fault.remedy, ("rate",)) from None
    return given | {"up": rate, "down": rate}


def _or_none(value: object) -> object:
    """`none` for a section that is not there."""
    return None if value == "none" else value


_NONE: dict[str, Any] = {"const": "none"}
_LINK_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "to": {
            "type": "string",
            "description": "network node it hangs on; may be left out where there is only one.",
        },
        "rate": {
            **quantity_form("rate"),
            "description": "payload rate in either direction, as a file transfer measures it.",
        },
        "latency": {
            **quantity_form("time"),
            "description": "one way; left out, the technology's.",
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
        up: payload rate from the device.
        down: payload rate to the device.
        latency: one way; left out, the technology's.
    """

    also: ClassVar[tuple[str, ...]] = ("rate",)
    to: str = ""
    up: Speed
    down: Speed
    latency: Time | None = None


class Battery(Section):
    """What a battery holds at t = 0.

    Attributes:
        charge: share of the capacity.
        capacity: left out, the profile's; a device whose profile has none runs on mains.
    """

    charge: Annotated[float, Quantity("fraction")] = 1.0
    capacity: Annotated[float, Quantity("energy", positive=True)] | None = None


class Holding(Section):
    """What a device holds of the data.

    Attributes:
        samples: upper bound; left out, its whole shard.
    """

    samples: Annotated[int, Whole(1, _MOST, _NO_DATA)] | None = None


class Group(Section):
    """Devices of one kind.

    Attributes:
        profile: name or file of the device profile.
        count: how many.
        name: prefix of their ids; left out, the profile's name.
        link: how each is connected.
        battery: `none` for mains; left out, the profile's, full.
        availability: when a device is there.
        governor: left out, the topology's.
        data: `none` for a device that holds no data.
    """

    profile: str
    count: Count = 1
    name: Name | None = None
    link: Annotated[Link, Short(_link, lambda: _LINK_FORM)]
    battery: Annotated[Battery | None, Short(_or_none, lambda: _NONE)] = Battery()
    availability: Annotated[Plugin, PlugIn("availability", "always")] = Plugin(name="always")
    governor: Annotated[Plugin, PlugIn("governor")] | None = None
    data: Annotated[Holding | None, Short(_or_none, lambda: _NONE)] = Holding()

    @property
    def label(self) -> str:
        """Prefix of the ids of its devices ("pi" of "pi-0")."""
        return self.name or safe_name(Path(self.profile).stem)

    @field_serializer("battery", "data")
    def _none(self, value: Section | None) -> object:
        return "none" if value is None else value.model_dump()


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
    return {"technology": {"name": given.pop("technology"), **given}}


class Node(Section):
    """A cell, an access point or a switch.

    Attributes:
        technology: how stations share it.
    """

    technology: Annotated[Plugin, PlugIn("technology")]

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        return {"technology": self.technology.name, **self.technology.options}


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
    """

    between: Annotated[tuple[str, str], Field(strict=False)]
    bandwidth: Speed
    latency: Time
    duplex: Literal["full", "shared"] = "full"
    power: LinePower | None = None


def network_written_out(value: object) -> object:
    """`NAME` or `{name: NAME, ...}`: one node of that technology."""
    if isinstance(value, str):
        return {"nodes": {value: {"technology": value}}}
    section = as_mapping(value)
    if section is not None and "name" in section and "nodes" not in section:
        given = dict(section)
        name = given.pop("name")
        return {"nodes": {str(name): {"technology": name, **given}}}
    return value


def network_form() -> dict[str, Any]:
    """JSON Schema of a network that is one node."""
    return PlugIn("technology").form("name")


class Network(Section):
    """The graph that joins devices and server.

    Attributes:
        nodes: by name.
        links: between nodes.
    """

    nodes: dict[
        str,
        Annotated[
            Node, Short(_node, lambda: PlugIn("technology").form("technology"), complete=True)
        ],
    ]
    links: Annotated[tuple[Line, ...], Field(strict=False)] = ()


class Server(Section):
    """Where models are aggregated.

    Attributes:
        profile: name or file of the device profile.
        at: network node it hangs on; may be left out where there is only one.
    """

    profile: str
    at: str = ""


class Task(Section):
    """What is learned.

    Attributes:
        data: data set.
        model: network.
        partition: how samples fall to devices.
    """

    data: Annotated[Plugin, PlugIn("data")]
    model: Annotated[Plugin, PlugIn("model")]
    partition: Annotated[Plugin, PlugIn("partition", "iid")] = Plugin(name="iid")


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
        targets: accuracies whose time and joules are wanted.
    """

    evaluate_every: Count = 1
    targets: Annotated[tuple[Share, ...], Field(strict=False)] = ()


def server_written_out(value: object) -> object:
    """`PROFILE` alone."""
    return {"profile": value} if isinstance(value, str) else value


def safe_name(text: str) -> str:
    """`text` with a dash for everything that a name cannot hold.

    >>> safe_name("my fleet (2)")
    'my-fleet-2'
    """
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.") or "unnamed"
