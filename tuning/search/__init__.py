"""The search: ranges, sampler, pruning, the steps of a trial and their cost."""
