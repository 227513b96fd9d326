"""Keys: only who holds one may ask, what it allows, as often as it allows; followed without a restart."""

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.errors import ServingError
from lead_scoring_assets.serving.keys import FILE, SCOPES, create_key, read_keys, revoke_key, rotate_key
from lead_scoring_assets.serving.rates import RateLimit
from lead_scoring_tests.serving.served import Client, Served, requests

FEEDBACK = {"lead_id": "x", "outcome": "lost", "outcome_at": "2008-12-24T10:00:00Z", "idempotency_key": "k"}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_a_key_is_kept_as_a_hash_that_only_its_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / FILE
    token = create_key(path, "crm", ["score"])
    secret = token.split("_", 2)[2]
    assert secret not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    holder = read_keys(path).holder(token)
    assert holder is not None
    assert (holder.name, holder.scopes) == ("crm", ("score",))


@given(st.data())
def test_nothing_but_the_token_is_the_token(made_token: tuple[Path, str], data: st.DataObject) -> None:
    path, token = made_token
    place = data.draw(st.integers(0, len(token) - 1))
    probe = data.draw(
        st.one_of(
            st.text(max_size=60),
            st.just(token[:place]),
            st.just(token + "x"),
            st.characters().map(lambda sign: token[:place] + sign + token[place + 1 :]),
        )
    )
    assert (read_keys(path).holder(probe) is not None) == (probe == token)


@pytest.fixture(scope="module")
def made_token(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("keys") / FILE
    return path, create_key(path, "crm", ["score"])


def test_rotation_keeps_the_secret_before_until_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / FILE
    first = create_key(path, "crm", ["score"])
    second = rotate_key(path, "crm")
    works = [read_keys(path).holder(token) is not None for token in (first, second)]
    third = rotate_key(path, "crm")
    later = [read_keys(path).holder(token) is not None for token in (first, second, third)]
    fourth = rotate_key(path, "crm", at_once=True)
    last = [read_keys(path).holder(token) is not None for token in (second, third, fourth)]
    assert (works, later, last) == ([True, True], [False, True, True], [False, False, True])
    revoke_key(path, "crm")
    assert read_keys(path).holder(fourth) is None


def test_what_cannot_be_is_told(tmp_path: Path) -> None:
    path = tmp_path / FILE
    create_key(path, "crm", SCOPES)
    with pytest.raises(ServingError, match="already"):
        create_key(path, "crm", ["score"])
    for name, scopes in (("", SCOPES), ("a\nb", SCOPES), ("x" * 101, SCOPES), ("other", [])):
        with pytest.raises(ServingError, match="needs a name"):
            create_key(path, name, scopes)
    for change in (rotate_key, revoke_key):
        with pytest.raises(ServingError, match="expected one of 'crm'"):
            change(path, "CRM")
        with pytest.raises(ServingError, match="expected one that was created; there is none"):
            change(tmp_path / "elsewhere" / FILE, "crm")
    path.write_text('{"keys": 7}')
    with pytest.raises(ServingError, match="cannot be read"):
        read_keys(path)


def status(client: Client, path: str, body: object, **headers: str) -> int:
    return client.send(path, body, **headers).status_code


def test_who_may_ask_what(served: Served) -> None:
    served.deploy(1)
    [lead] = requests(1)
    path = served.home.serving / FILE
    tokens = {scope: create_key(path, scope, [scope]) for scope in SCOPES}
    with served.client() as client:
        found = {
            scope: (
                status(client, "/predict", lead, **bearer(token)),
                status(client, "/explain-prediction", lead, **bearer(token)),
                status(client, "/feedback", {**FEEDBACK, "idempotency_key": scope}, **bearer(token)),
                client.get("/metrics", headers={"x-api-key": token}).status_code,
            )
            for scope, token in tokens.items()
        }
        nobody = client.send("/predict", lead)
        unknown = client.send("/predict", lead, **bearer("lsk_000000000000_x"))
        assert client.get("/health").json()["keys_needed"] is True
    assert found == {
        "score": (200, 200, 403, 403),
        "feedback": (403, 403, 200, 403),
        "admin": (200, 200, 200, 200),
    }
    assert (nobody.status_code, nobody.json()["error"]) == (401, "no_key")
    assert (unknown.status_code, unknown.json()["error"]) == (401, "unknown_key")
    assert nobody.headers["www-authenticate"] == "Bearer"
    records = served.records()
    assert {record["actor"] for record in records} >= {"score", "admin"}
    assert not any(token.split("_", 2)[2] in json.dumps(records) for token in tokens.values())


def test_keys_are_followed_without_a_restart_and_never_open_the_door_again(served: Served) -> None:
    served.deploy(1)
    [lead] = requests(1)
    path = served.home.serving / FILE
    with served.worker() as worker:
        client = Client(worker.app)

        def works(**headers: str) -> bool:
            worker.follower.look()
            return status(client, "/predict", lead, **headers) == 200

        assert works()
        token = create_key(path, "crm", ["score"])
        assert not works()
        assert works(**bearer(token))
        new = rotate_key(path, "crm", at_once=True)
        assert not works(**bearer(token))
        assert works(**bearer(new))
        content = path.read_bytes()
        path.write_bytes(b"damaged")
        assert works(**bearer(new))
        assert client.get("/health").json()["status"] == "degraded"
        path.write_bytes(content)
        revoke_key(path, "crm")
        assert not works(**bearer(new))
        path.unlink()
        assert not works()
        client.close()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.nip.io"])
def test_an_open_server_answers_under_this_machines_names_only(served: Served, host: str) -> None:
    served.deploy(1)
    with served.client() as client:
        refused = client.send("/predict", requests(1)[0], host=host)
        assert (refused.status_code, refused.json()["error"]) == (421, "host")
        for own in ("localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"):
            assert status(client, "/predict", requests(1)[0], host=own) == 200


def test_a_key_that_asks_too_often_is_told_when_it_may(served: Served) -> None:
    served.set_serving("{limits: {requests_per_second: 0.001, burst: 3}}")
    served.deploy(1)
    [lead] = requests(1)
    path = served.home.serving / FILE
    first, second = create_key(path, "a", ["score"]), create_key(path, "b", ["score"])
    with served.client() as client:
        assert [status(client, "/predict", lead, **bearer(first)) for _ in range(4)] == [200, 200, 200, 429]
        told = client.send("/predict", lead, **bearer(first))
        assert int(told.headers["retry-after"]) > 900
        assert status(client, "/predict", lead, **bearer(second)) == 200


@given(
    rate=st.floats(0.5, 50),
    burst=st.integers(1, 10),
    gaps=st.lists(st.floats(0, 2), min_size=1, max_size=60),
)
def test_never_more_pass_than_the_rate_and_the_burst_allow(rate: float, burst: int, gaps: list[float]) -> None:
    limit, now, passed = RateLimit(rate, burst), 100.0, []
    for gap in gaps:
        now += gap
        wait = limit.seconds_to_wait("key", now)
        if wait == 0:
            passed.append(now)
        else:
            again = RateLimit(rate, burst)
            again._left = dict(limit._left)
            assert again.seconds_to_wait("key", now + wait * 1.000001 + 1e-9) == 0
    for i, start in enumerate(passed):
        for j in range(i, len(passed)):
            assert j - i + 1 <= burst + rate * (passed[j] - start) + 1e-6
