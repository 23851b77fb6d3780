from __future__ import annotations

import asyncio
import threading

from rfwidget.widget.main_thread import Lull, MainThread


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
