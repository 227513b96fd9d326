"""Pages that people open. They render what other parts of monitoring measured, and judge nothing."""
