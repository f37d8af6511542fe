# SPDX-License-Identifier: Apache-2.0

"""Grounding on a remote server: client, server and the protocol between them."""
