"""Sources of candidate tubes behind the `Proposer` protocol."""
