-- Why reporters did other than the policy asks with mail from one sending address.
SELECT 'reason' AS section, q.type AS name, t.value AS detail, NULL AS result,
       CAST(total(c.messages) AS INTEGER) AS messages,
       CAST(total(c.messages) FILTER (WHERE c.dkim = 1 OR c.spf = 1) AS INTEGER) AS dmarc_pass,
       min(r.begin_at) AS first_at, max(r.end_at) AS last_at
FROM address s CROSS JOIN record c ON c.source = s.id JOIN report r ON r.id = c.report
JOIN reason q ON q.reason_set = c.reason_set LEFT JOIN text t ON t.id = q.comment
WHERE s.ip = :ip AND r.end_at >= :since AND r.end_at < :until AND r.counted
GROUP BY 2, 3, 4
ORDER BY messages DESC, 2, 3, 4
