"""The plain loop that speeds are compared with makes the very moves of the fast kernel."""

import numpy as np

from benchmarks.plain import plain
from benchmarks.wlmc import Chain, network
from entroscape.random import generator


def test_plain_chain_makes_the_same_moves():
    system = network(6)
    start = generator("plain").uniform(-0.2, 0.2, len(system.half_width))
    fast, slow = (Chain(s, (-4.0, 1.0), 0.3, start) for s in (system, plain(system)))
    for chain in (fast, slow):
        chain.run(3000)
    assert (fast.histogram > 0).sum() > 20
    np.testing.assert_array_equal(fast.histogram, slow.histogram)
    np.testing.assert_array_equal(fast.walker, slow.walker)
