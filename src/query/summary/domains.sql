-- Policy domains that aggregate reports of the window are about.
SELECT t.value AS domain FROM (
  SELECT DISTINCT d.domain FROM daily_reporter d
  WHERE d.day >= (:since - 1) / 86400 - (:since < 1) AND d.day <= (:until - 2) / 86400 AND d.end_at >= :since AND d.end_at < :until AND (:verified = 0 OR d.verified)
    AND (:domain IS NULL OR d.domain = (SELECT id FROM text WHERE value = :domain))
) g JOIN text t ON t.id = g.domain
ORDER BY t.value
