-- Who reports about one policy domain.
SELECT 'reporter' AS section, t.value AS name, NULL AS detail, NULL AS result,
       CAST(total(c.messages) AS INTEGER) AS messages,
       CAST(total(c.messages) FILTER (WHERE c.dkim = 1 OR c.spf = 1) AS INTEGER) AS dmarc_pass,
       min(r.begin_at) AS first_at, max(r.end_at) AS last_at
FROM text p CROSS JOIN report r ON r.domain = p.id LEFT JOIN record c ON c.report = r.id LEFT JOIN text t ON t.id = r.org_name
WHERE p.value = :domain AND r.end_at >= :since AND r.end_at < :until AND r.kind = 'aggregate' AND r.counted
GROUP BY 2
ORDER BY messages DESC, 2
