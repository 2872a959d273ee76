-- Periods that aggregate reports cover which lie in the window as a whole, by reporter.
SELECT o.value AS org_name, r.begin_at, r.end_at
FROM report r JOIN text o ON o.id = r.org_name
WHERE r.end_at >= :since AND r.end_at < :until AND r.begin_at >= :since AND r.kind = 'aggregate' AND r.counted
  AND (:domain IS NULL OR r.domain = (SELECT id FROM text WHERE value = :domain))
GROUP BY r.org_name, r.begin_at, r.end_at
