# SPDX-License-Identifier: Apache-2.0

"""Reading and writing: recordings, videos, camera messages, and answers as JSON."""
