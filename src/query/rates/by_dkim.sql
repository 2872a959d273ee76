-- Messages that were not refused, as reporters told of periods in the window, by domain and selector of a valid signature.
SELECT o.value AS org_name, d.value AS value, t.value AS selector, CAST(total(c.messages) AS INTEGER) AS messages
FROM report r CROSS JOIN record c ON c.report = r.id JOIN text o ON o.id = r.org_name
CROSS JOIN dkim_result k ON k.dkim_set = c.dkim_set AND k.result = 'pass'
     AND NOT EXISTS (SELECT 1 FROM dkim_result e WHERE e.dkim_set = k.dkim_set AND e.ordinal < k.ordinal
                     AND e.domain = k.domain AND e.selector = k.selector AND e.result = 'pass')
JOIN text d ON d.id = k.domain JOIN text t ON t.id = k.selector
WHERE r.end_at >= :since AND r.end_at < :until AND r.begin_at >= :since AND r.kind = 'aggregate' AND r.counted
  AND r.org_name IN (SELECT t.id FROM json_each(:org_names) j JOIN text t ON t.value = j.value)
  AND (:domain IS NULL OR r.domain = (SELECT id FROM text WHERE value = :domain)) AND c.disposition IS NOT 2
GROUP BY r.org_name, k.domain, k.selector
