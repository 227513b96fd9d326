"""The script that Dagster Pipes starts, in a process of its own: it brings the plan to Spark and tells how far it is."""

from dagster_pipes import open_dagster_pipes

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.features.spark import SparkTask, run


def main() -> None:
    """Do the task in the extras. What people must mend goes back as a message, so that they read no traceback."""
    with open_dagster_pipes() as pipes:
        try:
            for done in run(SparkTask.model_validate(dict(pipes.extras))):
                pipes.log.info("%s: features of %d leads computed by Spark", done.period, done.rows)
                pipes.report_custom_message(done.model_dump())
        except LeadScoringError as problem:
            pipes.report_custom_message({"problem": str(problem)})


if __name__ == "__main__":
    main()
