-- Addresses that sent mail as a domain, or one below it, in a window and passed DMARC, those of the most messages first, with a
-- name that each said in EHLO (the domain of SPF results of scope `helo`).
SELECT s.ip AS source_ip, CAST(total(c.messages) AS INTEGER) AS messages,
       max((SELECT max(d.value) FROM spf_result p JOIN text d ON d.id = p.domain
            WHERE p.auth_set = c.auth_set AND p.scope = 'helo')) AS helo
FROM report r CROSS JOIN record c ON c.report = r.id
JOIN text f ON f.id = c.header_from JOIN address s ON s.id = c.source
WHERE r.end_at >= :since AND r.end_at < :until AND r.kind = 'aggregate' AND r.counted AND (c.dkim = 1 OR c.spf = 1)
  AND (f.value = :domain OR substr(f.value, -length(:domain) - 1) = '.' || :domain)
GROUP BY c.source
ORDER BY messages DESC, s.ip
LIMIT :limit
