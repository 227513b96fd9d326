"""What holds of every log that several machines send theirs to."""

from lead_scoring_assets.prediction_log.forwarding import SharedLog
from lead_scoring_assets.prediction_log.ingestion import ingest
from lead_scoring_assets.prediction_log.tables import PREDICTIONS
from lead_scoring_assets.prediction_log.writer import LogWriter
from lead_scoring_tests.prediction_log.test_ingestion import accounted
from lead_scoring_tests.prediction_log.worlds import World, feedback, lines, score


def nothing_is_taken_in_twice_by_another_sink(world: World, log: SharedLog) -> None:
    """What was taken in stays in its folder for a while, and is sent like everything else."""
    writer = LogWriter(world.folder, "w1")
    writer.write(lines([score(1)]))
    world.log(score(2), feedback(1))
    assert ingest(world.house, world.source).lines == 3
    assert log.send(world.source) == 3
    assert ingest(world.house, log).lines == 0
    writer.write(lines([score(3)]))
    log.send(world.source)
    assert ingest(world.house, log).lines == 1
    assert ingest(world.house, world.source).lines == 0  # and back
    writer.write(lines([score(4)]))
    assert ingest(world.house, world.source).lines == 1
    writer.close()
    log.send(world.source)
    assert ingest(world.house, log).lines == 0
    assert sorted(world.column(PREDICTIONS, "lead_id")) == [f"lead {n}" for n in range(1, 5)]
    accounted(world)
