-- Periods that aggregate reports cover which lie in the window as a whole, by reporter. Where some report of a period is gone, it
-- is left out: its sums do not tell all that complaints are compared with.
SELECT o.value AS org_name, d.begin_at, d.end_at
FROM daily_reporter d JOIN text o ON o.id = d.org_name
WHERE d.day >= period_day(:since) AND d.day <= period_day(:until) AND d.end_at >= :since AND d.end_at < :until
  AND d.begin_at >= :since AND NOT EXISTS (SELECT 1 FROM summed_report s WHERE s.end_at = d.end_at)
  AND (:domain IS NULL OR d.domain = (SELECT id FROM text WHERE value = :domain))
GROUP BY d.org_name, d.begin_at, d.end_at
