-- SPF domains of mail from one sending address, and what became of them.
SELECT 'spf' AS section, d.value AS name, k.scope AS detail, k.result AS result,
       CAST(total(c.messages) AS INTEGER) AS messages,
       CAST(total(c.messages) FILTER (WHERE c.dkim = 1 OR c.spf = 1) AS INTEGER) AS dmarc_pass,
       min(r.begin_at) AS first_at, max(r.end_at) AS last_at
FROM address s CROSS JOIN record c ON c.source = s.id JOIN report r ON r.id = c.report
JOIN spf_result k ON k.auth_set = c.auth_set LEFT JOIN text d ON d.id = k.domain
WHERE s.ip = :ip AND r.end_at >= :since AND r.end_at < :until AND r.counted
GROUP BY 2, 3, 4
ORDER BY messages DESC, 2, 3, 4
