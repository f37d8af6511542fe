# SPDX-License-Identifier: Apache-2.0

"""Tools of the Model Context Protocol (MCP) that ask a running grounding node."""
