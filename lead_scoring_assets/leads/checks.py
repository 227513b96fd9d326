"""Asset checks of the raw tables; what they ask stands in `quality.py`."""

from lead_scoring_assets.checks import contract_check, watch_check
from lead_scoring_assets.leads import quality

CHECKS = [
    contract_check("arrived_files", quality.rows_accounted_for),
    contract_check("raw_leads", quality.lead_versions_whole),
    contract_check("raw_leads", quality.leads_keep_contract),
    contract_check("raw_activities", quality.activity_versions_whole),
    contract_check("raw_activities", quality.activities_keep_contract),
    contract_check("raw_outcomes", quality.outcome_versions_whole),
    contract_check("raw_outcomes", quality.outcomes_keep_contract),
    watch_check("raw_activities", quality.activities_have_leads),
    watch_check("raw_outcomes", quality.outcomes_fit_their_leads),
    watch_check("raw_outcomes", quality.outcomes_reversed),
    watch_check("rejected_rows", quality.few_rejected),
    watch_check("arrived_files", quality.files_readable),
]
