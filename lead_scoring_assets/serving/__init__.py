"""The scoring API: it answers leads one at a time, by the model that is live, and loses none."""
