-- What reports of a window tell of one policy domain, by the daily sums: also where the reports are gone and their sums were kept.
SELECT d.domain, d.header_from, d.dkim_set, d.spf_set, d.reason_set, d.dkim, d.spf, d.disposition, d.begin_at, d.end_at, d.messages
FROM daily_result d
WHERE d.day >= (:since - 1) / 86400 - 1 AND d.day <= (:until - 1) / 86400 AND d.end_at >= :since AND d.end_at < :until
  AND d.domain = (SELECT id FROM text WHERE value = :domain)
