-- What reports of a window tell of one policy domain: by all but who sent and who reported it.
SELECT p.value AS domain, f.value AS header_from, c.auth_set, c.reason_set, c.dkim, c.spf, c.disposition, r.begin_at, r.end_at,
       CAST(total(c.messages) AS INTEGER) AS messages
FROM text p CROSS JOIN report r ON r.domain = p.id CROSS JOIN record c ON c.report = r.id
LEFT JOIN text f ON f.id = c.header_from
WHERE p.value = :domain AND r.end_at >= :since AND r.end_at < :until AND r.kind = 'aggregate' AND r.counted
GROUP BY c.header_from, c.auth_set, c.reason_set, c.dkim, c.spf, c.disposition, r.begin_at, r.end_at
