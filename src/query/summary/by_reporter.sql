-- Messages by reporting organisation (report_metadata/org_name), out of the daily sums of the window.
SELECT t.value AS key, g.* FROM (
  SELECT d.org_name AS label,
         CAST(total(d.messages) AS INTEGER) AS messages,
         CAST(total(d.dmarc_pass) AS INTEGER) AS dmarc_pass,
         CAST(total(d.dkim_pass) AS INTEGER) AS dkim_pass,
         CAST(total(d.spf_pass) AS INTEGER) AS spf_pass,
         CAST(total(d.unknown) AS INTEGER) AS unknown,
         CAST(total(d.quarantine) AS INTEGER) AS quarantine,
         CAST(total(d.reject) AS INTEGER) AS reject,
         min(d.begin_at) AS first_at, max(d.end_at) AS last_at
  FROM daily_reporter d
  WHERE d.day >= period_day(:since) AND d.day <= period_day(:until) AND d.end_at >= :since AND d.end_at < :until AND (:verified = 0 OR d.verified)
    AND (:domain IS NULL OR d.domain = (SELECT id FROM text WHERE value = :domain))
    AND d.records > 0
  GROUP BY d.org_name
) g LEFT JOIN text t ON t.id = g.label
ORDER BY g.messages DESC, t.value
