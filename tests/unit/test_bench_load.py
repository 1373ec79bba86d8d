"""What the bench reads of h2load and of control groups; the samples are of real runs."""

from __future__ import annotations

from dataclasses import astuple

import httpx
import pytest

from slipway.config.settings import Settings
from tests.bench import __main__ as program
from tests.bench import growth_serving, h2load, load, report, stacks, usage
from tests.bench.loadmaker import SERVICE, Turn
from tests.bench.pairs import Pairs
from tests.bench.results import Record, Result
from tests.bench.stacks import Stack

_DONE = """\
finished in 1.03s, 77.00 req/s, 16.46KB/s
requests: 77 total, 81 started, 77 done, 77 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 81 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 16.46KB (16853) total, 6.49KB (6642) headers (space savings 0.00%), 7.52KB (7700) data
                     min         max         mean         sd        +/- sd
time for request:      672us    111.90ms     51.30ms     19.78ms    83.12%
"""
_NOT_AVAILABLE = """\
finished in 1.01s, 80.00 req/s, 10.89KB/s
requests: 80 total, 84 started, 80 done, 0 succeeded, 80 failed, 0 errored, 0 timeout
status codes: 0 2xx, 0 3xx, 0 4xx, 84 5xx
"""
_REDIRECTED = """\
finished in 1.00s, 89.00 req/s, 19.23KB/s
requests: 89 total, 93 started, 89 done, 89 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 0 2xx, 93 3xx, 0 4xx, 0 5xx
"""
_NOBODY_THERE = """\
finished in 1.00s, 0.00 req/s, 0B/s
requests: 0 total, 0 started, 0 done, 0 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 0 2xx, 0 3xx, 0 4xx, 0 5xx
"""
_REFUSED = """\
finished in 82.71ms, 0.00 req/s, 0B/s
requests: 40 total, 0 started, 0 done, 0 succeeded, 40 failed, 40 errored, 0 timeout
status codes: 0 2xx, 0 3xx, 0 4xx, 0 5xx
"""
_LOG = """\
1795269522760827\t200\t262
1795269522785837\t200\t320
1795269522818005\t200\t7687
1795269522837202\t200\t556
1795269522860915\t200\t576
"""


def test_rate_and_number_of_answers_are_read() -> None:
    """Red when what was started counts: 81 were, four of them cut off at the end."""
    assert h2load.read(_DONE) == h2load.Answers(done=77, rate=77.0)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        pytest.param(_NOT_AVAILABLE, "84 5xx", id="503"),
        pytest.param(_REDIRECTED, "93 3xx", id="redirects"),
        pytest.param(_NOBODY_THERE, "0 done", id="nobody listens"),
        pytest.param(_REFUSED, "40 errored", id="refused"),
        pytest.param("could not resolve address", "did not finish", id="no such host"),
    ],
)
def test_no_figure_comes_of_other_answers(output: str, said: str) -> None:
    """Red when the success that h2load counts is believed: a redirect is one; or its exit code, always 0."""
    with pytest.raises(h2load.BadAnswersError, match=said):
        h2load.read(output)


def test_latencies_leave_the_beginning_out() -> None:
    """Red when rows are skipped by their number: the connections are made while the first requests run."""
    assert h2load.latencies(_LOG, skip_seconds=0.03) == [0.007687, 0.000556, 0.000576]


@pytest.mark.parametrize("row", ["1795269544389641\t302\t966\n", "1795269544389641\t-1\t966\n"])
def test_latencies_of_other_answers_are_none(row: str) -> None:
    """Red when the status of a row is not looked at: errors are quick."""
    with pytest.raises(h2load.BadAnswersError, match=row.split("\t")[1]):
        h2load.latencies(_LOG + row, skip_seconds=0)


def test_percentile_is_the_nearest_rank() -> None:
    """Red when the index is rounded down: the 99th of a hundred would be the 98th."""
    hundred = [float(number) for number in range(100, 0, -1)]
    assert h2load.percentile(hundred, 0.99) == 99
    assert h2load.percentile(hundred, 1) == 100
    assert h2load.percentile([7.0], 0.99) == 7


def test_load_at_a_rate_is_spread() -> None:
    """Red when the connections begin together: each asks at its interval, so all would ask at once."""
    argv = h2load.at_rate("http://localhost/", "nginx:80", {"Accept": "*/*"}, 7, 48, 96, "/tmp/log")
    assert {"--rate=1", "--rate-period=10ms", "--rps=2.0000", "--requests=672", "--clients=48"} <= set(argv)
    assert "--header=Accept: */*" in argv


_CPU = {
    "cpu_usage": {"total_usage": 983748740},
    "throttling_data": {"periods": 40, "throttled_periods": 12, "throttled_time": 1500000000},
}
_MEMORY_V1 = {
    "usage": 91979776,
    "stats": {"active_anon": 12288, "cache": 36864, "rss": 0, "total_cache": 36864, "total_rss": 88715264},
}
_MEMORY_V2 = {
    "usage": 95031296,
    "stats": {"active_anon": 4096, "anon": 88715264, "file": 5308416, "shmem": 0, "slab": 782184},
}


@pytest.mark.parametrize("memory", [_MEMORY_V1, _MEMORY_V2], ids=["cgroup v1", "cgroup v2"])
def test_usage_is_read_on_either_version_of_cgroups(memory: dict[str, object]) -> None:
    """Red when the page cache counts, which is the host's to take back: ``usage`` has it."""
    found = usage.read({"cpu_stats": _CPU, "memory_stats": memory})
    assert found == usage.Usage(cpu=0.98374874, throttled=1.5, anonymous=88715264)


class _Answering(Stack):
    """A stack that answers all alike."""

    def __init__(self, headers: dict[str, str], body: str = "", switches: str = "on") -> None:
        super().__init__("none", "http://localhost", "none", 80)
        object.__setattr__(self, "_answer", httpx.Response(200, headers=headers, text=body))
        object.__setattr__(self, "_switches", switches)

    def get(self, path: str, headers: object = None) -> httpx.Response:
        return self._answer  # type: ignore[attr-defined]

    def sql(self, query: str) -> str:
        return self._switches  # type: ignore[attr-defined]


_PROMISED = (
    "X-Content-Type-Options X-Frame-Options Referrer-Policy "
    "Content-Security-Policy Cross-Origin-Opener-Policy"
)


def test_measures_end_without_the_security_headers() -> None:
    """Red when a header is taken from the list of those that have to be there while the load is on."""
    every = dict.fromkeys(_PROMISED.split(), "x")
    stacks.check_headers(_Answering(every))
    for name in every:
        with pytest.raises(AssertionError, match=name):
            stacks.check_headers(_Answering({key: value for key, value in every.items() if key != name}))


def test_measures_end_where_confirmed_commits_may_be_lost() -> None:
    """Red when the database is not asked before it is filled."""
    stacks.fill(_Answering({}))
    with pytest.raises(AssertionError, match="fsync is off"):
        stacks.fill(_Answering({}, switches="off"))


def test_measures_end_where_the_two_show_another_page() -> None:
    """Red when only the status is compared."""
    sheet = '<link href="/static/admin/css/base.0123.css">' + " " * 15_000 + "<li >" * 10
    stacks.check_alike(_Answering({}, sheet), _Answering({}, sheet))
    with pytest.raises(AssertionError, match=stacks.DATABASE_PAGE):
        stacks.check_alike(_Answering({}, sheet), _Answering({}, sheet + "."))


def test_costs_are_on_the_page() -> None:
    """Red when a cost stands below another service's name."""
    record = Record()
    assert "Nothing is recorded yet." in report.page(record)
    costs = {"ours": {"nginx": 0.25, "web": 2.5}, "usual": {"web": 10.0, "db": 13.0}}
    record.add(Result("database_rps", "requests/s", Pairs([6.0], [1.0]), costs=costs))
    said = program._line(record.results["database_rps"])
    assert "processor ms per request, usual: web 10.00, db 13.00" in said
    page = report.page(record)
    assert "| | | nginx | web | db |\n" in page
    assert "| database page | ours | 0.25 | 2.50 | \N{EN DASH} |\n" in page
    assert "| database page | usual | \N{EN DASH} | 10.00 | 13.00 |\n" in page


def _turn(rate: float, throttled: float, cpu: float) -> Turn:
    before = dict.fromkeys(("nginx", "web", "db", SERVICE), usage.Usage(100, 50, 1024))
    after = {**before, "web": usage.Usage(100 + cpu, 50 + throttled, 2048)}
    return Turn(rate, requests=int(rate * 5), before=before, after=after)


def test_a_turn_says_what_a_request_costs_and_who_was_held_back() -> None:
    """Red when the seconds before the turn count, or what is held back is taken per request."""
    turn = _turn(rate=100, throttled=1.0, cpu=2.5)
    assert turn.cpu("web") == 0.005
    assert turn.throttled("web") == 0.2
    assert (turn.cpu("db"), turn.throttled("db")) == (0, 0)


def test_the_uncounted_turn_is_left_out_of_costs_and_limits() -> None:
    """Red when the first turn, in which caches fill, is among those that count."""
    site = load._Site(*[_Answering({})] * 2, maker=None)  # type: ignore[arg-type]
    turns = load._Turns(
        site, "/", {}, [_turn(1, 4, 99), _turn(100, 0, 1)], [_turn(1, 0, 99), _turn(100, 0, 2)]
    )
    assert turns.costs()["ours"]["web"] == 2
    assert turns.costs()["usual"]["web"] == 4
    assert turns.limits().endswith("nothing")
    turns.ours[1] = _turn(100, 4, 1)
    assert turns.limits().endswith("web")


def test_growth_varies_one_number_at_a_time(settings: Settings) -> None:
    """Red when a line varies two; or asks for less connections than its servers may open."""
    shipped = growth_serving._Server(1, 3, 4)
    lines = growth_serving._lines(shipped)
    for line in lines.values():
        for server in line.values():
            pairs = zip(astuple(server), astuple(shipped), strict=True)
            assert sum(one != other for one, other in pairs) <= 1
    assert lines["replicas"][1] == lines["threads of each worker"][4] == shipped
    assert growth_serving._connections(settings, lines["replicas"][4]) == 2 * 4 * 3 * 5 + 10
