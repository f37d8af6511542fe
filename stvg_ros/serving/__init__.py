# SPDX-License-Identifier: Apache-2.0

"""The model on another machine: what a client sends and a server answers, and both ends."""
