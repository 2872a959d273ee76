-- Messages by policy domain (policy_published/domain). The `+` keeps SQLite from reading every report in
-- the order of the index on domain.
SELECT t.value AS key, g.* FROM (
  SELECT r.domain AS label,
         CAST(total(c.messages) AS INTEGER) AS messages,
         CAST(total(c.messages) FILTER (WHERE c.dkim = 1 OR c.spf = 1) AS INTEGER) AS dmarc_pass,
         CAST(total(c.messages) FILTER (WHERE c.dkim = 1) AS INTEGER) AS dkim_pass,
         CAST(total(c.messages) FILTER (WHERE c.spf = 1) AS INTEGER) AS spf_pass,
         CAST(total(c.messages) FILTER (WHERE c.dkim IS NOT 1 AND c.spf IS NOT 1 AND (c.dkim IS NULL OR c.spf IS NULL)) AS INTEGER) AS unknown,
         CAST(total(c.messages) FILTER (WHERE c.disposition = 1) AS INTEGER) AS quarantine,
         CAST(total(c.messages) FILTER (WHERE c.disposition = 2) AS INTEGER) AS reject,
         min(r.begin_at) AS first_at, max(r.end_at) AS last_at
  FROM report r CROSS JOIN record c ON c.report = r.id
  WHERE r.end_at >= :since AND r.end_at < :until AND r.kind = 'aggregate' AND r.counted AND (:verified = 0 OR r.verification = 'verified')
    AND (:domain IS NULL OR r.domain = (SELECT id FROM text WHERE value = :domain))
  GROUP BY +r.domain
) g LEFT JOIN text t ON t.id = g.label
ORDER BY g.messages DESC, t.value
