# SPDX-License-Identifier: Apache-2.0

"""Candidate tubes of people: detectors, ByteTrack, camera motion."""
