-- Messages by sending address, out of the daily sums of the window; those of one policy domain out of the finer ones.
-- total(), not sum(): counts come from strangers, and a sum that overflows would take the whole answer away.
SELECT s.ip AS key, g.* FROM (
  SELECT d.source,
         CAST(total(d.messages) AS INTEGER) AS messages,
         CAST(total(d.dmarc_pass) AS INTEGER) AS dmarc_pass,
         CAST(total(d.dkim_pass) AS INTEGER) AS dkim_pass,
         CAST(total(d.spf_pass) AS INTEGER) AS spf_pass,
         CAST(total(d.unknown) AS INTEGER) AS unknown,
         CAST(total(d.quarantine) AS INTEGER) AS quarantine,
         CAST(total(d.reject) AS INTEGER) AS reject,
         min(d.begin_at) AS first_at, max(d.end_at) AS last_at
  FROM daily_source d
  WHERE :domain IS NULL AND d.day >= (:since - 1) / 86400 - 1 AND d.day <= (:until - 1) / 86400 AND d.end_at >= :since AND d.end_at < :until AND (:verified = 0 OR d.verified)
  GROUP BY d.source
  UNION ALL
  SELECT d.source,
         CAST(total(d.messages) AS INTEGER) AS messages,
         CAST(total(d.messages) FILTER (WHERE d.dkim = 1 OR d.spf = 1) AS INTEGER) AS dmarc_pass,
         CAST(total(d.messages) FILTER (WHERE d.dkim = 1) AS INTEGER) AS dkim_pass,
         CAST(total(d.messages) FILTER (WHERE d.spf = 1) AS INTEGER) AS spf_pass,
         CAST(total(d.messages) FILTER (WHERE d.dkim <> 1 AND d.spf <> 1 AND (d.dkim = -1 OR d.spf = -1)) AS INTEGER) AS unknown,
         CAST(total(d.messages) FILTER (WHERE d.disposition = 1) AS INTEGER) AS quarantine,
         CAST(total(d.messages) FILTER (WHERE d.disposition = 2) AS INTEGER) AS reject,
         min(d.begin_at), max(d.end_at)
  FROM daily_result d
  WHERE :domain IS NOT NULL AND d.day >= (:since - 1) / 86400 - 1 AND d.day <= (:until - 1) / 86400 AND d.end_at >= :since AND d.end_at < :until AND (:verified = 0 OR d.verified)
    AND d.domain = (SELECT id FROM text WHERE value = :domain)
  GROUP BY d.source
) g JOIN address s ON s.id = g.source
ORDER BY g.messages DESC, s.ip
