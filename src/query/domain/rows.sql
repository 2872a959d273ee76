-- What reports of a window tell of one policy domain: by all but who sent and who reported it.
SELECT r.domain, c.header_from, c.dkim_set, c.spf_set, c.reason_set, c.dkim, c.spf, c.disposition, r.begin_at, r.end_at, c.messages
FROM text p CROSS JOIN report r ON r.domain = p.id CROSS JOIN record c ON c.report = r.id
WHERE p.value = :domain AND r.end_at >= :since AND r.end_at < :until AND r.kind = 'aggregate' AND r.counted
