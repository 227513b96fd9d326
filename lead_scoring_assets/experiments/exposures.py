"""Who saw which arm first: one exposure a unit however often it was scored, from the prediction log's table."""

from datetime import datetime
from typing import Any

import pyarrow as pa

from lead_scoring_assets.experiments.experiment import Experiment
from lead_scoring_assets.lakehouse.query import query

_ANSWERED = """
answered AS (
    SELECT lead_id, unit_id, "at", arm, propensity, explored, score, model_version,
           first_value(arm) OVER of_unit AS first_arm
    FROM served
    WHERE experiment_id = $1 AND "at" <= $2 AND status = 200 AND arm IS NOT NULL AND unit_id IS NOT NULL
    WINDOW of_unit AS (PARTITION BY unit_id ORDER BY "at", arm, lead_id)
)"""

_EXPOSURES = f"""
WITH {_ANSWERED}
SELECT unit_id, first_arm AS arm, min("at") AS exposed_at, arg_min(propensity, "at") AS propensity,
       arg_min(explored, "at") AS explored, count(*) AS answers, bool_or(arm <> first_arm) AS crossed
FROM answered GROUP BY unit_id, first_arm ORDER BY unit_id
"""  # noqa: S608  # only a constant is pasted in

_EXPOSED_LEADS = f"""
WITH {_ANSWERED}
SELECT lead_id, unit_id, first_arm AS arm, "at" AS exposed_at, propensity, explored, score, model_version
FROM answered QUALIFY row_number() OVER (PARTITION BY lead_id ORDER BY "at", arm, unit_id) = 1
ORDER BY lead_id
"""  # noqa: S608  # only a constant is pasted in


def exposures(served: Any, experiment: Experiment, as_of: datetime) -> pa.Table:
    """One row a unit: the arm of its first answer, which is its arm for good, and when.

    A unit is compared as it was drawn, whatever it saw later (intention to treat); `crossed` says that it saw another arm too.
    An answer of the fallback counts as well: that the treatment fails is a property of the treatment.

    Args:
        served: table or dataset `served_predictions`.
        experiment: whose answers are meant.
        as_of: what was answered later is left out.
    """
    return query(_EXPOSURES, {"served": served}, [experiment.experiment_id, as_of])


def exposed_leads(served: Any, experiment: Experiment, as_of: datetime) -> pa.Table:
    """One row a lead: its unit's arm, and its own first answer with the score that it gave."""
    return query(_EXPOSED_LEADS, {"served": served}, [experiment.experiment_id, as_of])
