# SPDX-License-Identifier: Apache-2.0

"""Sources of candidate tubes behind the `Proposer` protocol."""
