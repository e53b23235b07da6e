"""Rates, shares and joules of each technology, against numbers worked out apart."""

from __future__ import annotations

from math import ceil
from typing import Any, Literal

import pytest

from hetsim.core.quantities import Seconds
from hetsim.sim.device import Radio
from hetsim.sim.leg import Attachment
from hetsim.sim.network.base import Station, Technology
from hetsim.sim.network.ble import Ble
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.network.lorawan import Lorawan
from hetsim.sim.network.lte import Lte
from hetsim.sim.network.nbiot import Nbiot
from hetsim.sim.network.nr import Nr
from hetsim.sim.network.wifi import Wifi
from hetsim.sim.requests import Child, Gather, Transfer
from hetsim.sim.world import SERVER, World

MEGABIT = 125e3
QUIET: dict[str, Any] = {"latency": 0.0, "promotion": 0.0, "tail": 0.0, "connected": 0.0}
LONG = 60.0
"""Seconds after which every flow is still under way."""


def throughputs(
    technology: Technology, rates: dict[str, float], *, power: tuple[float, float] = (0.0, 0.0)
) -> tuple[dict[str, float], World]:
    """Bytes a second that stations get which all send for a minute."""
    world = World()
    world.server()
    for name in rates:
        world.device(name)
    world.cell("cell", technology, rates, power=power)

    async def one(name: str) -> None:
        await Transfer(source=name, target=SERVER, size=1e12)

    async def everyone() -> None:
        children = tuple(Child(script=one(name), node=name) for name in rates)
        await Gather(children=children, deadline=LONG)

    world.run(everyone())
    return {span.actor: span.size / LONG for span in world.trace.spans}, world


DCF = [Wifi(latency=0.0), Ethernet(latency=0.0, duplex="hub")]
AIRTIME = [
    Wifi(latency=0.0, share="airtime"),
    Lte(**QUIET),
    Nr(**QUIET),
    Nr(band="mmwave", **QUIET),
]


@pytest.mark.parametrize("technology", DCF, ids=lambda each: type(each).__name__)
def test_equal_throughput_lets_the_slow_station_take_the_air(technology: Technology) -> None:
    got, _ = throughputs(technology, {"slow": 6 * MEGABIT, "fast": 54 * MEGABIT})
    assert got == {name: pytest.approx(5.4 * MEGABIT) for name in ("slow", "fast")}


@pytest.mark.parametrize("technology", AIRTIME, ids=lambda each: type(each).__name__)
def test_equal_time_lets_each_have_half_of_its_own(technology: Technology) -> None:
    got, _ = throughputs(technology, {"slow": 6 * MEGABIT, "fast": 54 * MEGABIT})
    assert got == {"slow": pytest.approx(3 * MEGABIT), "fast": pytest.approx(27 * MEGABIT)}


@pytest.mark.parametrize(
    ("technology", "shares"),
    [(Wifi(latency=0.0), (0.9, 0.1)), (Wifi(latency=0.0, share="airtime"), (0.5, 0.5))],
    ids=["dcf", "airtime"],
)
def test_transmit_joules_follow_airtime(technology: Wifi, shares: tuple[float, float]) -> None:
    rates = {"slow": 6 * MEGABIT, "fast": 54 * MEGABIT}
    _, world = throughputs(technology, rates, power=(2.0, 0.0))
    for name, share in zip(rates, shares, strict=True):
        assert world.joules(name)["radio"] == pytest.approx(2.0 * share * LONG)


def test_cellular_joules_follow_bytes_and_time() -> None:
    world = World()
    world.server()
    node = world.device("phone")
    lte = Lte(latency=0.0, promotion=0.0, tail=0.0)
    world.cell("cell", lte, {"phone": 10 * MEGABIT}, power=None)

    async def upload() -> None:
        await Transfer(source="phone", target=SERVER, size=100 * MEGABIT)

    assert world.run(upload()) == pytest.approx(10.0)
    joules = world.joules("phone")
    assert joules["radio"] == pytest.approx(91.32e-3 * 10 * 10.0)  # W a Mbit/s, Mbit/s, s
    assert joules["radio_tail"] == pytest.approx(lte.connected * 10.0)
    assert node.total == pytest.approx(sum(joules.values()))


# --- Ethernet -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("duplex", "took"), [("full", 10.0), ("shared", 20.0), ("hub", 20.0)])
def test_duplex(duplex: Literal["full", "shared", "hub"], took: Seconds) -> None:
    world = World()
    world.server()
    world.device("a")
    world.cell("switch", Ethernet(latency=0.0, duplex=duplex), {"a": 1.0})

    async def move(source: str, target: str) -> None:
        await Transfer(source=source, target=target, size=10.0)

    async def both() -> None:
        ways = (("a", SERVER), (SERVER, "a"))
        await Gather(children=tuple(Child(script=move(*way), node="a") for way in ways))

    assert world.run(both()) == pytest.approx(took)


def test_a_cap_bounds_each_flow_and_leaves_the_rest_to_others() -> None:
    world = World()
    world.server()
    technology = Wifi(latency=0.0)
    stations = [Station(name="a", up=8.0, down=8.0, cap=1.0), Station(name="b", up=8.0, down=8.0)]
    hops = technology.attach("ap", stations)
    world.kernel.network.add_cell("ap")
    world.kernel.network.add_link("ap", "edge", 1e9, 0.0)
    for station in stations:
        up, down = hops[station.name]
        world.kernel.network.attach(
            Attachment(cell="ap", station=station, up=up, down=down,
                       radio=Radio(transmit=0.0, receive=0.0), node=world.device(station.name))
        )  # fmt: skip
    ended: dict[str, Seconds] = {}

    async def one(name: str, size: float) -> None:
        await Transfer(source=name, target=SERVER, size=size)
        ended[name] = world.kernel.env.now

    async def both() -> None:
        sizes = {"a": 4.0, "b": 21.0}
        await Gather(children=tuple(Child(script=one(*each), node=each[0])
                                    for each in sizes.items()))  # fmt: skip

    world.run(both())
    assert ended == {"a": pytest.approx(4.0), "b": pytest.approx(3.0)}


# --- 5G -------------------------------------------------------------------------------------------


def test_bands_differ_and_an_option_wins_over_its_band() -> None:
    low, high = Nr(), Nr(band="mmwave")
    assert low.rates == (pytest.approx(57.1 * MEGABIT), pytest.approx(123.2 * MEGABIT))
    assert high.rates == (pytest.approx(88.7 * MEGABIT), pytest.approx(1921.8 * MEGABIT))
    assert low.states is not None
    assert high.states is not None
    assert high.states.connected - low.states.connected == pytest.approx(5.2316 - 2.8557, abs=0.01)
    assert Nr(band="mmwave", down=1e6).rates == (high.rates[0], 1e6)
    for nr, up, down in ((low, 35.782, 14.761), (high, 9.221, 1.775)):
        assert nr.radio.sending * MEGABIT == pytest.approx(up / 1e3, rel=1e-3)
        assert nr.radio.receiving * MEGABIT == pytest.approx(down / 1e3, rel=1e-3)


# --- Bluetooth Low Energy -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phy", "exchange", "rate"),
    [("2M", (2 + 4 + 2 + 251 + 3 + 2 + 4 + 2 + 3) / 250e3 + 300e-6, 35 * 244 / 0.05),
     ("1M", (1 + 4 + 2 + 251 + 3 + 1 + 4 + 2 + 3) / 125e3 + 300e-6, 20 * 244 / 0.05)],
)  # fmt: skip
def test_a_connection_event_holds_whole_exchanges(
    phy: Literal["1M", "2M"], exchange: Seconds, rate: float
) -> None:
    ble = Ble(phy=phy)
    assert ble.exchange == pytest.approx(exchange)
    assert ble.rates == (pytest.approx(rate), pytest.approx(rate))


def test_a_central_shares_its_time_and_its_two_directions_one_air() -> None:
    rate = Ble().rates[0]
    got, _ = throughputs(Ble(latency=0.0), {"a": rate, "b": rate, "c": rate})
    assert list(got.values()) == [pytest.approx(rate / 3)] * 3


def test_a_peripheral_sleeps_between_frames() -> None:
    ble = Ble(latency=0.0)
    rate = ble.rates[0]
    got, world = throughputs(ble, {"a": rate}, power=(1.0, 0.0))
    packets = got["a"] * LONG / 244
    frames = (2 * (2 + 9) + 7 + 244) / 250e3
    assert world.joules("a")["radio"] == pytest.approx(packets * frames)
    assert frames * packets < LONG


# --- LoRaWAN --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spreading", "payload", "milliseconds"),
    [(7, 222, 368.896), (8, 222, 655.872), (9, 115, 676.864), (10, 51, 698.368),
     (11, 51, 1560.576), (12, 51, 2793.472), (7, 1, 46.336)],
)  # fmt: skip
def test_time_on_air(
    spreading: Literal[7, 8, 9, 10, 11, 12], payload: float, milliseconds: float
) -> None:
    lorawan = Lorawan(spreading_factor=spreading)
    assert lorawan.time_on_air(payload) == pytest.approx(milliseconds / 1e3, rel=1e-12)


def test_a_duty_cycle_makes_the_air_a_hundred_times_slower() -> None:
    lorawan = Lorawan(latency=0.0)
    up, down = lorawan.rates
    assert up == pytest.approx(0.01 * 222 / 0.368896)
    assert down > 10 * up
    got, world = throughputs(lorawan, {"a": up}, power=(1.0, 0.0))
    assert got["a"] == pytest.approx(up)
    assert world.joules("a")["radio"] == pytest.approx(0.01 * LONG)


def test_a_gateway_hears_eight_devices_at_once_and_answers_one() -> None:
    lorawan = Lorawan(latency=0.0, duty_cycle=1.0)
    names = {f"n{i}": lorawan.rates[0] for i in range(16)}
    got, _ = throughputs(lorawan, names)
    assert list(got.values()) == [pytest.approx(lorawan.rates[0] / 2)] * 16


def test_the_fluid_count_is_at_most_one_message_off() -> None:
    lorawan = Lorawan()
    air = lorawan.time_on_air(lorawan.message)
    for size in (1.0, 222.0, 1000.0, 12345.0):
        whole = ceil(size / lorawan.message) * air
        assert 0.0 <= whole - size * lorawan.duty_cycle / lorawan.rates[0] <= air * (1 + 1e-9)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"payload": 223.0}, "222 B"),
        ({"spreading_factor": 12, "payload": 52.0}, "51 B"),
        ({"payload": 0.0}, "between 1 B"),
        ({"bandwidth": 100e3}, "125 kHz"),
        ({"duty_cycle": 0.0}, "never sends"),
        ({"channels": 0}, "at least one channel"),
        ({"preamble": 5}, "6 symbols"),
    ],
)
def test_what_the_standard_does_not_allow_is_refused(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Lorawan(**options)


@pytest.mark.parametrize("options", [{"payload": 245.0}, {"interval": 5.0}, {"interval": 1e-3}])
def test_bluetooth_has_limits(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="between"):
        Ble(**options)


# --- NB-IoT ---------------------------------------------------------------------------------------


def test_headers_and_repetitions_make_the_payload_slower() -> None:
    up, down = Nbiot().rates
    assert up == pytest.approx(62.5e-3 * MEGABIT * 120 / 125 * 1252 / 1280)
    assert down == pytest.approx(21.25e-3 * MEGABIT * 80 / 85 * 1252 / 1280)
    assert Nbiot(repetitions=8).rates == (pytest.approx(up / 8), pytest.approx(down / 8))
    assert Nbiot(tones="single").rates[0] == pytest.approx(up / 4)
    with pytest.raises(ValueError, match="headers"):
        Nbiot(packet=28.0)


def test_twelve_single_tone_senders_fit_beside_each_other() -> None:
    cases: tuple[tuple[Literal["single", "multi"], int, float], ...] = (
        ("single", 12, 1.0),
        ("single", 24, 0.5),
        ("multi", 12, 1 / 12),
    )
    for tones, count, share in cases:
        nbiot = Nbiot(tones=tones, **QUIET)
        rate = nbiot.rates[0]
        got, _ = throughputs(nbiot, {f"n{i}": rate for i in range(count)})
        assert list(got.values()) == [pytest.approx(rate * share)] * count
