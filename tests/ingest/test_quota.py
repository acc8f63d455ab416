from datetime import timedelta

import pytest
from skyblend.ingest.places import OverQuota, add, daily_calls
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import places as known_places
from skyblend.runtime.place import runtime_for
from skyblend.runtime.places import BadPlace
from skyblend.runtime.settings import Settings
from skyblend.sources.contract import Schedule
from skyblend.sources.open_meteo import open_meteo


def some(count, *, collect=True):
    return [Place(id=f"p{i}", latitude=i / 10, longitude=10, collect=collect) for i in range(count)]


@pytest.fixture
def limited(tmp_path):
    """A runtime where the source `fake` has 1,000 calls a day."""
    runtime = runtime_for(
        Settings.read({"SKYBLEND_DATA": str(tmp_path), "SKYBLEND_FAKE_DAILY_LIMIT": "1000"})
    )
    yield runtime
    runtime.bus.close()


def test_calls_of_a_day_are_weights_times_slots(make_fake):
    hourly, backfill = make_fake().schedules
    six_hourly = Schedule(endpoint="archive", every=timedelta(hours=6), batch=2)
    source = make_fake(weight=1.5, schedules=(hourly, six_hourly, backfill))
    # 3 places x 1.5 x (24 + 4) slots; the back-fill is made once and does not count
    assert daily_calls(source, some(3), options={}) == pytest.approx(126)


def test_open_meteo_counts_variables_and_models():
    options = {"models": "a,b"}
    # forecast: 18 variables x 2 models / 10 = 3.6 a slot, 24 slots; archive: 15 variables x 1 / 10
    # = 1.5, 4 slots: 86.4 + 6 = 92.4 a place
    assert daily_calls(open_meteo, some(1), options=options) == pytest.approx(92.4)


def test_places_up_to_the_quota_are_added_and_one_more_is_refused(limited, make_fake):
    sources = {"fake": make_fake(weight=10)}  # 240 calls a place and day
    assert len(add(limited, some(4), sources=sources)) == 4
    fifth = Place(id="fifth", latitude=1, longitude=1, collect=True)
    with pytest.raises(OverQuota, match=r"5 places count as 1,200 calls a day, the limit is 1,000"):
        add(limited, [fifth], sources=sources)
    assert "fifth" not in known_places.read(limited.storage)


def test_a_place_that_is_not_collected_costs_nothing(limited, make_fake):
    sources = {"fake": make_fake(weight=1000)}
    assert len(add(limited, some(50, collect=False), sources=sources)) == 50


def test_the_refusal_says_how_many_fit(limited, make_fake):
    with pytest.raises(OverQuota, match="about 4 fit"):
        add(limited, some(10), sources={"fake": make_fake(weight=10)})


def test_open_meteo_has_a_limit_without_a_setting(runtime):
    with pytest.raises(OverQuota, match=r"open_meteo: 200 places .* the limit is 10,000"):
        add(runtime, some(200))


@pytest.mark.parametrize("id_", ["../x", "a/b", "x" * 300, ""])
def test_a_bad_id_adds_nothing(runtime, id_):
    with pytest.raises(BadPlace, match="a place id"):
        add(runtime, [Place(id="good", latitude=1, longitude=1), Place(id=id_)])
    assert known_places.read(runtime.storage) == {}
