import resource
import sys

import numpy as np
import pytest

from entroscape.memory import keep_freed

pytestmark = pytest.mark.unit


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has the setting")
def test_freed_memory_is_used_again_without_asking_the_system():
    keep_freed()
    np.ones(2**22)  # 32 MB, asked of the system and freed
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        np.ones(2**22)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 2**22 * 8 / resource.getpagesize()
