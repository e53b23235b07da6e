"""Scenarios of the oracle's format that nobody thought of, from a seed."""

from __future__ import annotations

from random import Random
from typing import Any

Json = dict[str, Any]
MODELS = ("maxmin", "maxmin_inverse_latency", "lv08")
HORIZON = 40.0
ROUND = (0.0, 1.0, 2.5, 4.0)
"""Instants at which several things happen."""


def scenario(seed: int) -> Json:
    """A scenario; three seeds in a row have the three network models."""
    random = Random(seed)
    model = MODELS[seed % 3]
    nodes = [_node(random, i) for i in range(random.randint(2, 7))]
    links = _links(random, len(nodes), model)
    activities: list[Json] = []
    for i in range(random.randint(2, 14)):
        after = [each["id"] for each in activities if random.random() < 0.12]
        about: Json = {"id": f"a{i}", "start_s": _instant(random), "after": after}
        if random.random() < 0.6:
            path = _path(random, links, len(nodes))
            cap = random.uniform(2e4, 4e5) if random.random() < 0.3 else None
            size = 0 if random.random() < 0.05 else random.uniform(1e4, 2e6)
            about |= {"type": "flow", "path": path, "bytes": size, "rate_cap_Bps": cap}
        else:
            flops = 0 if random.random() < 0.05 else random.uniform(1e8, 2e10)
            node = random.choice(nodes)["id"]
            about |= {"type": "compute", "node": node, "flops": flops}
        activities.append(about)
    events = [_event(random, nodes, links, activities) for _ in range(random.randint(0, 12))]
    return {
        "format": "hetsim-oracle/1", "id": f"random{seed}", "title": "", "network_model": model,
        "horizon_s": HORIZON, "nodes": nodes, "links": links, "activities": activities,
        "events": events,
    }  # fmt: skip


def _instant(random: Random) -> float:
    return random.choice(ROUND) if random.random() < 0.5 else random.uniform(0.0, 12.0)


def _node(random: Random, number: int) -> Json:
    points = [
        {"flops_per_s": random.uniform(1e9, 8e9), "idle_W": random.uniform(0.0, 2.0),
         "epsilon_W": random.uniform(2.0, 3.0), "all_cores_W": random.uniform(3.0, 9.0)}
        for _ in range(random.randint(1, 3))
    ]  # fmt: skip
    return {
        "id": f"n{number}", "cores": random.randint(1, 4), "pstates": points,
        "pstate": random.randrange(len(points)), "off_W": random.uniform(0.0, 0.1),
    }  # fmt: skip


def _links(random: Random, nodes: int, model: str) -> list[Json]:
    pairs = [(random.randrange(i), i) for i in range(1, nodes)]  # a tree, so that all is reachable
    pairs += [(a, b) for b in range(nodes) for a in range(b) if random.random() < 0.15]
    links: list[Json] = []
    for i, (a, b) in enumerate(dict.fromkeys(pairs)):
        nearby = model != "maxmin_inverse_latency" and random.random() < 0.25
        if random.random() < 0.5:
            a, b = b, a
        links.append({
            "id": f"l{i}", "a": f"n{a}", "b": f"n{b}", "bandwidth_Bps": random.uniform(5e4, 1e6),
            "latency_s": 0.0 if nearby else random.uniform(1e-4, 0.3),
            "duplex": random.choice(("full", "shared")), "idle_W": random.uniform(0.0, 1.0),
            "busy_W": random.uniform(1.0, 3.0),
        })  # fmt: skip
    return links


def _path(random: Random, links: list[Json], nodes: int) -> list[str]:
    """A walk without return; of one node now and then."""
    path = [f"n{random.randrange(nodes)}"]
    while random.random() < 0.75 or (len(path) == 1 and random.random() < 0.9):
        near = [link["a"] if link["b"] == path[-1] else link["b"] for link in links
                if path[-1] in (link["a"], link["b"])]  # fmt: skip
        near = [node for node in near if node not in path]
        if not near:
            break
        path.append(random.choice(near))
    return path


def _event(random: Random, nodes: list[Json], links: list[Json], activities: list[Json]) -> Json:
    event: Json = {"t_s": _instant(random)}
    kind = random.choice(("link_bandwidth", "pstate", "cancel", "node_off", "node_on"))
    node = random.choice(nodes)
    if kind == "link_bandwidth":
        bandwidth = 0.0 if random.random() < 0.15 else random.uniform(2e4, 2e6)
        event |= {"link": random.choice(links)["id"], "bandwidth_Bps": bandwidth}
    elif kind == "pstate":
        event |= {"node": node["id"], "pstate": random.randrange(len(node["pstates"]))}
    elif kind == "cancel":
        event |= {"activity": random.choice(activities)["id"]}
    else:
        event |= {"node": node["id"]}
    return event | {"type": kind}
