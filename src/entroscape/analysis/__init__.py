"""From landscapes and baselines to curves, advantages and verdicts."""
