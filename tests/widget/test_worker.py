from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from functools import partial

import pytest

from rfwidget.widget.worker import Cancelled, Urgency, Worker


@pytest.fixture
def worker():
    made = Worker("test")
    yield made
    made.stop()
    assert made.join(5)


def held(worker: Worker, urgency: Urgency = Urgency.REQUEST) -> threading.Event:
    """Occupy the worker until the event is set."""
    started, release = threading.Event(), threading.Event()

    def occupy() -> None:
        started.set()
        release.wait(5)

    worker.submit(urgency, occupy)
    assert started.wait(5)
    return release


def test_the_newest_job_of_a_kind_takes_the_place_of_one_that_waits(worker: Worker) -> None:
    release = held(worker)
    done, dropped = [], []
    for number in range(5):
        worker.submit(Urgency.REQUEST, lambda n=number: done.append(n), lambda n=number: dropped.append(n))
    release.set()
    assert worker.wait_idle(5)
    assert (done, dropped) == ([4], [0, 1, 2, 3])


def test_kinds_are_done_in_the_order_of_their_urgency(worker: Worker) -> None:
    release = held(worker)
    done = []
    for urgency in (Urgency.IDLE, Urgency.REQUEST, Urgency.SETUP):
        worker.submit(urgency, lambda u=urgency: done.append(u))
    release.set()
    assert worker.wait_idle(5)
    assert done == [Urgency.SETUP, Urgency.REQUEST, Urgency.IDLE]


def test_a_newer_setup_ends_the_one_that_runs(worker: Worker) -> None:
    started, ended, done = threading.Event(), [], []

    def long_job() -> None:
        started.set()
        try:
            while True:
                worker.check()
        except Cancelled:
            ended.append(True)
            raise

    worker.submit(Urgency.SETUP, long_job)
    assert started.wait(5)
    worker.submit(Urgency.SETUP, lambda: done.append(True))
    assert worker.wait_idle(5)
    assert (ended, done) == ([True], [True])


def test_anything_ends_idle_work(worker: Worker) -> None:
    started, done = threading.Event(), []

    def idle_job() -> None:
        started.set()
        while True:
            worker.check()

    worker.submit(Urgency.IDLE, idle_job)
    assert started.wait(5)
    worker.submit(Urgency.REQUEST, lambda: done.append(True))
    assert worker.wait_idle(5)
    assert done == [True]


def test_a_request_lets_the_running_one_finish(worker: Worker) -> None:
    release = held(worker)
    worker.submit(Urgency.REQUEST, worker.check)
    release.set()
    assert worker.wait_idle(5)


def test_a_job_is_over_when_it_has_run_and_when_it_never_will(worker: Worker) -> None:
    release = held(worker)
    dropped, stays = (worker.submit(Urgency.REQUEST, lambda: None) for _ in range(2))
    assert (dropped.is_set(), stays.is_set()) == (True, False)
    release.set()
    assert stays.wait(5)
    release = held(worker)
    waits = worker.submit(Urgency.REQUEST, lambda: None)
    worker.stop()
    assert waits.is_set()
    assert worker.submit(Urgency.REQUEST, lambda: None).is_set()
    release.set()


def test_a_job_that_raises_does_not_end_the_thread(worker: Worker, capfd: pytest.CaptureFixture[str]) -> None:
    done = []
    worker.submit(Urgency.REQUEST, lambda: 1 // 0)
    assert worker.wait_idle(5)
    worker.submit(Urgency.REQUEST, lambda: done.append(True))
    assert worker.wait_idle(5)
    assert done == [True]
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_an_idle_worker_keeps_nothing_alive(worker: Worker) -> None:
    class Thing:
        pass

    thing = Thing()
    seen = weakref.ref(thing)
    worker.submit(Urgency.REQUEST, partial(id, thing))
    assert worker.wait_idle(5)
    del thing
    gc.collect()
    assert seen() is None


def test_after_stopping_nothing_runs_any_more() -> None:
    worker = Worker("test")
    release = held(worker)
    done = []
    worker.submit(Urgency.REQUEST, lambda: done.append(True))
    worker.stop()
    worker.submit(Urgency.REQUEST, lambda: done.append(True))
    release.set()
    assert worker.join(5)
    assert done == []


def test_no_thread_starts_before_there_is_work() -> None:
    before = threading.active_count()
    Worker("test").stop()
    assert threading.active_count() == before


END_EARLY = """
import threading, time
from rfwidget.widget.worker import Urgency, Worker

begun = threading.Event()

def job():
    begun.set()
    time.sleep(0.5)
    print("over", flush=True)

worker = Worker("test")
worker.submit(Urgency.SETUP, job)
worker.submit(Urgency.IDLE, lambda: print("never"))
begun.wait()
"""


def test_the_end_of_a_program_waits_for_the_job_that_runs_and_drops_the_others() -> None:
    """A thread that comes back from TensorFlow after the interpreter has gone would bring the process down."""
    done = subprocess.run([sys.executable, "-c", END_EARLY], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "over\n", "")


def test_a_job_that_ends_its_thread_does_not_end_the_worker(worker: Worker, capfd: pytest.CaptureFixture[str]) -> None:
    done = threading.Event()
    worker.submit(Urgency.REQUEST, sys.exit)
    assert worker.wait_idle(5)
    worker.submit(Urgency.REQUEST, done.set)
    assert done.wait(5)
    assert "SystemExit" in capfd.readouterr().err
