-- Messages of one sending address.
SELECT CAST(total(c.messages) AS INTEGER) AS messages,
       CAST(total(c.messages) FILTER (WHERE c.dkim = 1 OR c.spf = 1) AS INTEGER) AS dmarc_pass,
       CAST(total(c.messages) FILTER (WHERE c.dkim = 1) AS INTEGER) AS dkim_pass,
       CAST(total(c.messages) FILTER (WHERE c.spf = 1) AS INTEGER) AS spf_pass,
       CAST(total(c.messages) FILTER (WHERE c.dkim IS NOT 1 AND c.spf IS NOT 1 AND (c.dkim IS NULL OR c.spf IS NULL)) AS INTEGER) AS unknown,
       CAST(total(c.messages) FILTER (WHERE c.disposition = 1) AS INTEGER) AS quarantine,
       CAST(total(c.messages) FILTER (WHERE c.disposition = 2) AS INTEGER) AS reject,
       min(r.begin_at) AS first_at, max(r.end_at) AS last_at
FROM address s CROSS JOIN record c ON c.source = s.id JOIN report r ON r.id = c.report
WHERE s.ip = :ip AND r.end_at >= :since AND r.end_at < :until AND r.counted
