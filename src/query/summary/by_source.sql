-- Messages by sending address, out of the daily sums of the window.
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
  WHERE d.day >= period_day(:since) AND d.day <= period_day(:until) AND d.end_at >= :since AND d.end_at < :until AND (:verified = 0 OR d.verified)
  GROUP BY d.source
) g JOIN address s ON s.id = g.source
ORDER BY g.messages DESC, s.ip
