"""What a single setting may be, and what all sections have in common."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _day(value: object) -> object:
    """Only a day as people write it: a bare number would be read as seconds since 1970."""
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)  # type: ignore[arg-type]  # what is no text is refused as well
    except (TypeError, ValueError):
        raise ValueError("expected a day such as 2008-05-01") from None


# Strict, because YAML's `yes` would otherwise count as 1.
Count = Annotated[int, Field(gt=0, strict=True)]
Seed = Annotated[int, Field(ge=0, strict=True)]
Days = Annotated[int, Field(ge=0, le=3_660, strict=True)]
Amount = Annotated[float, Field(gt=0, strict=True)]
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Algorithm = Literal["xgboost", "lightgbm", "logistic"]
Day = Annotated[date, BeforeValidator(_day)]


class Section(BaseModel):
    """Frozen, and a key that nobody reads is an error rather than silence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
