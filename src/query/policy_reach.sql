-- How far the reports of a window reach, by policy domain and reporter, out of the daily sums as they come: who adds them up has fewer
-- things to hold than a sort would.
SELECT d.domain, d.org_name, d.reports, d.begin_at, d.end_at FROM daily_reporter d
WHERE d.day >= (:since - 1) / 86400 - 1 AND d.day <= (:until - 1) / 86400 AND d.end_at >= :since AND d.end_at < :until AND (:verified = 0 OR d.verified)
  AND (:domain IS NULL OR d.domain = (SELECT id FROM text WHERE value = :domain))
