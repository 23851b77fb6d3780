"""The thread, its idle tasks, and the way back to the main thread."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
import weakref
from functools import partial

import pytest

from rfwidget.widget.worker import Cancelled, Check, IdleTasks, Lull, MainThread, Urgency, Worker


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


def test_who_leaves_does_what_waits_and_no_more() -> None:
    ended = threading.Event()
    worker = Worker("test", ended.set, rest=1e6)
    release, done = held(worker), []
    worker.submit(Urgency.IDLE, lambda: done.append("idle"))
    thread = worker._thread
    assert thread is not None
    worker.leave()
    release.set()
    thread.join(5)
    assert (thread.is_alive(), done, ended.wait(5)) == (False, ["idle"], True)
    worker.submit(Urgency.REQUEST, lambda: done.append("again")).wait(5)
    assert done == ["idle", "again"]
    assert worker._thread is not None  # somebody looks again: it stays for a while
    assert worker._thread.is_alive()
    worker.stop()


def test_somebody_who_comes_back_in_time_keeps_the_thread(worker: Worker) -> None:
    release, thread = held(worker), worker._thread
    worker.leave()
    over = worker.submit(Urgency.REQUEST, lambda: None)
    release.set()
    assert over.wait(5)
    assert worker.wait_idle(5)
    worker.submit(Urgency.REQUEST, lambda: None).wait(5)
    assert worker._thread is thread


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


class Task:
    """Runs until released, and counts how often it has begun and ended."""

    def __init__(self) -> None:
        self.begun, self.done = 0, 0
        self.started, self.release = threading.Event(), threading.Event()

    def __call__(self, check: Check) -> None:
        self.begun += 1
        self.started.set()
        while not self.release.wait(0.005):
            check()
        self.done += 1


def test_tasks_are_done_in_their_order_and_none_ends_another(worker: Worker) -> None:
    tasks, done = IdleTasks(worker, quiet=0), []
    first = Task()
    tasks.want("first", first)
    assert first.started.wait(5)
    for name in ("second", "third"):
        tasks.want(name, lambda _, name=name: done.append(name))
    first.release.set()
    assert worker.wait_idle(5)
    assert (first.begun, first.done, done) == (1, 1, ["second", "third"])


def test_a_task_makes_way_for_a_request_and_begins_anew(worker: Worker) -> None:
    tasks, task, answered = IdleTasks(worker, quiet=0), Task(), threading.Event()
    tasks.want("task", task)
    assert task.started.wait(5)
    worker.submit(Urgency.REQUEST, answered.set)
    assert answered.wait(5), "the request had to wait for the task"
    assert task.done == 0
    task.release.set()
    assert worker.wait_idle(5)
    assert (task.begun, task.done) == (2, 1)


def test_a_task_waits_for_quiet_and_a_request_does_not_wait_for_it(worker: Worker) -> None:
    tasks, task, answered = IdleTasks(worker, quiet=60), Task(), threading.Event()
    tasks.want("task", task)
    worker.submit(Urgency.REQUEST, answered.set)
    assert answered.wait(5)
    assert task.begun == 0


def test_how_long_a_task_waits_for_quiet_is_asked_each_time_it_is_to_begin(worker: Worker) -> None:
    tasks, task, quiet = IdleTasks(worker), Task(), [0.0]
    tasks.want("task", task, quiet=lambda: quiet[0])
    assert task.started.wait(5)
    quiet[0] = 60.0  # it has been found to be slow
    tasks.want("task", task, quiet=lambda: 0)
    answered = worker.submit(Urgency.REQUEST, lambda: None)
    assert answered.wait(5)
    time.sleep(0.2)
    assert (task.begun, task.done) == (1, 0)


def test_the_newest_task_of_a_name_takes_the_place_of_one_that_runs(worker: Worker) -> None:
    tasks, old, new = IdleTasks(worker, quiet=0), Task(), Task()
    tasks.want("task", old)
    assert old.started.wait(5)
    new.release.set()
    tasks.want("task", new)
    assert worker.wait_idle(5)
    assert (old.done, new.done) == (0, 1)


def test_a_forgotten_task_ends(worker: Worker) -> None:
    tasks, task = IdleTasks(worker, quiet=0), Task()
    tasks.want("task", task)
    assert task.started.wait(5)
    tasks.forget("task")
    assert worker.wait_idle(5)
    assert (task.begun, task.done) == (1, 0)
    task.release.set()
    tasks.want("task", task)
    assert worker.wait_idle(5)
    assert task.done == 1


def test_a_task_that_is_to_be_first_waits_for_the_one_that_runs_and_for_no_other(worker: Worker) -> None:
    tasks, done = IdleTasks(worker, quiet=0), []
    running = Task()
    tasks.want("running", running)
    assert running.started.wait(5)
    tasks.want("second", lambda _: done.append("second"))
    tasks.want("first", lambda _: done.append("first"), first=True)
    running.release.set()
    assert worker.wait_idle(5)
    assert (running.begun, done) == (1, ["first", "second"])


def test_a_task_that_is_to_be_first_does_not_wait_out_the_quiet_of_another(worker: Worker) -> None:
    tasks, done = IdleTasks(worker, quiet=60), threading.Event()
    tasks.want("patient", lambda _: None)
    time.sleep(0.1)
    tasks.want("first", lambda _: done.set(), first=True, quiet=lambda: 0)
    assert done.wait(5)


def test_a_task_that_has_more_to_do_goes_on_after_the_others(worker: Worker) -> None:
    tasks, done = IdleTasks(worker, quiet=0), []
    started, release = threading.Event(), threading.Event()

    def run(_: Check) -> bool:
        started.set()
        release.wait(5)
        done.append("more")
        return done.count("more") < 3

    tasks.want("more", run)
    assert started.wait(5)
    tasks.want("other", lambda _: done.append("other"))
    tasks.want("more", run)  # as it is under way already
    release.set()
    assert worker.wait_idle(5)
    assert done == ["more", "other", "more", "more"]


def test_an_idle_task_leaves_the_worker_settled(worker: Worker) -> None:
    tasks, task = IdleTasks(worker, quiet=0), Task()
    tasks.want("task", task)
    assert task.started.wait(5)
    assert worker.wait_settled(5)
    assert worker.settled
    assert not worker.idle
    task.release.set()
    assert worker.wait_idle(5)


def test_the_end_of_the_worker_ends_the_tasks(worker: Worker) -> None:
    tasks, task = IdleTasks(worker, quiet=0), Task()
    tasks.want("task", task)
    assert task.started.wait(5)
    worker.stop()
    assert worker.join(5)
    assert worker.submit(Urgency.REQUEST, task.release.set).is_set(), "a job that will never run keeps nobody waiting"
    assert not task.release.is_set()
    assert task.done == 0


def test_calls_run_on_the_thread_that_made_it_in_the_order_they_came():
    async def script() -> None:
        main, ran, done = MainThread(), [], asyncio.Event()

        def elsewhere() -> None:
            for number in range(5):
                main.post(lambda n=number: ran.append((n, threading.current_thread())))
            main.post(done.set)

        other = threading.Thread(target=elsewhere)
        other.start()
        await asyncio.wait_for(done.wait(), 5)
        other.join()
        assert ran == [(number, threading.current_thread()) for number in range(5)]

    asyncio.run(script())


def test_without_a_loop_calls_wait_for_their_thread_to_drain():
    main, ran = MainThread(), []
    main.post(lambda: ran.append(1))
    other = threading.Thread(target=main.drain)
    other.start()
    other.join()
    assert ran == []
    main.drain()
    assert ran == [1]


def test_a_lull_calls_once_after_the_last_stir():
    async def script() -> None:
        main, calls = MainThread(), []
        over = asyncio.Event()

        def call() -> None:
            calls.append(asyncio.get_running_loop().time())
            over.set()

        lull = Lull(main, 0.05, call)
        for _ in range(10):
            lull.stir()
        last = asyncio.get_running_loop().time()
        await asyncio.wait_for(over.wait(), 5)
        await asyncio.get_running_loop().run_in_executor(None, threading.Event().wait, 0.1)
        assert len(calls) == 1
        assert calls[0] - last > 0.04

    asyncio.run(script())


def test_a_call_that_raises_on_the_main_thread_does_not_hold_up_the_others() -> None:
    done: list[str] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: done.append("told"))
        main = MainThread()
        for call in (lambda: 1 / 0, lambda: done.append("next"), lambda: done.append("last")):
            main.post(call)
        while "last" not in done:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(run(), 20))
    assert done == ["told", "next", "last"]
