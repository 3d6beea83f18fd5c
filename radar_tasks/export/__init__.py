"""Results in the formats of leaderboards, papers and trackers.

Every value says its one metric, how many questions it rests on, which data (checksum) and which version of this
package; `sds` and `sds_logit` are never put under one name.
"""
