"""The search: ranges, sampler, pruning, trial steps and their cost."""
