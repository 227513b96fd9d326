"""The exact shapes that receivers expect, and texts from outside that must not become anything but text."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.alerts.delivery import payloads
from lead_scoring_assets.alerts.delivery.payloads import Place
from lead_scoring_tests.alerts.worlds import message, raised

PLACE = Place("free-zone", "https://monitoring.example.org/lead-scoring")
DRIFT = raised(
    "warning",
    "feature_drift:no_feature_drifted",
    "PSI of the feature that drifted most: 0.31",
    alert_id="alert-data_drift_psi-2008-08-warning",
    figures={"data_drift_psi": 0.31, "n": 1200},
    at=datetime(2008, 9, 1, 8, 30, tzinfo=UTC),
)
LINK = "https://monitoring.example.org/lead-scoring?episode=alert-data_drift_psi-2008-08-warning"


def test_slack() -> None:
    assert payloads.slack(message(DRIFT), PLACE, "#ml-alerts") == {
        "channel": "#ml-alerts",
        "attachments": [
            {
                "color": "#ffcc00",
                "title": "🚨 feature_drift:no_feature_drifted",
                "text": "PSI of the feature that drifted most: 0.31",
                "fields": [
                    {"title": "data_drift_psi", "value": "0.31", "short": True},
                    {"title": "n", "value": "1200", "short": True},
                    {"title": "episode", "value": "alert-data_drift_psi-2008-08-warning", "short": True},
                ],
                "footer": f"<{LINK}|View Dashboard>",
                "ts": 1220257800,
            }
        ],
    }


def test_slack_colours_and_an_end_in_green() -> None:
    def colour(*, level: str = "critical", action: str = "raise") -> str:
        told = payloads.slack(message(raised(level), action=action), PLACE, "#ml-alerts")  # type: ignore[arg-type]
        found: str = told["attachments"][0]["color"]
        return found

    assert (colour(level="info"), colour(level="critical"), colour(action="resolve")) == (
        "#36a64f",
        "#ff0000",
        "#36a64f",
    )


JSON = {
    "action": "raise",
    "severity": "warning",
    "title": "feature_drift:no_feature_drifted",
    "message": "PSI of the feature that drifted most: 0.31",
    "timestamp": "2008-09-01T08:30:00+00:00",
    "metrics": {"data_drift_psi": 0.31, "n": 1200},
    "dashboard_link": LINK,
    "subject": "feature_drift:no_feature_drifted",
    "episode_id": "alert-data_drift_psi-2008-08-warning",
    "alert_ids": ["alert-data_drift_psi-2008-08-warning"],
    "source": "free-zone",
}


def test_webhook() -> None:
    assert payloads.webhook(message(DRIFT), PLACE) == JSON


def test_pagerduty_triggers_and_resolves_the_same_incident() -> None:
    identity = {"routing_key": "R0", "dedup_key": "alert-data_drift_psi-2008-08-warning"}
    assert payloads.pagerduty(message(DRIFT), PLACE, "R0") == {
        **identity,
        "event_action": "trigger",
        "payload": {
            "summary": "feature_drift:no_feature_drifted: PSI of the feature that drifted most: 0.31",
            "severity": "warning",
            "source": "free-zone",
            "timestamp": "2008-09-01T08:30:00+00:00",
            "custom_details": JSON,
        },
        "links": [{"href": LINK, "text": "View Dashboard"}],
    }
    assert payloads.pagerduty(message(DRIFT, action="resolve"), PLACE, "R0") == {**identity, "event_action": "resolve"}


def test_mail() -> None:
    assert payloads.subject(message(DRIFT)) == "[warning] feature_drift:no_feature_drifted"
    assert payloads.subject(message(DRIFT, action="resolve")).startswith("[warning] resolved: ")
    assert payloads.subject(message(DRIFT, action="escalate")).startswith("[warning] not acknowledged: ")
    assert payloads.plain(message(DRIFT), PLACE).splitlines() == [
        "PSI of the feature that drifted most: 0.31",
        "",
        "data_drift_psi: 0.31",
        "n: 1200",
        "episode: alert-data_drift_psi-2008-08-warning",
        f"Dashboard: {LINK}",
    ]


def test_a_digest_names_its_alerts_and_counts_the_rest() -> None:
    told = message(DRIFT, *(raised(alert_id=f"alert-{n}", message=f"bad {n}") for n in range(40)))
    assert payloads.title(told) == "41 more alerts, the worst critical"
    lines = payloads.text(told).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "and 21 more"
    assert lines[1] == "[critical] bad 0"
    assert len(payloads.webhook(told, PLACE)["alert_ids"]) == 41


ANY_TEXT = st.text(max_size=5_000)


@given(ANY_TEXT, ANY_TEXT)
def test_no_text_breaks_out_of_a_title_or_exceeds_what_is_taken(subject: str, told: str) -> None:
    sent = message(raised(subject=subject, message=told, alert_id=f"alert-{subject[:400]}"))
    title = payloads.subject(sent)
    assert len(title.splitlines()) <= 1
    assert not any(ord(character) < 32 or character in "\x7f\u2028\u2029" for character in title)
    event = payloads.pagerduty(sent, PLACE, "R0")
    assert len(event["payload"]["summary"]) <= 1024
    assert "\n" not in event["payload"]["summary"]
    assert len(event["dedup_key"]) <= 255
    [attachment] = payloads.slack(sent, PLACE, "#ml-alerts")["attachments"]
    assert "<" not in attachment["title"] + attachment["text"]
    assert len(payloads.text(sent)) <= 3000
    json.dumps([event, attachment])


def test_long_keys_stay_apart() -> None:
    keys = {
        payloads.pagerduty(message(raised(alert_id="x" * 300 + end)), PLACE, "R0")["dedup_key"] for end in ("a", "b")
    }
    assert len(keys) == 2


def test_a_lead_mentions_nobody_in_slack() -> None:
    told = payloads.slack(message(raised(message="<!channel> & <https://evil.example|click>")), PLACE, "#ml-alerts")
    assert told["attachments"][0]["text"] == "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;"


def test_the_link_holds_the_whole_episode() -> None:
    link = PLACE.link(message(raised(alert_id="alert-check-1-raw leads:größe&x=1")))
    assert link.endswith("?episode=alert-check-1-raw%20leads%3Agr%C3%B6%C3%9Fe%26x%3D1")
