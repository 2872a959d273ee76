-- Messages that were not refused, as reporters told of periods in the window, by nothing else.
SELECT o.value AS org_name, NULL AS value, NULL AS selector, CAST(total(c.messages) AS INTEGER) AS messages
FROM report r CROSS JOIN record c ON c.report = r.id JOIN text o ON o.id = r.org_name
WHERE r.end_at >= :since AND r.end_at < :until AND r.begin_at >= :since AND r.kind = 'aggregate' AND r.counted
  AND r.org_name IN (SELECT t.id FROM json_each(:org_names) j JOIN text t ON t.value = j.value)
  AND (:domain IS NULL OR r.domain = (SELECT id FROM text WHERE value = :domain)) AND c.disposition IS NOT 2
GROUP BY r.org_name
