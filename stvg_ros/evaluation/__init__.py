"""Metrics, rendered scenes and rosbag reading."""
