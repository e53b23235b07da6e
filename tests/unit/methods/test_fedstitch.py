"""FedStitch in time: what is sent and computed, who may take part, and by when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from hetsim.core.errors import HetsimError, SpecError
from hetsim.core.trace import Span
from hetsim.learn.architecture import Architecture
from hetsim.learn.lab import CostOnlyLab
from hetsim.learn.meter import train_cost
from hetsim.spec.schema import load_topology
from hetsim.spec.world import Scenario, resolve
from hetsim.testing import Played, check_books, play, tiny

PLAIN, WIDE = "plain_cnn@0.1", "wide_cnn@0.1"
SMALL = f"zoo: [{PLAIN}, {WIDE}], positions: 2"
FIXED = f"{SMALL}, winners: [{WIDE}/1, {PLAIN}/2]"
SHAPE, CLASSES = (1, 8, 8), 10
ALL = ("selection.cohort=4", "stop.rounds=9")
FLOAT, ID = 4, 8


def given(options: str = SMALL, *overrides: str) -> Scenario:
    """Four devices of 50 samples, all of them asked."""
    return tiny(f"method={{name: fedstitch, {options}}}", *ALL, *overrides)


def stitched(options: str = SMALL, *overrides: str) -> Played:
    """Their run, whose books are in order."""
    scenario = given(options, *overrides)
    played = play(scenario)
    check_books(played.trace, scenario)
    return played


def costs(options: str = FIXED, *overrides: str) -> Played:
    return stitched(options, "cost_only=true", *overrides)


def model(name: str) -> Architecture:
    plain, _, width = name.partition("@")
    return Architecture.of(plain, SHAPE, CLASSES, {"width": float(width)})


def body(name: str) -> int:
    """Bytes of all that a model has but its classifier."""
    state = model(name).build().state_dict()
    return sum(
        tensor.numel() * tensor.element_size()
        for path, tensor in state.items() if not path.startswith("linear.")
    )  # fmt: skip


def sums(before: int, after: int) -> int:
    """Bytes of X'X and X'Y, with a column of ones, and of two numbers (squares and rows)."""
    return 8 * ((before + 1) ** 2 + (before + 1) * after + 2)


def linear(before: int, after: int) -> int:
    return FLOAT * (before + 1) * after


def moved(played: Played, device: str, kind: str) -> list[float]:
    """Bytes of each message of a device."""
    return [
        span.size for span in played.trace.spans if span.actor == device and span.kind == kind
    ]  # fmt: skip


def kinds(spans: Sequence[Span], actor: str) -> Counter[str]:
    return Counter(span.kind for span in spans if span.actor == actor)


def picked(played: Played) -> tuple[list[str], list[list[str]]]:
    """Winner and candidates of each position, as the trace notes them."""
    found = [
        note.text.split(": ")[1].split(", of ")
        for note in played.trace.notes if note.text.startswith("position ")
    ]  # fmt: skip
    return [winner for winner, _ in found], [names.split(", ") for _, names in found]


# --- messages -------------------------------------------------------------------------------------


def test_every_byte_that_is_sent() -> None:
    """The first block of wide_cnn gives 13 channels, the second one of plain_cnn takes 4.

    It is made of 5th to 8th block of plain_cnn, and gives 13 too.
    """
    played = costs()
    wide, plain, taken = 13, 13, 4
    down = [
        body(PLAIN), body(WIDE), ID * (1 + 2) + ID, 2 * ID,
        ID * (2 + 2) + ID, 2 * ID, linear(wide, taken) + 2 * ID, linear(plain, CLASSES),
    ]  # fmt: skip
    up = [
        2 * 12 + FLOAT, sums(wide, CLASSES),
        2 * 12 + FLOAT, sums(wide, taken), sums(plain, CLASSES),
    ]  # fmt: skip
    for device in ("pi-0", "pi-1", "phone-0", "jetson-0"):
        assert moved(played, device, "download") == down
        assert moved(played, device, "upload") == up
    assert played.summary["bytes_down"] == 4 * sum(down)
    assert played.summary["bytes_up"] == 4 * sum(up)


def test_what_is_not_needed_is_not_sent() -> None:
    """No CKA between candidates where nothing is pruned, none of the network without rewards."""
    played = costs(f"{FIXED}, prune: false, weights: uniform, best: 1, stitch: pad")
    wide, plain = 13, 13
    assert moved(played, "pi-0", "upload") == [
        12, sums(wide, CLASSES), 12, sums(plain, CLASSES)
    ]  # fmt: skip
    assert moved(played, "pi-0", "download")[2:] == [
        ID * (1 + 2) + ID, 2 * ID, ID * (2 + 2) + ID, 2 * ID, linear(plain, CLASSES)
    ]  # fmt: skip


def test_who_comes_later_gets_the_pool_and_the_stitches_that_it_lacks() -> None:
    played = costs(FIXED, "selection={name: round_robin, cohort: 1}")
    pool = body(PLAIN), body(WIDE)
    first = [moved(played, device, "download")[:2] for device in ("pi-0", "pi-1", "jetson-0")]
    assert first == [list(pool)] * 3
    assert sum(span.size in pool for span in played.trace.spans) == 4 * 2, "to each once"


def test_the_pool_is_sent_anew_if_that_is_asked_for() -> None:
    once, anew = costs(), costs(f"{FIXED}, resend_pool: true")
    network = sum(
        tensor.numel() * tensor.element_size()
        for path, tensor in model(WIDE).build().state_dict().items()
        if path.startswith(("conv1.", "bn1.", "conv2.", "bn2."))
    )
    more = body(PLAIN) + body(WIDE) + network
    assert anew.summary["bytes_down"] == once.summary["bytes_down"] + 4 * more
    assert anew.summary["bytes_up"] == once.summary["bytes_up"]


def test_who_gets_the_network_with_the_pool_does_not_pay_for_its_stitches_again() -> None:
    """The third block is scored by somebody who was not there when the first stitch was made."""
    parts = f"{WIDE}/1, {PLAIN}/2, {WIDE}/3"
    fixed = f"zoo: [{PLAIN}, {WIDE}], positions: 3, winners: [{parts}]"
    names = ID * (2 + 1 + 2 + 1)

    def told(resend: str) -> list[float]:
        """What the sixth device that is asked receives; the first stitch came with the fifth."""
        played = costs(
            f"{fixed}, resend_pool: {resend}", "selection={name: round_robin, cohort: 1}"
        )
        book = played.trace.participations[5]
        return [
            span.size for span in played.trace.spans
            if span.actor == book.device and span.kind == "download"
            and book.t0 <= span.t0 < book.t1
        ]  # fmt: skip

    [message] = told("false")
    assert message > names
    *pool_and_network, last = told("true")
    assert (len(pool_and_network), last) == (3, names)


def test_who_only_gets_the_result_does_not_get_the_pool() -> None:
    one = f"zoo: [{PLAIN}, {WIDE}], positions: 1, winners: [{WIDE}/1]"
    played = costs(one, "selection={name: round_robin, cohort: 1}")
    assert moved(played, "phone-0", "download") == [body(WIDE), linear(20, CLASSES)]
    assert moved(played, "phone-0", "upload") == []


# --- what is learned, and what is not -------------------------------------------------------------


def test_a_cost_only_run_is_the_same_run() -> None:
    """With the winners alone, and with all that an observing run has found out."""
    options = SMALL.replace("positions: 2", "positions: 3")
    played = stitched(options)
    winners, scored = picked(played)
    lists = ", ".join(f"[{', '.join(names)}]" for names in scored)
    known = f"{options}, winners: [{', '.join(winners)}], scored: [{lists}]"
    told, cheap = stitched(known), costs(known)
    assert played.hashes == told.hashes
    assert cheap.hashes == (played.summary["trace_hash"], None)
    assert played.executed["scores"] == 12
    assert told.executed["scores"] == 0


def test_each_round_has_a_whole_network() -> None:
    trace = stitched().trace
    assert len(trace.rounds) == 2
    assert all(0.0 <= row["accuracy"] <= 1.0 and row["loss"] > 0.0 for row in trace.rounds)


def test_a_run_that_ends_early_has_a_classifier_and_hands_it_out() -> None:
    played = costs(FIXED, "stop.rounds=1")
    assert moved(played, "pi-0", "download")[-1] == linear(13, CLASSES)
    assert played.summary["rounds"] == 1


@pytest.mark.parametrize(
    "options",
    [
        "weights: uniform", "weights: samples", "weights: rl, reward: proxy, proxy: 32",
        "prune: false", "pool: free, positions: 3", "score: mix, beta: 0.3", "score: function",
        "stitch: pad", "resend_pool: true", "deadline_factor: none", "deadline: 2 s", "best: 1",
        "epsilon: 1.0", "phi: 1.0, same: 0.0, patience: 1, positions: 4",
    ],
)  # fmt: skip
def test_ablations(options: str) -> None:
    zoo = f"zoo: [{PLAIN}, {WIDE}, separable_cnn@0.1]"
    positions = "" if "positions" in options else ", positions: 2"
    played = stitched(f"{zoo}{positions}, {options}")
    winners, scored = picked(played)
    assert len(winners) == played.summary["rounds"] == (int(options[-1]) if not positions else 2)
    assert all(winner in names for winner, names in zip(winners, scored, strict=True))
    assert len(set(winners)) == len(winners)


def test_pruning_leaves_out_a_quarter_of_the_candidates_or_more() -> None:
    played = stitched(f"zoo: [{PLAIN}, {WIDE}, plain_cnn@0.2, wide_cnn@0.2]")
    assert sum(len(names) for names in picked(played)[1]) <= 0.75 * 4 * 4


def test_the_server_pays_for_votes_sums_maps_and_its_own_judgement() -> None:
    peers, own = costs(), costs(f"{FIXED}, reward: proxy")
    done = kinds(peers.trace.spans, "server")
    assert done == {"vote": 2, "sum": 3, "solve": 3}
    assert kinds(own.trace.spans, "server") == {**done, "score": 2}


def test_a_client_scores_candidate_after_candidate() -> None:
    done = kinds(costs().trace.spans, "pi-0")
    assert done["score"] == 2 * 2
    assert done["sum"] == 3
    assert "train" not in done


def test_who_has_one_label_has_no_say_and_does_no_harm() -> None:
    labels = "task.partition={name: shards, per_client: 1}"
    played = stitched(SMALL, labels)
    assert played.summary["rounds"] == 2


def test_a_single_client() -> None:
    played = stitched(SMALL, "fleet[0].count=1", "fleet[1].data=none", "fleet[2].data=none")
    assert played.summary["rounds"] == 2
    assert {book.device for book in played.trace.participations} == {"pi-0"}


# --- memory ---------------------------------------------------------------------------------------


def test_no_client_needs_the_memory_of_training() -> None:
    """Nor two thirds of it, for the same network and as many samples at a time."""
    winners = ", ".join(f"plain_cnn/{number}" for number in range(1, 5))
    played = costs(f"zoo: [plain_cnn, plain_cnn@0.5], winners: [{winners}]")
    trained = train_cost(
        Architecture.of("plain_cnn", SHAPE, CLASSES), steps=1, batch=50, samples=50, momentum=True
    )
    peaks = [row["peak_memory_b"] for row in played.trace.devices if row["role"] == "device"]
    assert 0.0 < max(peaks) < trained.memory * 2 / 3


@pytest.mark.parametrize("room", ["330 kB", "100 kB", "60 kB"])
def test_a_client_looks_at_as_many_samples_at_a_time_as_it_has_room_for(room: str) -> None:
    played = costs(FIXED, f"fleet[0].memory={room}")
    small, large = (
        next(row for row in played.trace.devices if row["device"] == name)
        for name in ("pi-0", "jetson-0")
    )
    assert 0 < small["peak_memory_b"] <= float(room.split()[0]) * 1000
    assert small["rounds_done"] == large["rounds_done"] == 6


def test_who_has_no_room_for_the_smallest_batch_takes_no_part() -> None:
    played = costs(FIXED, "fleet[0].memory=20 kB")
    assert played.summary["dropouts"]["memory"] == 2
    assert moved(played, "pi-0", "download") == []


def test_who_has_too_few_samples_takes_no_part() -> None:
    played = costs(FIXED, "fleet[0].data.samples=3")
    reasons = {row["device"]: row["excluded"] for row in played.trace.devices}
    assert reasons["pi-0"] == "holds 3 samples, and scoring takes 4"
    assert not reasons["phone-0"]


# --- deadlines ------------------------------------------------------------------------------------


def test_the_deadline_is_that_of_all_but_the_slowest_fifth_and_a_tenth_more() -> None:
    """Seven boards and a phone far away: without it the boards set the pace."""
    fleet = ("fleet[0].count=7", "selection.cohort=9", "fleet[2].data=none", "stop.rounds=1")
    free = costs(f"{FIXED}, deadline_factor: none", *fleet)
    late = costs(FIXED, *fleet)
    first = {
        book.device: book.t1 - book.t0 for book in free.trace.participations[:8]
    }  # fmt: skip
    boards = max(seconds for device, seconds in first.items() if device != "phone-0")
    asked = late.trace.participations[:8]
    assert [book.outcome for book in asked if book.device == "phone-0"] == ["deadline"]
    assert max(book.t1 for book in asked) == pytest.approx(1.1 * boards)
    assert free.summary["dropouts"]["deadline"] == 0


def test_a_deadline_of_the_topology_comes_first_if_it_is_shorter() -> None:
    played = costs(FIXED, "pace.deadline=100 ms")
    asked = played.trace.participations
    assert max(book.t1 - book.t0 for book in asked) == pytest.approx(0.1)


def test_a_visit_in_vain_is_repeated_and_goes_on_where_it_was() -> None:
    """In so short a time one of the two models arrives; with the next visit the other one."""
    pool = [body(PLAIN), body(WIDE)]
    only = ("fleet[1].data=none", "fleet[2].data=none", "fleet[0].count=1", "stop.rounds=1")
    played = costs(f"{FIXED}, deadline: 12 ms", *only)
    whole = [size for size in moved(played, "pi-0", "download") if size in pool]
    assert sorted(whole) == sorted(pool)
    assert played.summary["dropouts"]["deadline"] > 0
    assert any("in time" in note.text for note in played.trace.notes)


def test_rounds_in_which_nobody_ever_delivers_end() -> None:
    played = costs(f"{FIXED}, deadline: 1 ms, tries: 2", "stop.rounds=3")
    assert played.summary["rounds"] == 3
    assert picked(played) == ([], [])
    assert len(played.trace.participations) == 3 * 2 * 4


def test_a_governor_that_knows_the_deadline_takes_its_time_and_is_in_time() -> None:
    def drawn(governor: str) -> tuple[float, int]:
        rows = costs(FIXED, f"governor={governor}").trace.devices
        fast = [row for row in rows if row["device"] in ("phone-0", "jetson-0")]
        return sum(row["compute_j"] for row in fast), sum(row["rounds_done"] for row in rows)

    (paced, in_time), (racing, all_of_them) = drawn("deadline_feedback"), drawn("performance")
    assert in_time == all_of_them
    assert paced < 0.9 * racing


# --- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("zoo: []", "the zoo is empty"),
        (f"zoo: [{PLAIN}, {PLAIN}]", "twice"),
        ("zoo: [plain_cnn@wide]", "width of \"plain_cnn@wide\" is no number above 0 and up to 16"),
        ("zoo: [plain_cnn@inf]", "up to 16"), ("zoo: [plain_cnn@1e9]", "up to 16"),
        ("zoo: [plain_cnn@nan]", "up to 16"), ("zoo: [plain_cnn@-1]", "up to 16"),
        ("positions: 0", "positions is 0"),
        ("batch: 3", "batch is 3"), ("at_once: 0", "at_once is 0"),
        ("epsilon: 1.5", "between 0"),
        ("tau: 0", "tau is 0"),
        ("deadline: 0 s", "deadline is 0.0\n.*Give a time above 0, or `none`"),
        ("deadline_factor: 0", "deadline_factor is 0.0\n.*Give a number above 0, or `none`"),
        ("stitch: pad, score: mix", "fits nothing"),
        (f"{SMALL}, winners: [{WIDE}/1]", "1 winners for 2 positions"),
        (f"{SMALL}, winners: [{WIDE}/1, {PLAIN}/3]", "no block"),
        (f"{SMALL}, winners: [{WIDE}/2, {PLAIN}/1]", "cannot stand"),
        (f"{FIXED}, scored: [[{PLAIN}/1], [{PLAIN}/2]]", "not among what is scored"),
        (f"{SMALL}, scored: [[{PLAIN}/1], [{PLAIN}/2]]", "scored without winners"),
        (f"zoo: [{WIDE}], positions: 4, pool: free, "
         f"winners: [{WIDE}/1, {WIDE}/2, {WIDE}/2, {WIDE}/4]", "wins twice"),
    ],
)  # fmt: skip
def test_refuses_settings_that_make_no_sense(options: str, what: str) -> None:
    with pytest.raises(SpecError, match=what) as refusal:
        given(options).workload()
    assert refusal.value.remedy


@pytest.mark.parametrize("options", ["zoo: [resnet8], positions: 5", "zoo: [logistic]"])
def test_refuses_models_that_cannot_be_cut_so_often(options: str) -> None:
    with pytest.raises(SpecError, match="not enough"):
        costs(f"{options}, winners: {[f'{options[6:13]}/{n}' for n in range(1, 6)]}"
              if "5" in options else
              f"{options}, winners: [logistic/1, logistic/2, logistic/3, logistic/4]")  # fmt: skip


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("{data: {name: synthetic}, samples: 64, epochs: 1}", "no samples like those of the task"),
        ("{samples: 3, epochs: 1}", "has 3 samples, and judging takes 4"),
    ],
)
def test_the_server_cannot_judge_by_any_source(source: str, what: str) -> None:
    """Known before anything is pre-trained; a source by which nobody judges may be like that."""
    chosen = f"task.source={source}"
    with pytest.raises(SpecError, match=what) as refusal:
        given(f"{SMALL}, reward: proxy", chosen)
    assert refusal.value.key == "task.source"
    assert refusal.value.where
    assert "`reward: peer`" in refusal.value.remedy
    for others in ("reward: peer", "reward: proxy, weights: uniform"):
        given(f"{SMALL}, {others}", chosen)


# --- the topology ---------------------------------------------------------------------------------


def excluded(*overrides: str) -> Counter[bool]:
    """Devices of stitch_low_end that have no room for what they are asked, and that do."""
    scenario = resolve(load_topology("stitch_low_end", overrides=overrides))
    run, method = scenario.world(CostOnlyLab()), scenario.method()
    whole: Any = run.initial_model()
    needs = [method.work(client, whole) for client in run.clients]
    return Counter(
        not client.node.fits(need.memory)
        for client, need in zip(run.clients, needs, strict=True) if need
    )  # fmt: skip


def test_most_devices_of_the_topology_can_stitch_and_cannot_train() -> None:
    assert excluded("method.name=fedavg") == {True: 22, False: 11}
    assert excluded() == {False: 33}


def test_nobody_is_left() -> None:
    with pytest.raises(HetsimError, match="no device can take part"):
        costs(FIXED, *(f"fleet[{group}].memory=20 kB" for group in range(3)))
