"""What can only be known to be wrong with a topology once everything that it names is looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetsim.core.errors import SpecError
from hetsim.federation.run import Demand
from hetsim.learn import ops
from hetsim.learn.published import TRAINED_ON
from hetsim.sim.availability.charging import Charging
from hetsim.sim.governors.base import Particular
from hetsim.spec.load import key_of
from hetsim.spec.recording import differing
from hetsim.spec.world.blueprint import pretrained

if TYPE_CHECKING:
    from hetsim.spec.schema import Group
    from hetsim.spec.world.blueprint import Blueprint

_DEMANDS: dict[Demand, str] = {
    "stale": "take in updates that started from older models",
    "steps": "take in updates of fewer steps",
    "layers": "take in updates of which only some layers have arrived",
    "gateways": "take in models that gateways have averaged",
}


def check(blueprint: Blueprint) -> None:
    """Refuse what can only be known to be wrong once everything is looked up.

    Raises:
        SpecError: an option of a plug-in, or a combination.
    """
    spec = blueprint.spec
    with blueprint.spec.at("task", "model"):
        _ = blueprint.model
    if spec.cost_only and spec.stop.accuracy is not None and blueprint.recording is None:
        raise SpecError(
            "a cost-only run has no accuracy to stop at",
            where=spec.where("stop", "accuracy"),
            key="stop.accuracy",
            remedy="Leave out --cost-only, stop after rounds or time, or name a recorded run "
            "that tells the accuracy: --surrogate RUN_DIR.",
        )
    _surrogate(blueprint)
    _governors(blueprint)
    _charging(blueprint)
    for place, group in enumerate(spec.fleet):
        _battery(blueprint, place, group)
    _coordination(blueprint)
    _source(blueprint)
    blueprint.wiring.check()
    _ = blueprint.shards


def _surrogate(blueprint: Blueprint) -> None:
    """A recorded run must stand in for this one: nothing is learned, and the same would be."""
    chosen, recording = blueprint.spec.surrogate, blueprint.recording
    if chosen is None or recording is None:
        return
    if not blueprint.spec.cost_only:
        with blueprint.spec.at("surrogate"):
            raise SpecError(
                "this run learns, so nothing stands in for learning.",
                remedy="Add --cost-only (cost_only: true), or remove the surrogate.",
            )
    now = blueprint.spec.resolved()
    same = recording.data == blueprint.dataset.hash
    content = [] if same else [("task.data", "its samples are others")]
    found = {
        "method": [*differing(recording.method, now["method"], "method")],
        "task": [*differing(recording.task, now["task"], "task"), *content],
    }
    for kind, differences in found.items():
        if differences and kind not in chosen.despite:
            key, how = differences[0]
            despite = ", ".join(sorted({*chosen.despite, kind}))
            with blueprint.spec.at("surrogate"):
                raise SpecError(
                    f"the recorded run {recording.name} has another {kind}: {key}, {how}.",
                    remedy=f"Record a run with this {kind}, or take its accuracy all the same: "
                    f"--set 'surrogate.despite=[{despite}]'.",
                )


def _coordination(blueprint: Blueprint) -> None:
    """The method must be able to do what the pace asks, and the run what the selection asks."""
    spec, method = blueprint.spec, blueprint.method()
    selection, pace = blueprint.selection(), blueprint.pace()
    met: frozenset[Demand] = getattr(type(method), "accepts", frozenset())
    unmet = pace.demands - met
    if unmet:
        asked = " and ".join(_DEMANDS[demand] for demand in sorted(unmet))
        raise SpecError(
            f"{spec.method.name} cannot {asked}, as {spec.pace.name} asks.",
            where=spec.where("pace", "name"),
            key="pace.name",
            remedy="Choose another pace, such as sync, or another method, such as fedavg.",
        )
    if "gateways" in pace.demands and not spec.gateways:
        raise SpecError(
            f"{spec.pace.name} averages at gateways, and there are none.",
            where=spec.where("pace", "name"),
            key="pace.name",
            remedy="Add `gateways: [{profile: raspberry_pi_5, at: NODE}]`, where NODE is a "
            "network node on the way to the server, or choose another pace, such as sync.",
        )
    looks = {
        "selection": (spec.selection.name, selection),
        "pace": (spec.pace.name, pace),
        "method": (spec.method.name, method),
    }
    for key, (name, plugin) in looks.items():
        if spec.cost_only and getattr(plugin, "observes", False):
            known = " or options that say what it would find out" * (key == "method")
            raise SpecError(
                f"{name} goes by learned values, and a cost-only run learns nothing.",
                where=spec.where(key, "name"),
                key=f"{key}.name",
                remedy=f"Leave out --cost-only, or choose another {key}{known}.",
            )


def _source(blueprint: Blueprint) -> None:
    """What is pre-trained must be of use to the task, and must not know its test."""
    chosen = blueprint.spec.task.source
    if chosen is not None and chosen.published and blueprint.dataset.name == TRAINED_ON:
        raise SpecError(
            "the published weights were trained on CIFAR-10, which is the task.",
            where=blueprint.spec.where("task", "source", "published"),
            key="task.source.published",
            remedy="Choose another data set, or let parts be pre-trained on classes that the "
            "task leaves out: `source: {classes: [5, 6, 7, 8, 9]}`.",
        )
    _ = blueprint.zoo, blueprint.weights
    method, origin = blueprint.method(), blueprint.pretraining
    if origin is None or not pretrained(method):
        return
    if not blueprint.zoo:
        with blueprint.spec.at("task", "model"):
            ops.transferred(blueprint.architecture, origin.architecture(blueprint.architecture))
    check = getattr(method, "check_source", None)
    if check is not None:
        with blueprint.spec.at("task", "source"):
            check(origin)


def _battery(blueprint: Blueprint, place: int, group: Group) -> None:
    """A group's battery must be there to be charged, and have the numbers of its model."""
    chosen = group.battery
    pack = blueprint.kinds[place].pack
    if chosen is None:
        return
    wanted = {"model": chosen.model, "charger": chosen.charger, "solar": chosen.solar}
    for key, value in wanted.items():
        if pack is None and value is not None:
            with blueprint.spec.at("fleet", place, "battery", key):
                raise SpecError(
                    f"the profile {group.profile} has no battery.",
                    remedy='Add `capacity: "10 Wh"`, or remove it.',
                )
    if pack and pack.model not in pack.models:
        with blueprint.spec.at("fleet", place, "battery", "model"):
            raise SpecError(
                f"the profile {group.profile} has no numbers for {pack.model}.",
                remedy=f"One of: {', '.join(pack.models)}.",
            )
    _ = blueprint.sources(place)


def _charging(blueprint: Blueprint) -> None:
    """A device that is there only while it is charged must be charged at some time."""
    for member in blueprint.kinds:
        pattern, sources = member.availability, blueprint.sources(member.place)
        most = sum(source.most for source in sources)
        if isinstance(pattern, Charging) and most <= pattern.least:
            place = ("fleet", member.place, "availability")
            offer = f"offers more than {most:g} W" if sources else "charges its battery"
            raise SpecError(
                f"it is never there: nothing {offer}.",
                where=blueprint.spec.where(*place),
                key=key_of(place),
                remedy="Give its battery a `charger:` or a panel of more than `least`.",
            )


def _governors(blueprint: Blueprint) -> None:
    """A group's own governor must suit it; the topology's, at least one group that uses it."""
    refused: list[ValueError] = []
    suited = False
    for member in blueprint.kinds:
        own = member.group.governor is not None
        try:
            if isinstance(member.governor, Particular):
                member.governor.check(member.profile.domains)
            suited = suited or not own
        except ValueError as fault:
            if own:
                with blueprint.spec.at("fleet", member.place, "governor"):
                    raise SpecError(str(fault), remedy="Change its frequency.") from fault
            refused.append(fault)
    if refused and not suited:
        with blueprint.spec.at("governor"):
            raise SpecError(
                str(refused[0]), remedy="Give each group a governor of its own."
            ) from refused[0]
