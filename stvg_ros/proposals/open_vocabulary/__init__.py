# SPDX-License-Identifier: Apache-2.0

"""Candidate tubes of the objects that a query names: text detector and mask tracker."""
