-- All messages of a window together. Of the days between its first and its last every period ends in it, and is not looked at.
SELECT CAST(total(d.messages) AS INTEGER) AS messages,
       CAST(total(d.dmarc_pass) AS INTEGER) AS dmarc_pass,
       CAST(total(d.dkim_pass) AS INTEGER) AS dkim_pass,
       CAST(total(d.spf_pass) AS INTEGER) AS spf_pass,
       CAST(total(d.unknown) AS INTEGER) AS unknown,
       CAST(total(d.quarantine) AS INTEGER) AS quarantine,
       CAST(total(d.reject) AS INTEGER) AS reject
FROM daily_reporter d
WHERE d.day >= period_day(:since) AND d.day <= period_day(:until)
  AND (d.day > period_day(:since) AND d.day < period_day(:until) OR d.end_at >= :since AND d.end_at < :until)
  AND (:verified = 0 OR d.verified)
  AND (:domain IS NULL OR d.domain = (SELECT id FROM text WHERE value = :domain))
