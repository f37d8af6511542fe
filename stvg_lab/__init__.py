# SPDX-License-Identifier: Apache-2.0

"""What measures, annotates and trains: data sets, runs and scores, rendered scenes, benchmarks.

Imports `stvg_ros`; the robot's package never imports this one.
"""
