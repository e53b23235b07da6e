"""From a checked topology to a scenario: look up what it names, so that nothing is wrong later."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hetsim.core.errors import SpecError
from hetsim.core.registry import DATA, METHODS, MODELS
from hetsim.learn import source
from hetsim.learn.architecture import Architecture
from hetsim.learn.data.base import Dataset
from hetsim.spec import sections
from hetsim.spec.load import Place, key_of
from hetsim.spec.options import arguments, make, resolved
from hetsim.spec.profile import find_profile, load_profile
from hetsim.spec.recording import Recording
from hetsim.spec.recording import read as read_recording
from hetsim.spec.references import by_name, trace_files
from hetsim.spec.world import checks
from hetsim.spec.world.blueprint import pretrained
from hetsim.spec.world.scenario import Scenario

if TYPE_CHECKING:
    from hetsim.spec.schema import Spec


def resolve(
    spec: Spec, data: Path | None = None, known: dict[object, Dataset] | None = None
) -> Scenario:
    """Look everything up that a topology names.

    Args:
        spec: a checked topology.
        data: folder of data sets.
        known: the data set that the last topology asked for, kept for whoever asks for the same.

    Raises:
        SpecError: a name, an option or a combination is wrong.
    """
    if data is not None and not data.is_dir():
        raise SpecError(
            "is no folder", where=f"--data {data}", remedy="Give the folder of the data sets."
        )
    beside = spec.origin.parent
    names = [each.profile for each in (*spec.fleet, *spec.gateways, spec.server)]
    places: list[Place] = [("fleet", index, "profile") for index in range(len(spec.fleet))]
    places += [("gateways", index, "profile") for index in range(len(spec.gateways))]
    places.append(("server", "profile"))
    paths = tuple(
        find_profile(name, beside, where=spec.where(*place), key=key_of(place))
        for name, place in zip(names, places, strict=True)
    )
    loaded = {path: load_profile(path) for path in dict.fromkeys(paths)}
    traces = trace_files(spec, beside)
    spec = by_name(spec, paths, traces)
    spec, recording = _with_recording(spec, beside)
    spec = _with_source(spec)
    task = spec.task
    asked = repr((task.data, task.source, data))
    dataset = (known or {}).get(asked) or _dataset(spec, data)
    if known is not None:
        known.clear()
        known[asked] = dataset
    where = partial(spec.where, "task", "model")
    family = MODELS.load(task.model.name, where=where(), key="task.model")
    written = resolved(family, task.model.options, where=where, key="task.model")
    options = arguments(family, written, where=where, key="task.model")
    architecture = Architecture.of(task.model.name, dataset.shape, dataset.classes, options)
    profiles = tuple(loaded[path] for path in paths)
    named = {path.name: path for path in traces.values()}
    scenario = Scenario(spec, profiles, paths, dataset, architecture, named, data, recording)
    checks.check(scenario)
    return scenario


def _dataset(spec: Spec, data: Path | None) -> Dataset:
    """What the task learns from, without what it sets aside for pre-training."""
    task, where = spec.task, partial(spec.where, "task", "data")
    loader = DATA.load(task.data.name, where=where(), key="task.data")
    dataset: Dataset = make(loader, task.data.options, data, where=where, key="task.data")
    return _set_aside(spec, dataset, data)


def _with_recording(spec: Spec, beside: Path) -> tuple[Spec, Recording | None]:
    """The spec with its surrogate named by content, and what that is."""
    if spec.surrogate is None:
        return spec, None
    with spec.at("surrogate"):
        recording = read_recording(spec.surrogate.run, beside)
    named = spec.surrogate.model_copy(update={"run": recording.file})
    return spec.model_copy(update={"surrogate": named}), recording


def _with_source(spec: Spec) -> Spec:
    """The spec with a source, if its method needs one and the topology names none."""
    where = partial(spec.where, "method")
    plugin = METHODS.load(spec.method.name, where=where(), key="method")
    method = make(plugin, spec.method.options, where=where, key="method")
    if spec.task.source is not None or not pretrained(method):
        return spec
    task = spec.task.model_copy(update={"source": sections.Source()})
    return spec.model_copy(update={"task": task})


def _set_aside(spec: Spec, dataset: Dataset, folder: Path | None) -> Dataset:
    """The data set with its source apart, if there is one."""
    chosen = spec.task.source
    if chosen is None or chosen.read_only:
        return dataset
    place = ("task", "source")
    with spec.at(*place):
        if chosen.classes is not None:
            return source.classes(dataset, chosen.classes, chosen.samples)
        if chosen.share is not None:
            return source.share(dataset, chosen.share, chosen.samples)
        if chosen.data is not None:
            where, key = partial(spec.where, *place, "data"), key_of((*place, "data"))
            loader = DATA.load(chosen.data.name, where=where(), key=key)
            origin: Dataset = make(loader, chosen.data.options, folder, where=where, key=key)
            return source.other(dataset, origin, chosen.samples)
        return source.own(dataset, chosen.samples)
