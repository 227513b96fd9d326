"""Guardrails that the live model violates, as alerts. Who judges it, and rolls it back, stands in `monitoring/service/`."""

from collections.abc import Sequence

from lead_scoring_assets.alerts.alerts import Alert
from lead_scoring_assets.alerts.episodes import RaisedAlert
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.service.watching import newest_evaluation

_PREFIX = "alert-guardrail-"


def alerts_on_guardrails(installation: Installation) -> list[Alert]:
    """One alert for all of the time in which a version violates a guardrail: critical where that takes it back, or where
    the tail of the latency is slow."""
    evaluation = newest_evaluation(installation)
    if evaluation is None:
        return []
    version = evaluation["model_version"]
    return [
        Alert(
            alert_id=f"{_PREFIX}{each['name']}-v{version}-{each['since']}",
            level=each["severity"],
            subject=f"api:{each['name']}",
            message=f"v{version} violates a guardrail: {each['reason']}"
            + (f" ({evaluation['action'].replace('_', ' ')})" if each["remedy"] == "roll_back" else ""),
            evidence={each["name"]: each["value"], "limit": each["limit"], "n": each["n"]},
        )
        for each in evaluation["guardrails"]
        if each["state"] == "violated"
    ]


def kept_again(opened: Sequence[RaisedAlert], violated: Sequence[Alert]) -> list[tuple[RaisedAlert, tuple[str, ...]]]:
    """Open alerts on guardrails that are violated no longer, as `AlertDesk.end` takes them."""
    still = {alert.alert_id for alert in violated}
    return [
        (alert, alert.periods) for alert in opened if alert.alert_id.startswith(_PREFIX) and alert.alert_id not in still
    ]
