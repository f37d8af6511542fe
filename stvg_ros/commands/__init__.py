# SPDX-License-Identifier: Apache-2.0

"""Reads spoken or written commands: from a sentence to a `Command`."""
