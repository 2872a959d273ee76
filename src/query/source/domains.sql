-- Policy domains, and the domains of From fields, that one sending address used.
SELECT 'domain' AS section, p.value AS name, f.value AS detail, NULL AS result,
       CAST(total(c.messages) AS INTEGER) AS messages,
       CAST(total(c.messages) FILTER (WHERE c.dkim = 1 OR c.spf = 1) AS INTEGER) AS dmarc_pass,
       min(r.begin_at) AS first_at, max(r.end_at) AS last_at
FROM address s CROSS JOIN record c ON c.source = s.id JOIN report r ON r.id = c.report
LEFT JOIN text p ON p.id = r.domain LEFT JOIN text f ON f.id = c.header_from
WHERE s.ip = :ip AND r.end_at >= :since AND r.end_at < :until AND r.counted
GROUP BY 2, 3, 4
ORDER BY messages DESC, 2, 3, 4
