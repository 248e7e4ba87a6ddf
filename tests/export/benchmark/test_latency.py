"""Latencies: medians of calls in turn, on a clock that tests set."""

import pytest

from keras_se.export.probes import timing as latency
from keras_se.export.probes.timing import Latency, latencies, turns


class Clock:
    """A clock that only calls move."""

    def __init__(self) -> None:
        self.now = 0.0
        self.order: list[str] = []

    def call(self, name: str, seconds: list[float]):
        left = iter(seconds)

        def work() -> None:
            self.order.append(name)
            self.now += next(left, seconds[-1])

        return work


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(latency.time, "perf_counter", lambda: clock.now)
    return clock


def test_calls_alternate_after_untimed_warm_up(clock: Clock) -> None:
    a, b = latencies([clock.call("a", [9, 9, 1, 2, 3, 4, 5]), clock.call("b", [0.5])], rounds=5)
    assert "".join(clock.order) == "ab" * 7
    assert (a.median, a.low, a.high, a.runs) == (3, 2, 4, 5)
    assert b.median == pytest.approx(0.5)


def test_slow_calls_get_fewer_rounds(clock: Clock) -> None:
    (found,) = latencies([clock.call("a", [100.0])], rounds=30, seconds=20)
    assert found.runs == latency.LEAST_ROUNDS
    (found,) = latencies([clock.call("a", [2.0])], rounds=30, seconds=20)
    assert found.runs == 10


def test_no_calls_give_no_latencies() -> None:
    assert latencies([]) == []


def test_turns_return_every_round(clock: Clock) -> None:
    found = turns([clock.call("a", [9, 1, 2, 3]), clock.call("b", [4])], rounds=3, warm_up=1)
    assert found.tolist() == [[1, 2, 3], [4, 4, 4]]
    assert "".join(clock.order) == "ab" * 4


def test_quantiles_in_milliseconds() -> None:
    latency = Latency.of([0.001 * i for i in range(101)])
    expected = {"median_ms": 50, "low_ms": 25, "high_ms": 75, "p90_ms": 90, "spread_ms": 50, "runs": 101}
    assert latency.to_dict() == pytest.approx(expected)
