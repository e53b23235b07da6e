"""Kinds of what a critical path consists of: their words, their meanings, their colours."""

from __future__ import annotations

WORDS = {
    "compute": "device computing",
    "slowed": "slowed computing",
    "uplink": "sending up",
    "downlink": "sending down",
    "queueing": "link queueing",
    "gateway": "gateway computing",
    "server": "server computing",
    "waiting": "waiting",
    "charge": "waiting for charge",
}
"""Kinds of blame in the order of a bar, and what they are called."""
MEANINGS = {
    "compute": "the device at work, at the pace at which it began",
    "slowed": "what sharing the processor, heat or a pause added",
    "uplink": "what the transfer would have taken with the links to itself",
    "downlink": "what the transfer would have taken with the links to itself",
    "queueing": "what other transfers, an outage or a link that became slower added",
    "gateway": "averaging on the way",
    "server": "averaging, training for clients, or evaluating in order to stop",
    "waiting": "for clients that are away, for memory, or for a time to come",
    "charge": "everybody who could be asked had an empty battery",
}
COLOURS = {
    "compute": "train", "slowed": "extra1", "uplink": "upload", "downlink": "download",
    "queueing": "extra0", "gateway": "extra2", "server": "mean", "waiting": "idle",
    "charge": "extra3",
}  # fmt: skip
"""Each kind's, as names of CSS variables."""
