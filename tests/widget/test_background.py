"""Tasks for idle time: one after another, given up for what is urgent, and taken up again."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from rfwidget.widget.background import Background, Check
from rfwidget.widget.worker import Urgency, Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker("test")
    yield made
    made.stop()
    assert made.join(5)


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
    background, done = Background(worker, quiet=0), []
    first = Task()
    background.want("first", first)
    assert first.started.wait(5)
    for name in ("second", "third"):
        background.want(name, lambda _, name=name: done.append(name))
    first.release.set()
    assert worker.wait_idle(5)
    assert (first.begun, first.done, done) == (1, 1, ["second", "third"])


def test_a_task_makes_way_for_a_request_and_begins_anew(worker: Worker) -> None:
    background, task, answered = Background(worker, quiet=0), Task(), threading.Event()
    background.want("task", task)
    assert task.started.wait(5)
    worker.submit(Urgency.REQUEST, answered.set)
    assert answered.wait(5), "the request had to wait for the task"
    assert task.done == 0
    task.release.set()
    assert worker.wait_idle(5)
    assert (task.begun, task.done) == (2, 1)


def test_a_task_waits_for_quiet_and_a_request_does_not_wait_for_it(worker: Worker) -> None:
    background, task, answered = Background(worker, quiet=60), Task(), threading.Event()
    background.want("task", task)
    worker.submit(Urgency.REQUEST, answered.set)
    assert answered.wait(5)
    assert task.begun == 0


def test_the_newest_task_of_a_name_takes_the_place_of_one_that_runs(worker: Worker) -> None:
    background, old, new = Background(worker, quiet=0), Task(), Task()
    background.want("task", old)
    assert old.started.wait(5)
    new.release.set()
    background.want("task", new)
    assert worker.wait_idle(5)
    assert (old.done, new.done) == (0, 1)


def test_a_forgotten_task_ends(worker: Worker) -> None:
    background, task = Background(worker, quiet=0), Task()
    background.want("task", task)
    assert task.started.wait(5)
    background.forget("task")
    assert worker.wait_idle(5)
    assert (task.begun, task.done) == (1, 0)
    task.release.set()
    background.want("task", task)
    assert worker.wait_idle(5)
    assert task.done == 1


def test_an_idle_task_leaves_the_worker_settled(worker: Worker) -> None:
    background, task = Background(worker, quiet=0), Task()
    background.want("task", task)
    assert task.started.wait(5)
    assert worker.wait_settled(5)
    assert worker.settled
    assert not worker.idle
    task.release.set()
    assert worker.wait_idle(5)


def test_the_end_of_the_worker_ends_the_tasks(worker: Worker) -> None:
    background, task = Background(worker, quiet=0), Task()
    background.want("task", task)
    assert task.started.wait(5)
    worker.stop()
    assert worker.join(5)
    assert worker.submit(Urgency.REQUEST, task.release.set).is_set(), "a job that will never run keeps nobody waiting"
    assert not task.release.is_set()
    assert task.done == 0
