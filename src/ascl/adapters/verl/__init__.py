"""The verl path (extra `verl`): the same rollout, reward and advantages on a cluster (docs/verl.md)."""
