import os
import signal
import time

from pemr.corpus.processes import processes


def _disposition(_):
    return signal.getsignal(signal.SIGINT)


def test_workers_ignore_an_interrupt_and_the_parent_does_not():
    before = signal.getsignal(signal.SIGINT)
    with processes(2) as pool:
        found = pool.map(_disposition, range(4))
    assert set(found) == {signal.SIG_IGN}
    assert signal.getsignal(signal.SIGINT) is before


def ends(pid):
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_workers_end_with_the_block():
    with processes(1) as pool:
        worker = pool.apply(os.getpid)
        assert worker != os.getpid()
    assert ends(worker)
