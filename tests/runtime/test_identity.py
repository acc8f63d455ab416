"""Identity tokens: what is refused and with which words, in process (oidc) and behind Cloud Run
(iam)."""

import logging
import random
import string
import time

import pytest
from identities import (
    AUDIENCE,
    CALLER,
    EXPECTED,
    FORGED,
    HOUR,
    claims,
    held,
    iam,
    key,
    oidc,
    stripped,
    token,
)
from skyblend.runtime.access import OpenAccess, TokenAccess
from skyblend.runtime.guards import problem
from skyblend.runtime.identity import IdentityAccess, access_for
from skyblend.runtime.idtokens import LARGEST, SKEW, Expected
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Misconfigured, Settings

OIDC = {
    "SKYBLEND_AUTH": "oidc",
    "SKYBLEND_AUDIENCE": AUDIENCE,
    "SKYBLEND_CALLERS": CALLER,
}
CLOUD_RUN = {"K_SERVICE": "skyblend-ingest", "K_REVISION": "skyblend-ingest-00001-abc"}


def shown(header: str | None) -> dict[str, str]:
    return {} if header is None else {"Authorization": header}


def bearing(token_: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_}"}


def detail(access, headers) -> str:
    refusal = access.refuse(headers)
    assert refusal is not None
    return refusal.detail


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_token_is_refused_in_words_that_do_not_repeat_it(name, caplog):
    make, status = FORGED[name]
    header = make()
    refusal = oidc().refuse(shown(header))
    assert refusal is not None
    assert refusal.status == status
    told = refusal.detail + caplog.text
    parts = (header or "").replace(",", " ").replace(".", " ").split()
    assert not [part for part in parts if len(part) > 8 and part in told]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"iss": "accounts.google.com"},
        {"aud": "https://other.example"},
        {"email": "a@b.example"},
        {"email": CALLER.upper()},
        {"nbf": 0},
        {"exp": time.time() + HOUR},  # Google's are whole, but a number is a number
        {"hd": "some.example", "at_hash": "x" * 20},
    ],
)
def test_a_good_token_is_let_in(changes):
    assert oidc().refuse(bearing(token(**changes))) is None
    assert iam().refuse(bearing(stripped(**changes))) is None
    assert iam().refuse(bearing(token(**changes))) is None


def test_the_scheme_is_read_in_any_case():
    assert oidc().refuse({"Authorization": f"bearer  {token()} "}) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"aud": "https://x.example"}, f"or {AUDIENCE}, got 'https://x.example'"),
        ({"iss": "https://x.example"}, "expected the issuer https://accounts.google.com"),
        ({"email": "x@y.example"}, "'x@y.example' is not among SKYBLEND_CALLERS"),
        ({"email": None}, "names no e-mail"),
        ({"email_verified": False}, "is not verified"),
        ({"exp": 1}, "expired at 1970-01-01T00:00:01Z"),
        ({"iat": 4102444800}, "valid from 2100-01-01T00:00:00Z on"),
        ({"exp": None}, "expected exp in seconds"),
    ],
)
def test_the_refusal_says_what_was_expected(changes, words):
    assert words in detail(oidc(), bearing(token(**changes)))


def test_a_token_without_its_signature_names_the_mode_that_takes_it():
    assert "set it to iam" in detail(oidc(), bearing(stripped()))


def test_who_is_not_authorised_is_told_how_and_who_may_not_is_not():
    for headers, expected in (({}, "Bearer"), (bearing(token(email="x@y.example")), None)):
        refusal = oidc().refuse(headers)
        assert refusal is not None
        assert problem(refusal)[2].get("WWW-Authenticate") == expected


def test_clocks_may_differ_by_the_skew_and_no_more():
    start = int(time.time())
    for offset, is_good in (
        (HOUR + SKEW - 1, True),
        (HOUR + SKEW + 1, False),
        (-SKEW + 1, True),
        (-SKEW - 1, False),
    ):
        access = IdentityAccess(EXPECTED, held(), now=lambda at=start + offset: at)
        given = token(iat=start, exp=start + HOUR)
        assert (access.refuse(bearing(given)) is None) == is_good


def test_a_token_that_was_good_is_refused_when_it_has_expired():
    moment = [time.time()]
    access = IdentityAccess(EXPECTED, held(), now=lambda: moment[0])
    given = bearing(token())
    assert access.refuse(given) is None
    assert access.refuse(given) is None
    moment[0] += HOUR + SKEW + 2
    assert "expired" in detail(access, given)


def test_a_good_token_is_kept_and_only_itself():
    access = oidc()
    given = token()
    assert access.refuse(bearing(given)) is None
    for other in (given[:-1], given + "A", given[:-1] + ("A" if given[-1] != "A" else "B")):
        assert access.refuse(bearing(other)) is not None


def test_many_good_tokens_do_not_fill_the_memory():
    access = oidc()
    first = token()
    assert access.refuse(bearing(first)) is None
    for number in range(300):
        assert access.refuse(bearing(stripped(jti=number))) is not None
        if number % 10 == 0:
            assert access.refuse(bearing(token(jti=number))) is None
    assert len(access._verified._ends) == 31  # those refused are not kept


def test_a_token_with_any_byte_changed_is_refused():
    chance = random.Random(7)
    alphabet = string.ascii_letters + string.digits + "-_.=+/ ,\x00\xe4"
    access = oidc()
    good = token()
    assert access.refuse(bearing(good)) is None
    for place, there in enumerate(good):
        other = chance.choice([c for c in alphabet if c != there])
        assert access.refuse(bearing(good[:place] + other + good[place + 1 :])) is not None
        assert access.refuse(bearing(good[:place] + good[place + 1 :])) is not None


def test_no_other_spelling_of_the_last_byte_is_the_same_token():
    """256 bytes leave four bits of the last character unused: 15 others mean the same bytes."""
    good, access = token(), oidc()
    others = [c for c in string.ascii_letters + string.digits + "-_" if c != good[-1]]
    assert len(others) == 63
    assert all(access.refuse(bearing(good[:-1] + other)) is not None for other in others)


def test_a_header_of_the_largest_size_is_looked_at_and_one_more_is_not():
    assert "three parts" in detail(oidc(), bearing("x" * LARGEST))
    assert f"at most {LARGEST}" in detail(oidc(), bearing("x" * (LARGEST + 1)))


# Behind Cloud Run.

SIGNATURES = {"a signature removed"}  # what oidc refuses and iam takes


@pytest.mark.parametrize("name", sorted(FORGED.keys() - SIGNATURES))
def test_what_is_refused_in_process_is_refused_behind_cloud_run(name):
    make, status = FORGED[name]
    refusal = iam().refuse(shown(make()))
    assert refusal is not None
    assert refusal.status == status


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"aud": "https://x.example"}, 401),
        ({"iss": "https://x.example"}, 401),
        ({"exp": 1}, 401),
        ({"iat": 4102444800}, 401),
        ({"nbf": 4102444800}, 401),
        ({"email": "x@y.example"}, 403),
        ({"email": None}, 403),
        ({"email_verified": False}, 403),
    ],
)
def test_the_claims_of_a_token_that_cloud_run_checked_are_checked(changes, status):
    refusal = iam().refuse(bearing(stripped(**changes)))
    assert refusal is not None
    assert refusal.status == status


def test_behind_cloud_run_nobody_need_be_named():
    access = iam(Expected())
    assert access.refuse(bearing(stripped(aud="https://x.example", email="x@y.example"))) is None
    assert access.refuse(bearing(stripped(email=None, email_verified=None))) is None
    assert access.refuse(bearing(stripped(exp=1))) is not None
    assert access.refuse(bearing(token(by=key("first/other")))) is not None
    assert access.refuse({}) is not None


@pytest.mark.parametrize("other", [stripped(), stripped(email="x@y.example"), token(), "mine", ""])
def test_a_header_that_cloud_run_may_not_have_checked_counts_for_nothing(other):
    """An invoker who may change nothing could show himself in one header, and in the other the
    claims of one who may: Cloud Run checks one of the two."""
    alone = {"X-Serverless-Authorization": f"Bearer {other}"}
    for headers in (alone, alone | bearing(stripped())):
        assert "without X-Serverless-Authorization" in detail(iam(), headers)


def test_in_process_only_the_one_header_counts():
    assert oidc().refuse({"X-Serverless-Authorization": f"Bearer {token()}"}) is not None


@pytest.mark.parametrize(
    "environ", [{}, {"K_SERVICE": "x"}, {"K_REVISION": "x"}, {"K_SERVICE": ""}]
)
def test_iam_anywhere_but_on_cloud_run_is_no_start(environ):
    settings = Settings.read({"SKYBLEND_AUTH": "iam"})
    with pytest.raises(Misconfigured, match=r"not Cloud Run: .*K_.* not set; use oidc"):
        access_for(settings, environ=environ)


def test_iam_on_cloud_run_starts(tmp_path, monkeypatch):
    settings = Settings.read({"SKYBLEND_AUTH": "iam", "SKYBLEND_CALLERS": CALLER})
    access = access_for(settings, environ=CLOUD_RUN)
    assert access.refuse(bearing(stripped())) is None
    assert access.refuse(bearing(stripped(email="x@y.example"))) is not None


# The choice.


def runtime(tmp_path, **environ):
    return runtime_for(Settings.read({"SKYBLEND_DATA": str(tmp_path), **environ}))


def test_oidc_is_chosen_by_its_word(tmp_path):
    made = runtime(tmp_path, **OIDC)
    assert isinstance(made.access, IdentityAccess)
    assert made.access.refuse({}) is not None
    assert made.token == ""
    assert not (tmp_path / "token").exists()
    made.bus.close()


@pytest.mark.parametrize("absent", ["SKYBLEND_AUDIENCE", "SKYBLEND_CALLERS"])
def test_oidc_needs_to_know_whom_it_expects(absent):
    with pytest.raises(Misconfigured, match="SKYBLEND_AUDIENCE and SKYBLEND_CALLERS"):
        Settings.read(OIDC | {absent: " , "})


@pytest.mark.parametrize("said", ["NONE", "None", "nobody", "off", "no", "false", "0", "iam,none"])
def test_a_misspelt_mode_is_no_start(said):
    with pytest.raises(Misconfigured, match="SKYBLEND_AUTH must be one of token, iam, oidc, none"):
        Settings.read({"SKYBLEND_AUTH": said})


@pytest.mark.parametrize("environ", [{}, {"SKYBLEND_AUTH": ""}, {"SKYBLEND_AUTH": "  "}])
def test_a_mode_that_is_not_said_asks_for_the_token(environ, tmp_path):
    made = runtime(tmp_path, **environ)
    assert isinstance(made.access, TokenAccess)
    assert made.access.refuse({}) is not None
    made.bus.close()


@pytest.mark.parametrize("said", ["", " ", "token"])
@pytest.mark.parametrize("part", ["SKYBLEND_BUS", "SKYBLEND_STORAGE"])
def test_in_the_cloud_a_mode_that_is_not_said_is_no_start(said, part):
    cloud = {
        "SKYBLEND_BUS": {"SKYBLEND_BUS": "pubsub"},
        "SKYBLEND_STORAGE": {
            "SKYBLEND_STORAGE": "gcs",
            "SKYBLEND_TABLES": "bigquery",
            "SKYBLEND_BUCKET": "b",
        },
    }[part]
    with pytest.raises(Misconfigured, match="SKYBLEND_AUTH must say who may change"):
        Settings.read({"SKYBLEND_PROJECT": "p", "SKYBLEND_AUTH": said, **cloud})


@pytest.mark.parametrize("said", ["", "token", "iam", "oidc", "none"])
def test_what_serves_nobody_in_the_cloud_needs_no_mode_and_lets_nobody_in(said, tmp_path):
    """A command on the cloud is where no mode holds: not on Cloud Run, and not open either."""
    cloud = {"SKYBLEND_BUS": "pubsub", "SKYBLEND_PROJECT": "p", "SKYBLEND_DATA": str(tmp_path)}
    settings = Settings.read({"SKYBLEND_AUTH": said, **cloud}, serves=False)
    made = runtime_for(settings, serves=False)
    for headers in ({}, bearing(token()), bearing(stripped())):
        assert made.access.refuse(headers).status == 403
    assert made.token == ""
    assert not (tmp_path / "token").exists()


def test_nobody_asked_for_is_said_loudly(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        made = runtime(tmp_path, SKYBLEND_AUTH="none")
    assert isinstance(made.access, OpenAccess)
    assert made.access.refuse({}) is None
    assert [r.levelname for r in caplog.records if "may change everything" in r.message] == [
        "WARNING"
    ]
    made.bus.close()


def test_a_refusal_is_logged_once_a_minute_and_without_the_token(caplog):
    access = oidc()
    given = token(aud="https://elsewhere.example")
    for _ in range(20):
        assert access.refuse(bearing(given)) is not None
    (line,) = [r.getMessage() for r in caplog.records]
    assert line.startswith("a request is refused with 401: expected the audience")
    assert not [part for part in given.split(".") if part in line]


def test_claims_are_those_of_pubsub():
    """The names that a push of Pub/Sub carries, so that the tests forge the real thing."""
    assert claims().keys() == {
        "aud", "azp", "email", "email_verified", "exp", "iat", "iss", "sub",
    }  # fmt: skip
