-- Policy domains that aggregate reports of the window are about.
SELECT t.value AS domain FROM (
  SELECT DISTINCT d.domain FROM daily_reporter d
  WHERE d.day >= period_day(:since) AND d.day <= period_day(:until) AND d.end_at >= :since AND d.end_at < :until AND (:verified = 0 OR d.verified)
    AND (:domain IS NULL OR d.domain = (SELECT id FROM text WHERE value = :domain))
) g JOIN text t ON t.id = g.domain
ORDER BY t.value
