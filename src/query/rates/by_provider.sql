-- Messages that were not refused, as reporters told of periods in the window, by nothing else.
SELECT o.value AS org_name, NULL AS value, NULL AS selector,
       CAST(total(d.messages) - total(d.reject) AS INTEGER) AS messages
FROM daily_reporter d JOIN text o ON o.id = d.org_name
WHERE d.day >= period_day(:since) AND d.day <= period_day(:until) AND d.end_at >= :since AND d.end_at < :until
  AND d.begin_at >= :since AND NOT EXISTS (SELECT 1 FROM summed_report s WHERE s.end_at = d.end_at)
  AND d.org_name IN (SELECT t.id FROM json_each(:org_names) j JOIN text t ON t.value = j.value)
  AND (:domain IS NULL OR d.domain = (SELECT id FROM text WHERE value = :domain)) AND d.records > 0
GROUP BY d.org_name
