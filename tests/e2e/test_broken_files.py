"""Broken topologies and profiles: each is refused at the right line, with a remedy, and no trace.

A case is an edit of a valid file. The line it must be refused at is the line of the edit, unless
the case says otherwise; 0 means that no line makes sense.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hetsim.cli import app
from hetsim.core.errors import SpecError
from hetsim.spec.profile import load_profile
from hetsim.spec.schema import load_topology

TOPOLOGY = """\
name: broken
seed: 7
fleet:
  - profile: sound
    count: 4
    link: {to: cell, rate: "40 Mbit/s"}
    battery: {charge: "80 %", capacity: "20 Wh"}
    availability: {name: random, up: "2 h", down: "10 min"}
  - profile: sound
    name: wired
    link: {to: switch, up: "1 Gbit/s", down: "1 Gbit/s"}
    battery: none
network:
  nodes:
    cell: {technology: wifi}
    switch: {technology: ethernet}
  links:
    - {between: [cell, switch], bandwidth: "300 Mbit/s", latency: "1 ms"}
server: {profile: sound, at: switch}
task:
  data: digits
  model: logistic
  partition: {name: dirichlet, alpha: 0.3}
method: {name: fedavg, epochs: 1, lr: 0.1}
pace: {name: sync, deadline: "2 min"}
selection: {name: random, cohort: 2}
governor: performance
stop: {rounds: 1, accuracy: 0.9}
report: {targets: [0.5, 0.8]}
events: []
"""

PROFILE = """\
title: A sound device
class: sbc
power_scope: wall
leaves_out: nothing
memory:
  capacity: {value: "4 GiB", source: "data sheet"}
  reserved: {value: "400 MiB", assumed: "a usual system"}
power:
  idle: {value: "2 W", source: "measured"}
  sleep: {value: "1 W", source: "measured"}
  off: {value: "0 W", assumed: "unplugged"}
compute:
  overhead: {value: "2 ms", derived: "fit"}
  domains:
    cpu:
      kind: cpu
      cores: {value: 4, source: "data sheet"}
      flops_per_cycle: {value: 4, derived: "fit"}
      points:
        source: "measured"
        columns: [frequency, power, speed]
        rows:
          - ["600 MHz", "1 W", 100]
          - ["900 MHz", "2 W", 150]
          - ["1.2 GHz", "4 W", 190]
    npu:
      kind: gpu
      points:
        frequencies: ["0.5 GHz", "1 GHz"]
        source: "data sheet"
        linear: {value: "1 W/GHz", derived: "fit"}
        cubic: {value: "0.5 W/GHz^3", derived: "fit"}
radios:
  wifi:
    transmit: {value: "1.3 W", source: "measured"}
    receive: {value: "0.5 W", source: "measured"}
battery:
  capacity: {value: "12 Wh", derived: "3.1 Ah x 3.85 V"}
  efficiency: {value: 0.95, assumed: "a usual one"}
"""


@dataclass(frozen=True)
class Case:
    """One way to break a file.

    Attributes:
        name: of the case.
        old, new: the edit; an empty `old` replaces the whole file.
        says: what the message must say.
        line: where; None for the line of the edit.
        raw: bytes to write in place of text.
    """

    name: str
    old: str
    new: str
    says: str
    line: int | None = None
    raw: bytes = field(default=b"", repr=False)

    def write(self, sound: str, path: Path) -> int:
        """Write the broken file; returns the line that the message must name."""
        assert not self.old or sound.count(self.old) == 1, f"{self.old!r} must be unique"
        text = sound.replace(self.old, self.new) if self.old else self.new
        path.write_bytes(self.raw or text.encode())
        if self.line is not None:
            return self.line
        return sound[: sound.index(self.old)].count("\n") + 1 if self.old else 1


RATE, CELL = 'rate: "40 Mbit/s"', "    cell: {technology: wifi}\n"
LATENCY, LEVELS = 'latency: "1 ms"', 'low: "2 Mbit/s", median: "1 Mbit/s", high: "3 Mbit/s"'
LINE = '    - {between: [cell, switch], bandwidth: "300 Mbit/s", latency: "1 ms"}\n'
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)

TOPOLOGIES = [
    # the file as such
    Case("empty", "", "", "the file is empty", 0),
    *(
        Case(f"event {name}", "events: []", f"events: [{text}]", says)
        for name, text, says in (
            ("on nothing", '{at: "1 s", on: cel, what: outage}', 'Did you mean "cell"'),
            ("on no such device", '{at: "1 s", on: sound-4, what: crash}', '"sound-4"'),
            ("crash of the server", '{at: "1 s", on: server, what: crash}', "happens to a device"),
            ("pause of a link", '{at: "1 s", on: cell--switch, what: pause}', "is a link"),
            ("bandwidth of a cell", '{at: "1 s", on: cell, what: bandwidth, to: "1 Mbit/s"}',
             "happens to a link"),
            ("without bandwidth", '{at: "1 s", on: cell--switch, what: bandwidth}',
             "events[0].to: missing"),
            ("needless bandwidth", '{at: "1 s", on: sound, what: crash, to: "1 Mbit/s"}',
             "has no bandwidth"),
            ("long cancel", '{at: "1 s", on: sound, what: cancel, lasts: "1 s"}', "an instant"),
            ("lasting nothing", '{at: "1 s", on: sound, what: crash, lasts: "0 s"}', "lasts"),
            ("bare time", "{at: 1, on: sound, what: crash}", "has no unit"),
            ("unknown kind", '{at: "1 s", on: sound, what: crsh}', 'Did you mean "crash"'),
            ("unknown key", '{at: "1 s", on: sound, what: crash, for: "1 s"}', "unknown key"),
        )
    ),
    Case("crashes without reboot", "    battery: none", '    crashes: {every: "1 h"}',
         "crashes.reboot: missing"),
    Case("crashes at once", "    battery: none", '    crashes: {every: "0 s", reboot: "1 s"}',
         "crashes.every"),
    Case("availability file", 'availability: {name: random, up: "2 h", down: "10 min"}',
         'availability: {name: replay, file: ""}', "file is empty"),
    Case("only comments", "", "# nothing\n", "the file is empty", 0),
    Case("only null", "", "~\n", "has no value", 1),
    Case("binary", "", "", "not text in UTF-8", 0, raw=b"\x89PNG\r\n\x1a\n\xff\xfe\x00"),
    Case("utf-16", "", "", "not text in UTF-8", 0, raw=TOPOLOGY.encode("utf-16")),
    Case("nul byte", "name: broken", "name: bro\x00ken", "unprintable character"),
    Case("too large", "", "# " + "x" * (1 << 20), "larger than 1 MiB", 0),
    Case("list at the top", "", "- name: broken\n", "expected a mapping at the top, got a list"),
    Case("text at the top", "", "hello\n", 'expected a mapping at the top, got the text "hello"'),
    Case("two documents", "stop: {", "---\nstop: {", "a second document"),
    # YAML
    Case("tab", "    count: 4", "\tcount: 4", "not valid YAML"),
    Case("unclosed quote", 'up: "2 h"', 'up: "2 h', "not valid YAML", 8),
    Case("unclosed bracket", "[0.5, 0.8]", "[0.5, 0.8", "not valid YAML", 29),
    Case("two colons", "seed: 7", "seed: 7: 8", "not valid YAML"),
    Case("wrong indentation", "    count: 4", "   count: 4", "not valid YAML"),
    Case("duplicate key", "seed: 7", "seed: 7\nseed: 8", "given twice (first in line 2)", 3),
    Case("duplicate section", "governor: perf", "stop: {rounds: 1}\ngovernor: perf",
         "stop: given twice (first in line 27)", 29),
    Case("python tag", "seed: 7", "seed: !!python/object/apply:os.getpid []", "tag !!python/"),
    Case("any tag", "seed: 7", "seed: !secret 7", "the tag !secret is not allowed"),
    Case("bomb", "", BOMB, "the alias *a", 2),
    Case("recursive alias", "seed: 7", "seed: &seed [*seed]", "the alias *seed"),
    Case("unknown alias", "seed: 7", "seed: *seed", "the alias *seed"),
    Case("merge key", "seed: 7", "<<: {seed: 7}", "merge keys"),
    Case("number as key", "seed: 7", "7: seed", "the key 7 is not text"),
    Case("list as key", "seed: 7", "? [seed]\n: 7", "a key must be text"),
    Case("too deep", "seed: 7", "seed: " + "[" * 500 + "]" * 500, "nested deeper than 50"),
    Case("no value", "seed: 7", "seed:", "seed: has no value"),
    Case("null", "battery: none", "battery: null", "fleet[1].battery: has no value"),
    # keys
    Case("unknown section", "governor: perf", "governer: perf", 'Did you mean "governor"?'),
    Case("unknown key in a group", "    count: 4", "    coutn: 4", 'Did you mean "count"?'),
    Case("unknown key in a link", RATE, 'rat: "40 Mbit/s"', 'Did you mean "rate"?'),
    Case("unknown key in a line", "latency", "latenzy", 'Did you mean "latency"?'),
    Case("unknown key in stop", "rounds: 1", "round: 1", 'Did you mean "rounds"?'),
    Case("unknown key in battery", "charge", "chargge", 'Did you mean "charge"?'),
    Case("missing section", "stop: {rounds: 1, accuracy: 0.9}\n", "", "stop: missing", 1),
    Case("missing fleet", TOPOLOGY[TOPOLOGY.index("fleet"):TOPOLOGY.index("network")], "",
         "fleet: missing", 1),
    Case("missing rounds", "rounds: 1, ", "", "stop.rounds: missing"),
    Case("rate twice", RATE, f'{RATE}, up: "1 Mbit/s"', "stands for both directions"),
    Case("missing name of a method", "name: fedavg, ", "", "method.name: missing"),
    Case("missing technology", "{technology: ethernet}", "{latency: 1 ms}", "technology: missing"),
    Case("missing place of the server", ", at: switch", "", "server.at: missing"),
    Case("missing place of a group", "to: cell, ", "", "fleet[0].link.to: missing"),
    # types
    Case("list for a mapping", "{rounds: 1, accuracy: 0.9}", "[1, 0.9]", "expected a mapping"),
    Case("mapping for a list", "[0.5, 0.8]", "{a: 0.5}", "expected a list, got a mapping"),
    Case("text for a fleet", "", re.sub(r"fleet:\n(  .*\n)+", "fleet: pi\n", TOPOLOGY),
         'expected a list, got the text "pi"', 3),
    Case("empty fleet", "", re.sub(r"fleet:\n(  .*\n)+", "fleet: []\n", TOPOLOGY),
         "fleet: the list is empty", 3),
    Case("text for a number", "    count: 4", "    count: four", "expected a whole number"),
    Case("quoted number", "    count: 4", '    count: "4"', 'got the text "4"'),
    Case("half a device", "    count: 4", "    count: 2.5", "got 2.5"),
    Case("boolean for a number", "    count: 4", "    count: true", "got true"),
    Case("number for text", "profile: sound, at", "profile: 3, at", "expected text, got 3"),
    Case("number for a method", "name: fedavg", "name: 3", "expected a name, got 3"),
    Case("method is a list", "{name: fedavg, epochs: 1, lr: 0.1}", "[fedavg]",
         "expected a mapping"),
    Case("yes is no boolean", "seed: 7", "cost_only: yes", 'got the text "yes"'),
    Case("name with a slash", "name: broken", "name: ../broken", "cannot be a name"),
    Case("underscored number", "    count: 4", "    count: 1_000", 'got the text "1_000"'),
    # numbers
    Case("no devices", "    count: 4", "    count: 0", "0 is not between 1 and 10000000"),
    Case("fewer than none", "    count: 4", "    count: -4", "-4 is not between 1"),
    Case("10^30 devices", "    count: 4", "    count: 1e30", "is not between 1 and 10000000"),
    Case("too many devices together", "    count: 4", "    count: 1e7", "more than 10000000", 9),
    Case("negative seed", "seed: 7", "seed: -7", "-7 is not between 0"),
    Case("no rounds", "rounds: 1", "rounds: 0", "0 is not between 1"),
    Case("not a number", "rounds: 1", "rounds: .nan", ".nan is not a finite number"),
    Case("infinite", "accuracy: 0.9", "accuracy: .inf", ".inf is not a finite number"),
    Case("beyond float", "accuracy: 0.9", "accuracy: 1e400", "1e400 is not a finite number"),
    Case("very long number", "seed: 7", "seed: " + "9" * 5000, "is not a finite number"),
    Case("accuracy above 1", "accuracy: 0.9", "accuracy: 90", "90 is not between 0 and 1"),
    Case("accuracy of 0", "accuracy: 0.9", "accuracy: 0", "0 is not above zero"),
    Case("target above 1", "[0.5, 0.8]", "[0.5, 80]", "report.targets[1]: 80 is not between"),
    Case("more than full", "80 %", "180 %", "180 % is not between 0 and 1"),
    # quantities
    Case("no unit", RATE, "rate: 40", "fleet[0].link.rate: 40 has no unit"),
    Case("no unit in quotes", RATE, 'rate: "40"', "40 has no unit"),
    Case("unit of something else", RATE, 'rate: "40 MHz"', '"MHz" is no unit of rate'),
    Case("unknown unit", RATE, 'rate: "40 Mbps"', 'Did you mean "Mbit/s"?'),
    Case("a thousandth of a bit", RATE, 'rate: "40 mbit/s"', 'Did you mean "Mbit/s"?'),
    Case("rate of zero", RATE, 'rate: "0 Mbit/s"', "is not above zero"),
    Case("negative rate", RATE, 'rate: "-40 Mbit/s"', "is negative"),
    Case("quantity not a number", RATE, 'rate: "nan Mbit/s"', "is not finite"),
    Case("infinite quantity", RATE, 'rate: "inf Mbit/s"', "is not finite"),
    Case("quantity beyond float", RATE, 'rate: "1e400 Mbit/s"', "is too large"),
    Case("no quantity", RATE, "rate: fast", '"fast" is not a quantity'),
    Case("list for a quantity", RATE, "rate: [40]", "expected a quantity, got a list"),
    Case("power where energy belongs", "20 Wh", "20 W", '"W" is no unit of energy'),
    Case("latency in bits", '"1 ms"', '"1 Mbit"', '"Mbit" is no unit of time'),
    # names
    Case("missing profile", "sound, at", "suond, at", 'no device profile "suond"'),
    Case("missing profile of a group", "  - profile: sound\n    count", "  - profile: x\n    count",
         'fleet[0].profile: no device profile "x"'),
    Case("unknown method", "name: fedavg", "name: fedavgg", 'Did you mean "fedavg"?'),
    Case("unknown model", "model: logistic", "model: logistics", 'Did you mean "logistic"?'),
    Case("unknown data", "data: digits", "data: digit", 'Did you mean "digits"?'),
    Case("unknown partition", "name: dirichlet", "name: dirichlett", 'Did you mean "dirichlet"?'),
    Case("unknown pace", "name: sync", "name: synch", 'Did you mean "sync"?'),
    Case("unknown selection", "selection: {name: random", "selection: {name: randum",
         'Did you mean "random"?'),
    Case("unknown governor", "governor: performance", "governor: performence",
         'Did you mean "performance"?'),
    Case("unknown technology", "technology: wifi", "technology: wify", 'Did you mean "wifi"?'),
    Case("unknown availability", "name: random, up", "name: randon, up", 'Did you mean "random"?'),
    Case("unknown option of availability", "random, up", "random, upp",
         "availability.upp: no such option"),
    Case("missing option of availability", ', down: "10 min"', "", "availability.down: missing"),
    Case("availability without unit", '"2 h"', "2", "availability.up: 2 has no unit"),
    Case("long name", "name: broken", "name: " + "x" * 101, "longer than 100 characters"),
    Case("windows out of order", 'random, up: "2 h", down: "10 min"',
         'windows, on: [["2 h", "1 h"]], period: "24 h"', "not in order"),
    Case("no time up", 'up: "2 h"', 'up: "0 s"', "up and down must be above zero"),
    Case("no windows", 'random, up: "2 h", down: "10 min"', 'windows, on: [], period: "24 h"',
         "the windows are empty"),
    # fleet and graph
    Case("groups of one name", "    name: wired\n", "", 'called "sound" too', 9),
    Case("group hangs on nothing", "to: cell", "to: cel", 'Did you mean "cell"?'),
    Case("server hangs on nothing", "at: switch", "at: swich", 'Did you mean "switch"?'),
    Case("link to nothing", "[cell, switch]", "[cell, swich]", "network.links[0].between[1]"),
    Case("link to itself", "[cell, switch]", "[cell, cell]", 'joins "cell" to itself'),
    Case("link of three", "[cell, switch]", "[cell, switch, cell]", "the list has"),
    Case("link twice", LINE, LINE + LINE.replace("cell, switch", "switch, cell"),
         "are joined already", 19),
    Case("a node apart", CELL, CELL + "    island: {technology: wifi}\n", "no way leads", 16),
    Case("no links", LINE, "    []\n", 'no way leads from "cell"', 15),
    Case("unknown sharing", "network:\n", "network:\n  sharing: lv8\n", 'Did you mean "lv08"?', 14),
    Case("cap of zero", RATE, f'{RATE}, cap: "0 bit/s"', "fleet[0].link.cap: 0 bit/s is not above"),
    Case("cap without unit", RATE, f"{RATE}, cap: 5", "fleet[0].link.cap: 5 has no unit"),
    Case("unknown trace", RATE, f"{RATE}, trace: {{name: markof}}", 'Did you mean "markov"?'),
    Case("trace twice", RATE, f"{RATE}, trace: x.csv, trace_up: y.csv", "for both directions"),
    Case("trace is a number", RATE, f"{RATE}, trace: 3", "expected a mapping, got 3"),
    Case("duplex", 'latency: "1 ms"', 'latency: "1 ms", duplex: ful', 'Did you mean "full"?'),
    Case("busy below idle", 'latency: "1 ms"',
         'latency: "1 ms", power: {idle: "3 W", busy: "2 W"}', "busy draws less than idle"),
    Case("node called like a device", "switch: {technology", "sound-3: {technology",
         '"sound-3" is the id of a device'),
    Case("nothing of the data", "battery: none", "data: {samples: 0}", "0 is not between 1"),
    Case("all without data", "", re.sub("(    link: .*\n)", r"\1    data: none\n", TOPOLOGY),
         "no device holds data", 7),
]  # fmt: skip

IDLE = 'idle: {value: "2 W", source: "measured"}'
CPU = 'flops_per_cycle: {value: 4, derived: "fit"}'

PROFILES = [
    Case("empty", "", "", "the file is empty", 0),
    Case("duplicate key", "class: sbc", "class: sbc\nclass: sbc", "given twice", 3),
    Case("unknown key", "radios:", "radio:", 'Did you mean "radios"?'),
    Case("unknown key in power", "sleep:", "sleeep:", 'Did you mean "sleep"?'),
    Case("unknown key in a leaf", 'source: "data sheet"}\n  reserved', 'sorce: "x"}\n  reserved',
         'Did you mean "source"?'),
    Case("unknown key in a domain", CPU, 'flop_per_cycle: {value: 4, derived: "fit"}',
         'Did you mean "flops_per_cycle"?'),
    Case("missing title", "title: A sound device\n", "", "title: missing", 1),
    Case("missing idle", f"  {IDLE}\n", "", "power.idle: missing", 8),
    Case("empty title", "title: A sound device", 'title: " "', "expected text"),
    Case("unknown class", "class: sbc", "class: sbcs", 'Did you mean "sbc"?'),
    Case("unknown scope", "power_scope: wall", "power_scope: wal", 'Did you mean "wall"?'),
    Case("no source", ', source: "measured"}\n  sleep', "}\n  sleep", "power.idle: has no source"),
    Case("two sources", 'value: "2 W",', 'value: "2 W", assumed: "x",', "has source and assumed"),
    Case("empty source", '"2 W", source: "measured"', '"2 W", source: ""', "expected text"),
    Case("number without leaf", IDLE, 'idle: "2 W"', "expected a number with its source"),
    Case("no unit", 'value: "2 W"', "value: 2", "power.idle.value: 2 has no unit"),
    Case("wrong unit", 'value: "2 W"', 'value: "2 Wh"', '"Wh" is no unit of power'),
    Case("unit where none belongs", "value: 4, derived", 'value: "4 Hz", derived',
         "expected a number"),
    Case("negative power", 'value: "2 W"', 'value: "-2 W"', "is negative"),
    Case("negative count", "value: 4, derived", "value: -4, derived", "-4 is negative"),
    Case("infinite", "value: 4, derived", "value: .inf, derived", "is not a finite number"),
    Case("sleep above idle", 'value: "1 W", source', 'value: "3 W", source',
         "sleep draws more than idle"),
    Case("off above sleep", 'value: "0 W"', 'value: "1.5 W"', "off draws more than sleep"),
    Case("all memory reserved", "400 MiB", "4 GiB", "nothing is left for training"),
    Case("unknown kind", "kind: cpu", "kind: cpus", 'Did you mean "cpu"?'),
    Case("no domains", "", re.sub(r"  domains:\n(    .*\n)+", "  domains: {}\n", PROFILE),
         "no domain does arithmetic", 14),
    Case("no arithmetic", f"      {CPU}\n", "", "no domain does arithmetic", 14),
    Case("half a core", "value: 4, source", "value: 2.5, source", "no number of cores"),
    Case("no points", "", re.sub(r"      points:\n(        .*\n)+    npu", "    npu", PROFILE),
         "points: missing", 15),
    Case("points without source", '        source: "measured"\n', "", "points: has no source", 19),
    Case("unknown column", "frequency, power, speed", "frequency, power, sped", "no such columns"),
    Case("no rows", "", re.sub(r"rows:\n(          .*\n)+", "rows: []\n", PROFILE),
         "expected a list of rows", 22),
    Case("short row", '"2 W", 150', '"2 W"', "a row has 3 entries"),
    Case("table without unit", '"2 W", 150', "2, 150", "2 has no unit"),
    Case("frequency falls", '"900 MHz"', '"500 MHz"', "is not above the frequency before it"),
    Case("frequency stays", '"900 MHz"', '"0.6 GHz"', "is not above the frequency before it"),
    Case("frequencies fall", '"0.5 GHz", "1 GHz"', '"1 GHz", "0.5 GHz"', "is not above"),
    Case("speed falls", "150]", "90]", "speed falls"),
    Case("speed zero", '"1 W", 100', '"1 W", 0', "speed is zero"),
    Case("speed negative", '"1 W", 100', '"1 W", -1', "-1 is negative"),
    Case("idle above busy", '"1 W", 100', '"0 W", 100', "is not above zero"),
    Case("power falls", '"4 W", 190', '"1 W", 190', "power falls by more than a quarter"),
    Case("labels without clock", "[frequency, power, speed]", "[label, power, speed]",
         "nominal: missing", 19),
    Case("clock without labels", "        columns:",
         '        nominal: {value: "1 GHz", source: "x"}\n        columns:',
         "a table of frequencies has it already"),
    Case("fit draws nothing", "", re.sub(r'"[0-9.]+ W/GHz', '"0 W/GHz', PROFILE),
         "draws nothing", 31),
    Case("fit in watts", "1 W/GHz", "1 W", '"W" is no unit of power per frequency'),
    Case("unknown radio", "  wifi:", "  wify:", 'Did you mean "wifi"?'),
    Case("half a radio", '    receive: {value: "0.5 W", source: "measured"}\n', "",
         "receive: missing", 34),
    Case("no battery", "12 Wh", "0 Wh", "is not above zero"),
    Case("efficiency of 0", "value: 0.95", "value: 0", "0 is not above zero"),
    Case("efficiency above 1", "value: 0.95", "value: 1.2", "is not between 0 and 1"),
]  # fmt: skip

OPTIONS = [
    Case("unknown option of the method", "lr: 0.1", "rl: 0.1", "method.rl: no such option"),
    Case("text for a number", "lr: 0.1", "lr: fast", "method.lr: expected a number"),
    Case("boolean for a count", "epochs: 1", "epochs: true", "expected a whole number, got true"),
    Case("deadline without unit", 'deadline: "2 min"', "deadline: 120", "120 has no unit"),
    Case("unknown option of the pace", "deadline", "dedline", 'Did you mean "deadline"?'),
    Case("unknown option of the selection", "cohort", "cohrt", 'Did you mean "cohort"?'),
    Case("unknown option of the technology", "{technology: wifi}", "{technology: wifi, x: 1}",
         "network.nodes.cell.x: no such option"),
    Case("unknown option of the partition", "alpha", "alhpa", 'Did you mean "alpha"?'),
    Case("unknown option of the model", "model: logistic", "model: {name: logistic, x: 1}",
         "task.model.x: no such option"),
    Case("unknown option of the data", "data: digits", "data: {name: digits, x: 1}",
         "task.data.x: no such option"),
    Case("unknown option of the governor", "governor: performance",
         "governor: {name: performance, x: 1}", "governor.x: no such option"),
    Case("cohort of nobody", "cohort: 2", "cohort: 0", "selection"),
    Case("over-selection of nobody", '"2 min"', '"2 min", over_selection: 0', "pace"),
    Case("no epochs", "epochs: 1", "epochs: 0", "method"),
    Case("no batch", "epochs: 1", "batch: 0", "method"),
    Case("governor without pause", "governor: performance",
         'governor: {name: schedutil, window: "0 s"}', "governor"),
    Case("negative width", "model: logistic", "model: {name: mlp, hidden: [-4]}", "task.model"),
    Case("width is no list", "model: logistic", "model: {name: mlp, hidden: 64}",
         "task.model.hidden: expected a list"),
    Case("missing rate", f", {RATE}", "", "fleet[0].link.rate: missing"),
    Case("half a rate", ', down: "1 Gbit/s"', "", "fleet[1].link.rate: missing"),
    Case("technology without rate", "", TOPOLOGY.replace(f", {RATE}", "").replace(
         "{technology: wifi}", '{technology: lte, up: "0 bit/s"}'), "own is zero", 6),
    Case("message that is too long", "{technology: wifi}",
         '{technology: lorawan, spreading_factor: 12, payload: "99 B"}', "1 B and 51 B"),
    Case("unknown spreading", "{technology: wifi}", "{technology: lorawan, spreading_factor: 6}",
         "network.nodes.cell.spreading_factor: 6 is not allowed"),
    Case("unknown band", "{technology: wifi}", "{technology: nr, band: mmwav}",
         'Did you mean "mmwave"?'),
    Case("joules a byte without unit", "{technology: wifi}", "{technology: nr, sending: 3}",
         "network.nodes.cell.sending: 3 has no unit"),
    Case("trace file that is not there", RATE, f"{RATE}, trace: none.csv",
         'fleet[0].link.trace.file: no trace file "none.csv"'),
    Case("trace of a line that is not there", LATENCY, f"{LATENCY}, trace: none.csv",
         'network.links[0].trace.file: no trace file "none.csv"'),
    Case("replay of nothing", RATE, f"{RATE}, trace_up: {{name: replay}}",
         "fleet[0].link.trace_up.file: missing"),
    Case("unknown option of a trace", RATE, f"{RATE}, trace_down: {{file: sound.yaml, ends: loop}}",
         'Did you mean "end"?'),
    Case("unknown end of a trace", RATE, f"{RATE}, trace: {{file: sound.yaml, end: stop}}",
         '"stop" is not allowed'),
    Case("levels that fall", RATE, f"{RATE}, trace: {{name: markov, {LEVELS}}}", "must rise"),
    Case("inverse of no latency", "", TOPOLOGY.replace(RATE, f'{RATE}, latency: "0 s"').replace(
         "network:", "network:\n  sharing: maxmin_inverse_latency"),
         "weighs by 1 / latency, and this one is zero", 6),
    Case("width is text", "model: logistic", "model: {name: mlp, hidden: [wide]}",
         "task.model.hidden: expected a whole number"),
]  # fmt: skip


def refused(message: str, line: int, case: Case, file: str) -> None:
    """Check a message: place, fault, remedy, and nothing of Python."""
    assert case.says in message
    assert "Traceback" not in message
    head, _, remedy = message.partition("\n")
    assert remedy.startswith("    ")
    assert remedy.strip()
    place = f"{file}:{line}: " if line else f"{file}: "
    assert head.startswith(place), f"expected {place!r}"


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A folder with a valid topology and the profile that it names."""
    (tmp_path / "topology.yaml").write_text(TOPOLOGY)
    (tmp_path / "sound.yaml").write_text(PROFILE)
    return tmp_path


def test_the_files_that_are_broken_below_are_sound(sound: Path) -> None:
    assert load_topology(sound / "topology.yaml").name == "broken"
    assert load_profile(sound / "sound.yaml").title == "A sound device"


@pytest.mark.parametrize("case", TOPOLOGIES, ids=lambda case: case.name)
def test_broken_topology(case: Case, sound: Path) -> None:
    path = sound / "topology.yaml"
    line = case.write(TOPOLOGY, path)
    with pytest.raises(SpecError) as caught:
        load_topology(path)
    refused(str(caught.value), line, case, str(path))


@pytest.mark.parametrize("case", PROFILES, ids=lambda case: case.name)
def test_broken_profile(case: Case, sound: Path) -> None:
    path = sound / "sound.yaml"
    line = case.write(PROFILE, path)
    with pytest.raises(SpecError) as caught:
        load_profile(path)
    refused(str(caught.value), line, case, str(path))


@pytest.mark.parametrize(
    ("case", "file"),
    [
        *((case, "topology.yaml") for case in (*TOPOLOGIES, *OPTIONS)),
        *((case, "sound.yaml") for case in PROFILES),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else Path(value).stem,
)
def test_the_command_line_refuses_it(case: Case, file: str, sound: Path) -> None:
    path, out = sound / file, sound / "out"
    line = case.write(TOPOLOGY if file == "topology.yaml" else PROFILE, path)
    before = sorted(sound.iterdir())
    result = CliRunner().invoke(app, ["run", str(sound / "topology.yaml"), "--out", str(out)])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    message = result.stderr.removeprefix("hetsim: ").rstrip("\n")
    refused(message, line, case, str(path))
    assert sorted(sound.iterdir()) == before


def test_a_malformed_trace_is_refused_at_its_line(sound: Path) -> None:
    trace = sound / "walk.csv"
    trace.write_text("seconds,bit/s\n0,1000\n1,-5\n")
    text = TOPOLOGY.replace(RATE, f"{RATE}, trace: walk.csv")
    (sound / "topology.yaml").write_text(text)
    result = CliRunner().invoke(app, ["check", str(sound / "topology.yaml")])
    assert result.exit_code == 2
    assert f"{trace}:3: -5 is negative" in result.stderr.replace("\n", "")
    assert "Write 0" in result.stderr


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["run", str(tmp_path / "none.yaml")])
    assert result.exit_code == 2
    assert "no such topology" in result.stderr


def test_a_bomb_is_refused_at_once(sound: Path) -> None:
    path = sound / "topology.yaml"
    path.write_text("name: [" * 100_000)
    started = time.process_time()
    with pytest.raises(SpecError, match="nested deeper"):
        load_topology(path)
    assert time.process_time() - started < 1.0
