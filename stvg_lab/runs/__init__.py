# SPDX-License-Identifier: Apache-2.0

"""Evaluation runs: records, scores, summaries, comparisons."""
