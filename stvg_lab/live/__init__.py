# SPDX-License-Identifier: Apache-2.0

"""Evaluation of a running node: bag player, client, results."""
