-- Policy domains that aggregate reports of the window are about.
SELECT DISTINCT t.value AS domain
FROM report r JOIN text t ON t.id = r.domain
WHERE r.end_at >= :since AND r.end_at < :until AND r.kind = 'aggregate' AND r.counted AND (:verified = 0 OR r.verification = 'verified')
  AND (:domain IS NULL OR t.value = :domain)
ORDER BY t.value
