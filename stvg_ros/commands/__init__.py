# SPDX-License-Identifier: Apache-2.0

"""Commands as people say them: from a sentence to what the robot is asked to do."""
