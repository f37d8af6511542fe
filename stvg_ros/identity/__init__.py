# SPDX-License-Identifier: Apache-2.0

"""Who is who: what people look like, whether two tubes are one person, and who was seen before."""
