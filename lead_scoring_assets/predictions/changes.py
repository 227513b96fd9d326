"""Why a lead's score is not what it was: because its data changed, or because the model did. The two parts add up.

From the old score to the new one in two steps: first the old model sees the new data, then the new model does. What the
first step changes is the data's part, what the second changes is the model's.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lead_scoring_assets.assessment.wording import NOT_GIVEN, label
from lead_scoring_assets.contracts.columns import Registry
from lead_scoring_assets.predictions.model import LoadedModel

SCHEMA = pa.schema(
    [
        ("lead_id", pa.string()),
        ("previous_period", pa.string()),
        ("previous_model_version", pa.int64()),
        ("previous_probability", pa.float64()),
        ("change_by_data", pa.float64()),
        ("change_by_model", pa.float64()),
        ("change", pa.string()),
    ]
)
_NAMED_FEATURES = 2
_MOST_NAMED = 20_000


def explain_changes(
    before: pd.DataFrame, after: pd.DataFrame, old: LoadedModel, new: LoadedModel, registry: Registry
) -> pa.Table:
    """One row for each lead that `old` scored on its row of `before` and `new` scores on its row of `after`.

    Rows are matched by place. `previous_probability` + `change_by_data` + `change_by_model` is the new probability.
    """
    p_before, p_between = old.scorer.probabilities(before), old.scorer.probabilities(after)
    p_after = p_between if new.version == old.version else new.scorer.probabilities(after)
    by_data, by_model = p_between - p_before, p_after - p_between
    # Contributions, by which features are named, are dear: of a whole CRM that was exported anew, who moved most.
    most = np.argsort(-np.abs(p_after - p_before), kind="stable")[:_MOST_NAMED]
    named = np.full(len(before), "", dtype=object)
    named[most] = [f" ({why})" for why in _changed_features(before.iloc[most], after.iloc[most], old, registry)]
    versions = f"still v{old.version}" if new.version == old.version else f"v{old.version} → v{new.version}"
    words = [
        f"{was:.3f} → {now:.3f}: data {data:+.3f}{why}, model {model:+.3f} ({versions})"
        for was, now, data, model, why in zip(p_before, p_after, by_data, by_model, named, strict=True)
    ]
    return pa.table(
        {
            "lead_id": pa.array(after["lead_id"], pa.string()),
            "previous_period": pa.array(before["period"], pa.string()),
            "previous_model_version": pa.array(np.full(len(before), old.version)),
            "previous_probability": p_before,
            "change_by_data": by_data,
            "change_by_model": by_model,
            "change": pa.array(words, pa.string()),
        },
        schema=SCHEMA,
    )


def unknown_changes(before: pd.DataFrame, version: int) -> pa.Table:
    """For leads whose old model does not load any more: that they were scored, and that the change is not known."""
    words = f"scored by v{version}, which does not load any more: what changed is not known"
    rows = [
        {"lead_id": lead, "previous_period": period, "previous_model_version": version, "change": words}
        for lead, period in zip(before["lead_id"], before["period"], strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _changed_features(before: pd.DataFrame, after: pd.DataFrame, old: LoadedModel, registry: Registry) -> list[str]:
    """For each lead the features that changed, at most two, the one that moved the old model most first."""
    columns = old.scorer.columns
    differs = np.column_stack([_differs(before[name], after[name]) for name in columns])
    moved = np.abs(old.scorer.contributions(after) - old.scorer.contributions(before))[:, :-1]
    # Unchanged features move as well, by their interactions; they are not what changed.
    moved = np.where(differs, moved, -1.0)
    found = []
    for place, order in enumerate(np.argsort(-moved, axis=1, kind="stable")):
        names = [columns[i] for i in order[:_NAMED_FEATURES] if differs[place, i]]
        more = int(differs[place].sum()) - len(names)
        told = [
            f"{_named(name, registry)} {_said(before[name].iloc[place])} → {_said(after[name].iloc[place])}"
            for name in names
        ]
        found.append(", ".join(told) + (f" and {more} more" if more else "") if told else "unchanged")
    return found


def _differs(before: pd.Series, after: pd.Series) -> npt.NDArray[np.bool_]:
    """Whether two columns hold other values, by place; not given twice is the same."""
    both: Sequence[tuple[object, object]] = list(zip(before.tolist(), after.tolist(), strict=True))
    return np.array([old != new and not (pd.isna(old) and pd.isna(new)) for old, new in both], dtype=np.bool_)  # type: ignore[call-overload]


def _named(name: str, registry: Registry) -> str:
    """The old model may know a feature that the registry does not any more."""
    return label(name, registry) if name in registry.features else name.replace("_", " ")


def _said(value: object) -> str:
    if value is None or pd.isna(value):  # type: ignore[call-overload]
        return NOT_GIVEN
    if not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.6g}"
