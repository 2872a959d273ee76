-- How mail of a window from sending addresses given as a JSON array of their numbers fares.
SELECT s.ip, CAST(total(c.messages) AS INTEGER) AS messages,
       CAST(total(c.messages) FILTER (WHERE c.dkim = 1 OR c.spf = 1) AS INTEGER) AS dmarc_pass,
       CAST(total(c.messages) FILTER (WHERE c.spf = 1) AS INTEGER) AS spf_pass
FROM json_each(:sources) j CROSS JOIN address s ON s.id = j.value CROSS JOIN record c ON c.source = s.id JOIN report r ON r.id = c.report
WHERE r.end_at >= :since AND r.end_at < :until AND r.kind = 'aggregate' AND r.counted
GROUP BY s.id
ORDER BY s.ip
