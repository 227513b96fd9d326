"""What the API answers and what it keeps: contracts, equality with batch scoring, and one record for every request."""

import contextlib
import math
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from lead_scoring_assets.contracts.columns import OUTCOMES
from lead_scoring_assets.predictions.buckets import bucket_of_one
from lead_scoring_assets.predictions.scoring import bucket_of
from lead_scoring_tests.serving.served import NOW, Client, Served, as_features, as_json, requests

JSON = {"content-type": "application/json"}
FEEDBACK = {"lead_id": "x", "outcome": "converted", "outcome_at": "2008-12-24T10:00:00+04:00", "idempotency_key": "k-1"}


@pytest.mark.parametrize("version", [1, 2, 3])
def test_api_batch_and_tables_give_a_lead_one_score_to_the_last_bit(served: Served, version: int) -> None:
    served.deploy(version)
    bodies = requests(150)
    scorer = served.scorer(version)
    with served.client() as client:
        single = [client.send("/predict?exact=true", body).json() for body in bodies]
        batch = client.send("/predict/batch?exact=true", {"leads": bodies}).json()
        assert client.get("/health").json()["scoring_path"] == ("library" if version == 3 else "one_row")
    expected = [float(scorer.batch_probabilities(pa.RecordBatch.from_pandas(as_features(body)))[0]) for body in bodies]
    assert [answer["score_exact"] for answer in single] == expected
    assert [answer["score_exact"] for answer in batch["results"]] == expected
    assert len(set(expected)) > 100  # probabilities, not classes
    kept = served.records("score")
    assert [record["score"] for record in kept] == expected * 2
    for body, record in zip(bodies, kept, strict=False):
        frame = as_features(body)
        found = scorer.encoder.encode_rows([record["features"]])
        assert found.tobytes() == scorer.encoder.encode(frame).tobytes()


def test_an_answer_is_as_the_documents_have_it(served: Served) -> None:
    served.deploy(1)
    [body] = requests(1)
    with served.client() as client:
        for path in ("/predict", "/score-lead"):
            answer = client.send(path, body).json()
            assert list(answer) == ["lead_id", "lead_score", "score_bucket", "model_version", "scored_at", "source"]
            assert answer["lead_id"] == body["lead_id"]
            assert answer["lead_score"] == round(answer["lead_score"], 4)
            assert answer["model_version"] == "v1"
            assert datetime.fromisoformat(answer["scored_at"]) == NOW
            assert answer["source"] == "model"
    limits = served.home.settings.scoring.buckets
    assert answer["score_bucket"] == bucket_of_one(served.records("score")[0]["score"], limits)


@pytest.mark.parametrize("limit", [0.3, 0.5, 0.8])
def test_a_limit_belongs_to_its_bucket_as_in_batch(limit: float) -> None:
    import numpy as np

    limits = {"Hot": 0.8, "Warm": 0.5, "Cool": 0.3}
    for probability in (math.nextafter(limit, 0), limit, math.nextafter(limit, 1), 0.0, 1.0):
        assert bucket_of_one(probability, limits) == bucket_of(np.array([probability]), limits)[0]


def test_one_bad_lead_of_a_batch_is_told_in_its_place(served: Served) -> None:
    served.deploy(1)
    good, bad, other = requests(3)
    with served.client() as client:
        answer = client.send("/predict/batch", {"leads": [good, {**bad, "age": "old"}, other, 7]}).json()
    assert (answer["scored"], answer["refused"]) == (2, 2)
    assert [result["index"] for result in answer["results"]] == [0, 1, 2, 3]
    assert [result.get("lead_id") for result in answer["results"]] == [good["lead_id"], None, other["lead_id"], None]
    assert [detail["field"] for detail in answer["results"][1]["details"]] == ["age"]
    assert [(r["kind"], r["request_id"]) for r in served.records()] == [
        (kind, served.records()[0]["request_id"]) for kind in ("score", "score", "error", "error")
    ]


def test_a_batch_of_nothing_and_one_that_is_too_long(served: Served) -> None:
    served.set_serving("{limits: {batch_leads: 2}}")
    served.deploy(1)
    with served.client() as client:
        assert client.send("/predict/batch", {"leads": []}).json() == {"results": [], "scored": 0, "refused": 0}
        refused = client.send("/predict/batch", {"leads": requests(3)})
        assert (refused.status_code, refused.json()["error"]) == (413, "too_many_leads")
        for body in ([], {}, {"leads": 1}, {"leads": [], "more": 1}):
            assert client.send("/predict/batch", body).status_code == 422


def test_contributions_add_up_to_the_score(served: Served) -> None:
    served.deploy(1)
    with served.client() as client:
        for body in requests(12):
            told = client.send("/explain-prediction", body).json()
            total = told["base"] + sum(told["contributions"].values())
            exact = told["score_exact"]
            assert total == pytest.approx(math.log(exact / (1 - exact)), abs=1e-5)
            assert set(told["contributions"]) == set(body) - {"lead_id"}
            assert exact == client.send("/predict?exact=true", body).json()["score_exact"]
            assert told["reasons"]
    assert {record["endpoint"] for record in served.records("score")} == {"/explain-prediction", "/predict"}


def test_health_is_503_until_a_verified_model_is_loaded(served: Served) -> None:
    with served.worker() as worker, contextlib.closing(Client(worker.app)) as client:
        assert (client.get("/health").status_code, client.get("/health").json()["status"]) == (503, "no_model")
        refused = client.send("/predict", requests(1)[0])
        assert (refused.status_code, refused.json()["error"]) == (503, "no_model")
        assert refused.headers["retry-after"] == "1"
        served.deploy(1, 2, last_label_at=datetime(2008, 12, 31, tzinfo=UTC))
        worker.follower.look()
        told = client.get("/health").json()
    assert told["status"] == "ok"
    assert (told["model_version"], told["challenger_version"], told["traffic"]) == ("v1", "v2", "shadow")
    assert told["model_age_seconds"] == (NOW - datetime(2008, 12, 1, tzinfo=UTC)).total_seconds()
    assert told["last_label_at"] == "2008-12-31T00:00:00+00:00"
    assert told["keys_needed"] is False


def test_a_damaged_model_is_never_served(served: Served) -> None:
    served.deploy(1)
    with served.worker() as worker, contextlib.closing(Client(worker.app)) as client:
        file = served.home.data / served.models[2].bundle / "calibrator.json"
        file.write_bytes(file.read_bytes().replace(b"1.7", b"1.8"))
        served.deploy(2)
        worker.follower.look()
        told = client.get("/health").json()
        assert (told["status"], told["model_version"]) == ("degraded", "v1")
        assert "models/v2" not in client.get("/health").text
        assert client.send("/predict", requests(1)[0]).json()["model_version"] == "v1"
        served.deploy(1)
        worker.follower.look()
        assert client.get("/health").json()["status"] == "ok"


def test_every_request_is_one_record(served: Served) -> None:
    served.deploy(1)
    [body] = requests(1)
    with served.client() as client:
        asked = [
            client.post("/predict", content=as_json(body), headers={**JSON, "x-request-id": "mine-1"}),
            client.send("/predict", {**body, "duration": 3}),
            client.post("/predict", content=b"{", headers=JSON),
            client.post("/predict", content=as_json(body)),
            client.get("/predict"),
            client.get("/no-such-address"),
            client.send("/feedback", FEEDBACK),
        ]
        client.get("/health")
        client.get("/metrics")
    statuses = [200, 422, 422, 415, 405, 404, 200]
    assert [answer.status_code for answer in asked] == statuses
    ids = [answer.headers["x-request-id"] for answer in asked]
    assert ids[0] == "mine-1"
    assert len(set(ids)) == len(ids)
    records = served.records()
    assert [record["request_id"] for record in records] == ids
    assert [record.get("status", 200) for record in records] == statuses
    assert [record.get("error") for record in records] == [
        None, "validation", "validation", "media_type", "method", "not_found", None
    ]  # fmt: skip
    assert all(record["latency_us"] >= 0 for record in records[:-1])
    for answer in asked[1:6]:
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("sent", ["", "has blank", "ünï", "x" * 65, "<script>"])
def test_what_is_no_request_id_is_not_taken_over(served: Served, sent: str) -> None:
    served.deploy(1)
    with served.client() as client:
        answer = client.get("/health", headers={"x-request-id": sent.encode("latin-1")})
    assert answer.headers["x-request-id"] != sent


def test_refusals_name_fields_and_repeat_nothing(served: Served) -> None:
    served.deploy(1)
    [body] = requests(1)
    secret = "<b>Zoë's secret</b>"
    with served.client() as client:
        answer = client.send("/predict", {**body, "job": secret, "age": secret, "balance": math.inf, "lead_id": ""})
    assert answer.status_code == 422
    assert {detail["field"] for detail in answer.json()["details"]} == {"job", "age", "balance", "lead_id"}
    assert "secret" not in answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_column_known_after_the_outcome_is_refused_by_name(served: Served) -> None:
    served.deploy(1)
    with served.client() as client:
        answer = client.send("/predict", {**requests(1)[0], "duration": 300})
    assert [detail["field"] for detail in answer.json()["details"]] == ["duration"]


def test_feedback_is_recorded_once_however_often_and_wherever_it_is_sent(served: Served) -> None:
    with served.client() as client, served.client("w1") as second:
        assert client.send("/feedback", FEEDBACK).json()["is_new"] is True
        assert second.send("/feedback", FEEDBACK).json()["is_new"] is False
        changed = client.send("/feedback", {**FEEDBACK, "outcome": "lost"})
        assert (changed.status_code, changed.json()["error"]) == (409, "conflict")
    with served.client() as again:
        assert again.send("/feedback", FEEDBACK).json()["is_new"] is False
        assert again.send("/feedback", {**FEEDBACK, "idempotency_key": "k-2"}).json()["is_new"] is True
    kept = sorted(served.records("feedback"), key=lambda record: record["idempotency_key"])
    assert [record["idempotency_key"] for record in kept] == ["k-1", "k-2"]
    assert kept[0]["outcome_at"] == "2008-12-24T06:00:00.000000+00:00"


def test_an_outcome_that_has_not_happened_is_not_taken(served: Served) -> None:
    """It would be rejected later, and the lead count as lost. A caller's clock may be minutes ahead of ours."""
    ahead = [(NOW + timedelta(minutes=minutes)).isoformat() for minutes in (4, 6)]
    with served.client() as client:
        soon, later = (client.send("/feedback", {**FEEDBACK, "outcome_at": at, "idempotency_key": at}) for at in ahead)
    assert (soon.status_code, later.status_code, later.json()["error"]) == (200, 409, "not_yet")
    [detail] = later.json()["details"]
    assert detail["problem"].endswith(f"here it is {NOW.isoformat()}")
    assert [record["idempotency_key"] for record in served.records("feedback")] == ahead[:1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("outcome", "won"), ("outcome", None), ("outcome_at", "2008-12-24T10:00:00"), ("outcome_at", "yesterday"),
        ("outcome_at", "1899-12-31T00:00:00-14:00"), ("outcome_at", "3000-01-01T00:00:00+14:00"), ("outcome_at", "1700000000"),
        ("outcome_at", 7), ("deal_value", -1), ("deal_value", 10),
        ("deal_value", "10"), ("currency", "AED"), ("predicted_score", 0.9), ("lead_id", ""), ("reason", "x" * 2_001),
        ("idempotency_key", ""),
    ],
)  # fmt: skip
def test_feedback_that_cannot_be_is_refused_by_field(served: Served, field: str, value: object) -> None:
    with served.client() as client:
        answer = client.send("/feedback", {**FEEDBACK, field: value})
    assert answer.status_code == 422
    assert served.records("feedback") == []
    assert {detail["field"] for detail in answer.json()["details"]} <= {field, "(the whole body)"}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_of_the_contract_is_feedback(served: Served, outcome: str) -> None:
    text = "Robert'); DROP TABLE leads;-- O'Brien 'None' \u202e\x00\n<script>"
    body = {**FEEDBACK, "outcome": outcome, "reason": text, "deal_value": 1e6, "currency": "AED"}
    with served.client() as client:
        assert client.send("/feedback", body).status_code == 200
    [record] = served.records("feedback")
    assert (record["outcome"], record["reason"], record["deal_value"]) == (outcome, text, 1e6)


def test_nobody_is_answered_whose_record_is_not_kept(served: Served) -> None:
    served.deploy(1)
    log = served.home.serving / "log"
    log.mkdir(parents=True)
    with served.client() as client:
        log.rmdir()
        log.write_text("a file where the folder should be")
        refused = client.send("/predict", requests(1)[0])
        assert (refused.status_code, refused.json()["error"]) == (503, "log")
        assert str(served.root) not in refused.text
        assert client.get("/health").json()["log_can_be_written"] is False
        assert client.send("/feedback", FEEDBACK).status_code == 503
        log.unlink()
        assert client.send("/predict", requests(1)[0]).status_code == 200
        assert client.send("/feedback", FEEDBACK).json()["is_new"] is True
        assert client.get("/health").json()["status"] == "ok"


def test_metrics_are_those_of_all_workers(served: Served) -> None:
    served.deploy(1)
    [body] = requests(1)
    with served.client() as client, served.client("w1") as second:
        for _ in range(3):
            client.send("/predict", body)
            second.send("/predict", body)
        second.send("/predict", {})
        told = client.get("/metrics").text
        assert 'lead_scoring_requests_total{endpoint="/predict",status="2xx"} 6.0' in told
        assert 'lead_scoring_requests_total{endpoint="/predict",status="4xx"} 1.0' in told
        assert 'lead_scoring_request_seconds_count{endpoint="/predict"} 7.0' in told
        assert 'lead_scoring_leads_total{source="model"} 6.0' in told
        assert "lead_scoring_model_version 1.0" in told
    with served.client() as again:  # a worker that was started again goes on counting
        assert 'lead_scoring_requests_total{endpoint="/predict",status="2xx"} 6.0' in again.get("/metrics").text


def test_the_document_names_every_endpoint_and_the_registrys_features(served: Served) -> None:
    with served.client() as client:
        told = client.get("/openapi.json").json()
        assert client.get("/docs").status_code == 200
    assert set(told["paths"]) == {
        "/predict", "/score-lead", "/predict/batch", "/explain-prediction", "/feedback", "/health", "/metrics"
    }  # fmt: skip
    lead = told["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(lead["properties"]) == {"lead_id", "rep", *served.home.settings.registry.features}
