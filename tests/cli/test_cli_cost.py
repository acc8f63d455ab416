"""The cost model: its arithmetic by hand, the provider's own rules, and the page that shows it."""

import json
import math
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from skyblend.cli.costs.bill import bill, by_service
from skyblend.cli.costs.design import MEASURES, Design, improved
from skyblend.cli.costs.model import Line, Plan, amounts, lines, rounds, trained_rows
from skyblend.cli.costs.prices import PRICES, overridden
from skyblend.cli.costs.providers import OTHERS, Provider, Quota, open_meteo, providers
from skyblend.cli.main import cli
from skyblend.ingest.places import daily_calls
from skyblend.protos.v1.records_pb2 import Place
from skyblend.sources.open_meteo import open_meteo as source

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale-and-cost.md"


def run(*args):
    return CliRunner().invoke(cli, ["cost", *args])


def shown(page):
    """The commands of the page with the output below each."""
    found = []
    for line in page.splitlines():
        if line.startswith("    $ skyblend cost"):
            found.append((shlex.split(line)[3:], []))
        elif found and (line.startswith("    ") or not line) and found[-1][1] is not None:
            found[-1][1].append(line.removeprefix("    "))
        elif found:
            found.append((None, None))
    return [(args, "\n".join(told).strip()) for args, told in found if args is not None]


def test_the_tables_of_the_page_are_what_the_commands_print():
    commands = shown(PAGE.read_text())
    assert len(commands) >= 4
    for args, told in commands:
        assert run(*args).output.strip() == told


def test_a_plan_is_billed_at_list_prices_and_beyond_what_is_free():
    # 3,000,000 class A / 1,000 x 0.005 USD = 15 USD; 12 GiB of messages, of which 10 are free:
    # 12/1024 x 40 = 0.46875 USD, 2/1024 x 40 = 0.078125 USD; half of it for each line
    given = [
        Line("latest/", "class_a", 3_000_000),
        Line("tasks", "pubsub", 6 * 2**30),
        Line("events", "pubsub", 6 * 2**30),
    ]
    costs = bill(given, PRICES, rate=0.5)
    assert [one.what for one in costs] == ["latest/", "tasks", "events"]
    assert [one.listed for one in costs] == pytest.approx([7.5, 0.1171875, 0.1171875])
    assert [one.beyond_free for one in costs] == pytest.approx([7.5, 0.01953125, 0.01953125])
    assert by_service(costs)["Pub/Sub"] == pytest.approx((0.234375, 0.0390625))


def test_open_meteo_counts_as_the_source_counts():
    place = Place(id="a", latitude=1, longitude=1)
    for models in (1, 6):
        options = {"models": ",".join("abcdef"[:models])}
        counted = daily_calls(source, [place], options=options)
        assert open_meteo(models).weighted(1, 1.0) == pytest.approx(counted)


def test_a_round_is_as_often_as_the_quota_allows_and_no_more_often_than_wished():
    # 1,000 calls a day, 100 places: ten rounds a day at most, so every 3 h (8 rounds)
    limited = Provider(
        name="x", quotas=(Quota(calls=1000, hours=24),), values=1, raw_bytes=1, rows=1
    )
    assert limited.reached(100, 1.0) == 3
    assert limited.reached(41, 1.0) == 1  # 984 calls
    assert limited.reached(10, 6.0) == 6
    assert limited.reached(1_000_000, 1.0) == math.inf


def test_the_strictest_of_several_quotas_counts():
    quotas = (Quota(calls=1000, hours=24), Quota(calls=10, hours=1))
    strict = Provider(name="x", quotas=quotas, values=1, raw_bytes=1, rows=1)
    assert strict.daily() == 240


def test_raw_objects_hold_a_hundred_places():
    plan = Plan(places=250, providers=OTHERS[:1], every=1.0)
    assert [one.tasks for one in rounds(plan)] == pytest.approx([3 * 730.5])
    assert amounts(plan).messages == pytest.approx(2 * 3 * 730.5)  # 3 tasks need no fan-out


def test_many_tasks_go_over_the_bus():
    month = amounts(Plan(places=2100, providers=OTHERS[2:3], every=1.0))
    assert month.messages == pytest.approx(3 * 21 * 730.5)


def test_what_is_stored_grows_and_moves_to_colder_classes():
    def stored(month):
        plan = Plan(places=100, providers=OTHERS[:1], month=month)
        return {one.price: one.amount for one in lines(plan) if one.what == "raw/"}

    grown = 100 * 730.5 * 60_000 * Design().raw_share  # bytes a month
    assert stored(1)["standard"] == pytest.approx(grown / 2)
    assert stored(5)["standard"] == pytest.approx(grown)
    assert stored(5)["nearline"] == pytest.approx(2 * grown)
    assert stored(5)["coldline"] == pytest.approx(1.5 * grown)
    assert stored(1).get("nearline_a", 0) == 0


def test_each_measure_saves_and_all_together_save_most():
    def total(names):
        design = improved(Design(), names)
        plan = Plan(places=1000, providers=providers(5, models=6), design=design, month=12)
        return sum(one.listed for one in bill(lines(plan), PRICES, rate=1))

    each = {one.name: total([one.name]) for one in MEASURES}
    assert all(saved < total([]) for saved in each.values())
    assert total(each) < min(each.values())


def test_a_training_reads_few_hours_of_the_last_days():
    # 10 places x 180 rows, of which 0.51 count: hourly 4 of 24 rounds, at 0 h and 12 h all of them
    def rows(every, month):
        return trained_rows(Plan(places=10, providers=OTHERS[:1], every=every, month=month))

    month = 10 * 180 * 0.51 * 730.5
    assert rows(1.0, 1) == pytest.approx(month * 4 / 24 / 2)
    assert rows(12.0, 1) == pytest.approx(month / 12 / 2)
    assert rows(1.0, 12) == rows(1.0, 24) == pytest.approx(month * 4 / 24 * 60 * 24 / 730.5)


def test_every_line_has_a_price_and_every_price_says_from_when_it_is():
    used = {one.price for one in lines(Plan(places=1, providers=OTHERS, month=24))}
    assert used == set(PRICES)
    assert all(one.known and one.page.startswith("cloud.google.com/") for one in PRICES.values())


def test_a_price_may_be_given():
    assert overridden(["class_a=0.01"])["class_a"].usd == 0.01
    cheap, dear = (
        json.loads(run("--json", "--price", f"class_a={usd}").output)["euros"]["Storage calls"]
        for usd in (0.0, 0.005)
    )
    assert cheap["listed"] < dear["listed"]
    assert "0.01 USD for 1,000 class A; none free; as given" in (
        run("--prices", "--price", "class_a=0.01").output
    )


def test_the_json_says_what_the_table_says():
    told = json.loads(run("--places", "1000", "--json").output)
    assert told["sources"][0]["every_hours"] == 48
    assert told["total"]["listed"] == pytest.approx(
        sum(one["listed"] for one in told["euros"].values())
    )
    assert f"{told['total']['listed']:.2f}" in run("--places", "1000").output


def test_a_project_within_the_free_quotas_is_nearly_free():
    told = json.loads(run("--places", "37", "--sources", "1", "--json").output)
    assert told["sources"][0]["every_hours"] == 1
    assert told["total"]["beyond_free"] < 2


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--sources", "9"), "--sources: expected 1 to 8, got 9"),
        (("--every", "soon"), "--every: expected something like 1h, 30m or 1d, of 30 days at"),
        (("--rate", "nan"), "--rate: expected a number above 0, got nan"),
        (("--rate", "0"), "--rate: expected a number above 0"),
        (("--requests", "-1"), "--requests"),
        (("--json", "--prices"), "--json: expected it without"),
        (("--every", "0h"), "--every: expected"),
        (("--with", "magic"), "--with: expected one of issued-shards, "),
        (("--price", "gold=1"), "--price: expected one of run_requests"),
        (("--price", "class_a=much"), "--price class_a: expected US dollars, got 'much'"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(args, said):
    done = run(*args)
    assert done.exit_code
    assert said in f"{done.output}{done.exception}"
