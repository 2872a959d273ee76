-- What each sending address sent on each day of a window, all policy domains together. Read in the order of the key, so
-- nothing is sorted; the days of one address are added up by who asks.
SELECT d.source,
       CAST(total(d.messages) AS INTEGER) AS messages,
       CAST(total(d.dmarc_pass) AS INTEGER) AS dmarc_pass,
       CAST(total(d.dkim_pass) AS INTEGER) AS dkim_pass,
       CAST(total(d.spf_pass) AS INTEGER) AS spf_pass,
       CAST(total(d.unknown) AS INTEGER) AS unknown,
       CAST(total(d.quarantine) AS INTEGER) AS quarantine,
       CAST(total(d.reject) AS INTEGER) AS reject,
       CAST(total(d.forwarded) AS INTEGER) AS forwarded,
       CAST(total(d.dkim_any) AS INTEGER) AS dkim_any,
       CAST(total(d.spf_any) AS INTEGER) AS spf_any,
       min(d.begin_at) AS first_at, max(d.end_at) AS last_at
FROM daily_source d
WHERE d.day >= :first AND d.day <= :last AND d.end_at >= :since AND d.end_at < :until AND (:verified = 0 OR d.verified)
GROUP BY d.day, d.source
