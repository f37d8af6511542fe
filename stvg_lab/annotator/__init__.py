# SPDX-License-Identifier: Apache-2.0

"""The annotation page: a small web server on this machine, and the page that it serves."""
