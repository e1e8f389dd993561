"""Background threads: as many as there is work for, up to a limit; one engine for each."""

import threading

from containerlab_tui.session.threads import MOST_THREADS, Engines, Pool
from tests.support.docker import eventually
from tests.support.engine import ScriptedEngine

LONG_S = 60.0


def workers() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.name == "ask"}


def test_an_idle_thread_takes_the_next_job() -> None:
    before, pool, by = workers(), Pool(), list[threading.Thread]()
    for number in range(20):
        pool.submit(lambda: by.append(threading.current_thread()))
        eventually(lambda number=number: len(by) == number + 1 and pool._waiting == 1, "the job is done", LONG_S)  # type: ignore[misc]
    assert len(set(by)) == 1
    assert len(workers() - before) == 1


def test_jobs_that_wait_get_threads_up_to_a_limit() -> None:
    before, pool = workers(), Pool()
    started, go, done = list[int](), threading.Event(), list[int]()

    def job(number: int) -> None:
        started.append(number)
        assert go.wait(LONG_S)
        done.append(number)

    for number in range(MOST_THREADS + 5):
        pool.submit(lambda number=number: job(number))  # type: ignore[misc]
    eventually(lambda: len(started) == MOST_THREADS, "each thread has a job", LONG_S)
    assert len(workers() - before) == MOST_THREADS
    assert sorted(started) == list(range(MOST_THREADS)), "first come, first served"
    go.set()
    eventually(lambda: len(done) == MOST_THREADS + 5, "the jobs that had to wait are done too", LONG_S)


def test_each_thread_has_an_engine_that_it_keeps() -> None:
    made = list[ScriptedEngine]()

    def factory() -> ScriptedEngine:
        made.append(ScriptedEngine())
        return made[-1]

    engines = Engines(factory)
    assert made == []
    assert engines.here() is engines.here() is made[0]
    other = threading.Thread(target=engines.here)
    other.start()
    other.join(LONG_S)
    assert len(made) == 2
    assert engines.here() is made[0]
