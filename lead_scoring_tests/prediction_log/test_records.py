import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.errors import PredictionLogError
from lead_scoring_assets.prediction_log.records import KINDS, line_of, record_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
MAYBE = st.none() | TEXT
WHOLE = st.integers(0, 2**53)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
BASE = {"request_id": TEXT, "worker": TEXT, "at": TEXT}
FEATURES = st.dictionaries(TEXT, NUMBER | TEXT | st.none() | WHOLE, max_size=5)
SCORE = {
    "kind": st.just("score"),
    "shadow_version": st.none() | WHOLE,
    **BASE,
    "lead_id": TEXT,
    "endpoint": TEXT,
    "status": WHOLE,
    "source": st.sampled_from(["model", "fallback"]),
    "model_version": st.none() | WHOLE,
    "score": NUMBER,
    "bucket": TEXT,
    "latency_us": WHOLE,
    "arm": st.sampled_from([None, "champion", "challenger", "process"]),
    "share_bp": WHOLE,
    "rollout_id": MAYBE,
    "experiment_id": MAYBE,
    "unit_id": MAYBE,
    "propensity": NUMBER,
    "explored": st.booleans(),
    "features": FEATURES,
    "actor": MAYBE,
}
SHADOW = {
    "kind": st.just("shadow"),
    "of_segment": TEXT,
    "of_byte": WHOLE,
    **BASE,
    "lead_id": TEXT,
    "champion_version": WHOLE,
    "champion_score": NUMBER,
    "shadow_version": WHOLE,
    "shadow_score": st.none() | NUMBER,
    "champion_latency_us": WHOLE,
    "shadow_latency_us": st.none() | WHOLE,
    "outcome": st.sampled_from(["scored", "failed", "timeout", "dropped", "not_finite"]),
    "reason": MAYBE,
}
ERROR = {
    "kind": st.just("error"),
    **BASE,
    "endpoint": TEXT,
    "status": WHOLE,
    "error": TEXT,
    "latency_us": WHOLE,
    "lead_id": MAYBE,
    "actor": MAYBE,
}
FEEDBACK = {
    "kind": st.just("feedback"),
    **BASE,
    "lead_id": TEXT,
    "outcome": TEXT,
    "outcome_at": TEXT,
    "deal_value": st.none() | NUMBER,
    "currency": MAYBE,
    "reason": MAYBE,
    "rep": MAYBE,
    "idempotency_key": TEXT,
    "actor": MAYBE,
}
RECORDS = st.one_of(*(st.fixed_dictionaries(kind) for kind in (SCORE, SHADOW, ERROR, FEEDBACK)))


@given(RECORDS)
def test_a_record_is_read_back_as_it_was_from_one_line(record: Any) -> None:
    line = line_of(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert len(line.decode().splitlines(keepends=True)[0].encode()) <= len(line)
    assert record_of(line) == record
    assert json.loads(line) == record


def test_every_kind_was_tried() -> None:
    assert set(KINDS) == {"score", "shadow", "error", "feedback"}


@given(RECORDS, st.data())
def test_a_cut_or_changed_line_is_refused_in_words(record: Any, data: st.DataObject) -> None:
    line = line_of(record)
    with pytest.raises(PredictionLogError, match="cannot be read"):
        record_of(line[: data.draw(st.integers(0, len(line) - 2))])
    changed = {**record, data.draw(st.sampled_from(sorted(record))): [1]}
    with pytest.raises(PredictionLogError, match="cannot be read"):
        record_of(line_of(changed))


@pytest.mark.parametrize("line", [b"", b"[]", b"1", b'{"kind": "other"}', b'{"kind": []}', b"\xff"])
def test_what_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(PredictionLogError, match="expected one JSON object"):
        record_of(line)
