"""What is wrong with a topology: unknown keys, values of a wrong type, names, the graph."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NoReturn, get_args, get_origin

from pydantic import ValidationError

from hetsim.core.errors import SpecError, UnknownName, did_you_mean
from hetsim.spec import options
from hetsim.spec.fields import Fault
from hetsim.spec.load import Document, Place, as_list, as_mapping, in_words, key_of
from hetsim.spec.override import name_key, plug_in_kind
from hetsim.spec.profile import find_profile
from hetsim.spec.sections import Network, Node, Plugin, Section

if TYPE_CHECKING:
    from hetsim.spec.schema import Spec

ONE_BY_ONE = 100_000
"""Devices that are played one by one at most: as many take some minutes and gigabytes."""
_MOST_DEVICES = 10_000_000
_MOST_CELLS = 100_000


def keys(model: type[Section], document: Document) -> None:
    """Refuse keys that no section has, before anything else is read.

    Raises:
        SpecError: with the place of the first one and the key that may have been meant.
    """
    _keys(model, document.data, (), document)


def _keys(model: type[Section], data: object, place: Place, document: Document) -> None:
    for index, item in enumerate(as_list(data) or ()):
        _keys(model, item, (*place, index), document)
    entries = as_mapping(data)
    if entries is None or model in (Plugin, Node):
        return
    if model is Network and "name" in entries and "nodes" not in entries:
        return
    known = (*model.model_fields, *model.also)
    for key, value in entries.items():
        if key not in known:
            raise SpecError(
                f"unknown key.{did_you_mean(key, known)}",
                where=document.where(*place, key),
                key=key_of((*place, key)),
                remedy=f"Keys here: {', '.join(known)}.",
            )
        annotation = model.model_fields[key].annotation if key in model.model_fields else None
        for inner in _sections(annotation):
            if get_origin(annotation) is dict:
                for name, item in (as_mapping(value) or {}).items():
                    _keys(inner, item, (*place, key, name), document)
            else:
                _keys(inner, value, (*place, key), document)


def sections_in(model: type[Section]) -> Iterator[type[Section]]:
    """All models below `model`."""
    for field in model.model_fields.values():
        for inner in _sections(field.annotation):
            yield inner
            yield from sections_in(inner)


def _sections(annotation: object) -> Iterator[type[Section]]:
    """The models named in a field's annotation."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for inner in get_args(annotation):
        yield from _sections(inner)


def refusal(error: ValidationError, document: Document) -> SpecError:
    """The first fault that pydantic found, with its place in the file."""
    first = error.errors()[0]
    place: Place = tuple(step for step in first["loc"] if step != "[key]")
    fault = first.get("ctx", {}).get("error")
    if isinstance(fault, Fault):
        place, what, remedy = (*place, *fault.at), fault.what, fault.remedy
    else:
        what, remedy = _in_our_words(first, place)
    return SpecError(what, where=document.where(*place), key=key_of(place), remedy=remedy)


_EXPECTED = {
    "string_type": ("text", "Write text, in quotes where it looks like a number."),
    "bool_type": ("true or false", "Write true or false."),
    "tuple_type": ("a list", "Write [first, second], or one item a line after a dash."),
    "dict_type": ("a mapping", "Write `key: value`."),
    "model_type": ("a mapping", "Write `key: value`."),
}


def _in_our_words(first: Any, place: Place) -> tuple[str, str]:
    kind, given, context = str(first["type"]), first["input"], first.get("ctx", {})
    if kind == "missing":
        inside = key_of(place[:-1]) or "the file"
        return "missing.", f"Add `{place[-1]}:` to {inside}."
    if kind in _EXPECTED:
        expected, remedy = _EXPECTED[kind]
        return f"expected {expected}, got {in_words(given)}.", remedy
    if kind == "literal_error":
        known = str(context["expected"]).replace("'", '"')
        hint = did_you_mean(str(given), re.findall('"(.*?)"', known))
        return f"{in_words(given)} is not allowed.{hint}", f"Write {known}."
    if kind == "string_pattern_mismatch":
        what = f"{in_words(given)} cannot be a name."
        return what, "Use letters, digits, dashes, dots and underscores, no dash or dot in front."
    if kind == "string_too_long":
        return f"longer than {context['max_length']} characters.", "Write a shorter one."
    if kind in ("too_short", "too_long"):
        return "the list is empty." if not given else "the list has a wrong length.", "Fill it."
    return f"{first['msg']}.", "Change the value."


def completed(spec: Spec, document: Document) -> Spec:
    """The spec with the only network node filled in where none is named, and names of gateways.

    Raises:
        SpecError: there are several.
    """
    nodes = list(spec.network.nodes)

    def only(*place: str | int) -> str:
        if len(nodes) != 1:
            raise SpecError(
                "missing.",
                where=document.where(*place),
                key=key_of(place),
                remedy=f"Name a network node: {', '.join(nodes)}.",
            )
        return nodes[0]

    fleet = tuple(
        group.model_copy(
            update={"link": group.link.model_copy(update={"to": only("fleet", i, "link", "to")})}
        )
        if not group.link.to
        else group
        for i, group in enumerate(spec.fleet)
    )
    server = spec.server
    if not server.at:
        server = server.model_copy(update={"at": only("server", "at")})
    gateways = tuple(
        gateway if gateway.name else gateway.model_copy(update={"name": f"gateway-{place}"})
        for place, gateway in enumerate(spec.gateways)
    )
    return spec.model_copy(update={"fleet": fleet, "server": server, "gateways": gateways})


def consistent(spec: Spec) -> None:
    """Refuse names that nothing has, devices that cannot be told apart, and a graph in parts.

    Raises:
        SpecError: with file and line.
    """
    _names(spec)
    _nodes(spec)
    _fleet(spec)
    _availability(spec)
    _graph(spec)
    _events(spec)


def fail(spec: Spec, what: str, remedy: str, *place: str | int) -> NoReturn:
    """Refuse the value at `place`.

    Raises:
        SpecError: always, with file and line.
    """
    raise SpecError(what, where=spec.where(*place), key=key_of(place), remedy=remedy)


def _names(spec: Spec) -> None:
    for place, plugin in spec.plugins():
        kind = plug_in_kind(place)
        assert kind is not None
        registry = options.REGISTRIES[kind]
        if plugin.name not in registry.names():
            at = (*place, name_key(place))
            raise UnknownName(
                registry.kind, plugin.name, registry.names(), where=spec.where(*at), key=key_of(at)
            )


def _nodes(spec: Spec) -> None:
    fleet = {group.label: group.count for group in spec.fleet}
    nodes = spec.network.nodes
    known: set[str] = set()
    cells = 0
    for name, node in nodes.items():
        place = ("network", "nodes", name)
        if not re.fullmatch("[A-Za-z0-9_-]+", name):
            remedy = "Use letters, digits, dashes and underscores."
            fail(spec, f'"{name}" cannot be the name of a node.', remedy, *place)
        cells += node.count or 1
        if cells > _MOST_CELLS:
            what = f"the network has more than {_MOST_CELLS} nodes."
            fail(spec, what, "Make it smaller.", *place, "count")
        for cell in spec.network.spread(name):
            label, _, number = cell.rpartition("-")
            taken = number.isdecimal() and int(number) < fleet.get(label, 0)
            if taken or cell == "server" or cell in known:
                whose = "a device" if taken else "the server" if cell == "server" else "two nodes"
                fail(spec, f'"{cell}" is the id of {whose}.', "Give the node another name.", *place)
            known.add(cell)


def _fleet(spec: Spec) -> None:
    labels: dict[str, int] = {}
    devices = 0
    for index, group in enumerate(spec.fleet):
        find_profile(
            group.profile,
            spec.origin.parent,
            where=spec.where("fleet", index, "profile"),
            key=key_of(("fleet", index, "profile")),
        )
        if group.label in labels:
            what = f'the devices of group {labels[group.label]} are called "{group.label}" too.'
            fail(spec, what, "Give one of the groups another `name:`.", "fleet", index, "name")
        labels[group.label] = index
        devices += group.count
        if devices > _MOST_DEVICES:
            what = f"the fleet has more than {_MOST_DEVICES} devices."
            fail(spec, what, "Make it smaller.", "fleet", index, "count")
        known_node(spec, group.link.to, "fleet", index, "link", "to", many=True)
    if devices > ONE_BY_ONE and not spec.cost_only:
        counts = accumulate(group.count for group in spec.fleet)
        index = next(index for index, count in enumerate(counts) if count > ONE_BY_ONE)
        what = f"more than {ONE_BY_ONE:,} devices are too many to learn."
        remedy = "Train nothing: --cost-only, or --surrogate RUN_DIR for an accuracy too."
        fail(spec, what, remedy, "fleet", index, "count")
    find_profile(
        spec.server.profile,
        spec.origin.parent,
        where=spec.where("server", "profile"),
        key="server.profile",
    )
    known_node(spec, spec.server.at, "server", "at")
    if all(group.data is None for group in spec.fleet):
        what, remedy = "no device holds data.", "Remove `data: none` from a group."
        fail(spec, what, remedy, "fleet", 0, "data")


def _availability(spec: Spec) -> None:
    for index, group in enumerate(spec.fleet):
        place = ("fleet", index, "availability")
        options.make(
            options.REGISTRIES["availability"].load(group.availability.name),
            group.availability.options,
            where=lambda option, place=place: spec.where(*place, option),
            key=key_of(place),
        )


_HAPPENS_TO = {
    "crash": ("device", "gateway"),
    "cancel": ("device", "gateway"),
    "pause": ("device", "gateway", "server"),
    "outage": ("device", "network node", "link"),
    "bandwidth": ("link",),
}


def _events(spec: Spec) -> None:
    kinds = {"server": "server"} | dict.fromkeys(spec.network.cells, "network node")
    kinds |= {f"{a}--{b}": "link" for _, *ends in spec.network.lines
              for a, b in (ends, ends[::-1])}  # fmt: skip
    kinds |= {gateway.name: "gateway" for gateway in spec.gateways}
    groups = {group.label: group.count for group in spec.fleet}
    for index, event in enumerate(spec.events):
        place = ("events", index)
        label, _, number = event.on.rpartition("-")
        device = number.isdecimal() and int(number) < groups.get(label, 0)
        kind = "device" if device or event.on in groups else kinds.get(event.on)
        if kind is None:
            known = (*groups, *kinds)
            what = f'nothing is called "{event.on}".{did_you_mean(event.on, known)}'
            remedy = "Name a device, a group, a gateway, server, a network node, or a link as a--b."
            fail(spec, what, remedy, *place, "on")
        if kind not in _HAPPENS_TO[event.what]:
            allowed = " or a ".join(_HAPPENS_TO[event.what])
            what, remedy = f'"{event.on}" is a {kind}.', f"{event.what} happens to a {allowed}."
            fail(spec, what, remedy, *place, "on")
        if (event.to is None) == (event.what == "bandwidth"):
            what = "missing." if event.to is None else f"{event.what} has no bandwidth."
            fail(spec, what, 'Only bandwidth takes `to: "5 Mbit/s"`.', *place, "to")
        if event.lasts is not None and event.what == "cancel":
            fail(spec, "cancel is an instant.", "Leave it out.", *place, "lasts")


def known_node(spec: Spec, name: str, *place: str | int, many: bool = False) -> None:
    """Refuse a network node that is not there.

    Args:
        spec: the topology.
        name: of the node.
        place: of the name in the file.
        many: whether the name may stand for several nodes.

    Raises:
        SpecError: with file and line.
    """
    network = spec.network
    count = network.nodes[name].count if name in network.nodes else None
    if name in network.cells or (many and count is not None):
        return
    if count is not None:
        what = f'"{name}" stands for {count} network nodes.'
        fail(spec, what, f"Name one of them, such as {name}-0.", *place)
    known = [
        each if node.count is None else f"{each}-0 to {each}-{node.count - 1}"
        for each, node in network.nodes.items()
    ]
    hint = did_you_mean(name, (*network.nodes, *network.cells))
    fail(spec, f'no network node "{name}".{hint}', f"Known: {', '.join(known)}.", *place)


def _graph(spec: Spec) -> None:
    network = spec.network
    neighbours: dict[str, set[str]] = {name: set() for name in network.cells}
    for index, line in enumerate(network.links):
        for end, name in enumerate(line.between):
            known_node(spec, name, "network", "links", index, "between", end, many=True)
    for index, first, second in network.lines:
        place = ("network", "links", index, "between")
        if first == second:
            fail(spec, f'joins "{first}" to itself.', "Name two nodes.", *place)
        if second in neighbours[first]:
            what = f'"{first}" and "{second}" are joined already.'
            fail(spec, what, "Keep one of the links.", *place)
        neighbours[first].add(second)
        neighbours[second].add(first)
    reached: set[str] = set()
    border = {spec.server.at}
    while border:
        reached |= border
        border = {name for node in border for name in neighbours[node]} - reached
    for name in neighbours:
        if name not in reached:
            what = f'no way leads from "{name}" to the server at "{spec.server.at}".'
            at = ("network", "nodes", network.cells[name])
            fail(spec, what, "Add a link, or remove the node.", *at)
