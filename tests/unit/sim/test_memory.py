import pytest

from hetsim.core.errors import OutOfMemory
from hetsim.sim.memory import MemoryState


def test_jobs_share_the_memory():
    memory = MemoryState(capacity=10.0)
    memory.admit("pi", 6.0)
    memory.admit("pi", 4.0)
    memory.release(6.0)
    assert (memory.used, memory.peak) == (4.0, 10.0)


def test_a_refusal_gives_the_numbers_and_reserves_nothing():
    memory = MemoryState(capacity=10e6)
    memory.admit("pi", 6e6)
    with pytest.raises(OutOfMemory, match="pi: the job needs 5 MB and 4 MB are free") as error:
        memory.admit("pi", 5e6)
    assert (error.value.node, error.value.needed, error.value.free) == ("pi", 5e6, 4e6)
    assert (memory.used, memory.peak) == (6e6, 6e6)
