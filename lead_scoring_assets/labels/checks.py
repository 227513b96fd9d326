"""Asset checks of the ground truth; what they ask stands in `quality.py`."""

from lead_scoring_assets.checks import contract_check, watch_check
from lead_scoring_assets.labels import quality

CHECKS = [
    contract_check("ground_truth_labels", quality.one_label_per_lead),
    contract_check("ground_truth_labels", quality.no_label_before_its_time),
    contract_check("ground_truth_labels", quality.taken_back_by_word_only),
    watch_check("label_coverage", quality.closed_cohorts_are_labelled),
]
