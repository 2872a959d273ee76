-- What reports of a window tell of sending addresses given as a JSON array of their numbers: by all but who reported it.
SELECT p.value AS domain, f.value AS header_from, c.auth_set, c.reason_set, c.dkim, c.spf, c.disposition, r.begin_at, r.end_at,
       CAST(total(c.messages) AS INTEGER) AS messages
FROM json_each(:sources) j CROSS JOIN record c ON c.source = j.value JOIN report r ON r.id = c.report
LEFT JOIN text p ON p.id = r.domain LEFT JOIN text f ON f.id = c.header_from
WHERE r.end_at >= :since AND r.end_at < :until AND r.kind = 'aggregate' AND r.counted
GROUP BY r.domain, c.header_from, c.auth_set, c.reason_set, c.dkim, c.spf, c.disposition, r.begin_at, r.end_at
