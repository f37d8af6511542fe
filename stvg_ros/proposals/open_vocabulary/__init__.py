# SPDX-License-Identifier: Apache-2.0

"""Candidate tubes of what a query names: a text detector and a mask tracker."""
