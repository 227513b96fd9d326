"""Processes of a test's own that need not import everything again: each is forked from one that has, and that has done
nothing else. A session's first test that starts one decides what it has imported: hence one list for all."""

import multiprocessing

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["lead_scoring_tests.lakehouse.test_tables", "lead_scoring_tests.leads.bringing_in"],
)
