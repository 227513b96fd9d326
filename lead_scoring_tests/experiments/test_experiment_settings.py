"""The section `experiments` of the settings: what cannot be is named."""

import pytest
from pydantic import ValidationError

from lead_scoring_assets.settings import ExperimentPolicy


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"treatment_share": 0.0}, "treatment_share"),
        ({"treatment_share": 1.0}, "treatment_share"),
        ({"significance": 0.5}, "significance"),
        ({"age_days": 0}, "a lead needs time to convert"),
        ({"maximum_days": 7}, "maximum_days 7 must not be below minimum_days 14"),
        ({"minimum_units": 0}, "minimum_units"),
        ({"alpha": 0.05}, "alpha"),
    ],
)
def test_what_cannot_be_is_named(wrong: dict[str, float], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        ExperimentPolicy(**wrong)  # type: ignore[arg-type]
