-- What each reporter reported of each policy domain, one row for each period.
SELECT nullif(d.domain, 0) AS domain, nullif(d.org_name, 0) AS org_name, d.begin_at, d.end_at, d.reports,
       d.messages, d.dmarc_pass, d.dkim_pass, d.spf_pass, d.unknown, d.quarantine, d.reject
FROM daily_reporter d
WHERE d.day >= :first AND d.day <= :last AND d.end_at >= :since AND d.end_at < :until AND (:verified = 0 OR d.verified)
  AND (:domain IS NULL OR d.domain = (SELECT id FROM text WHERE value = :domain))
