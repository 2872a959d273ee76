-- What reports of a window tell of one policy domain, by the daily sums: also where the reports are gone and their sums were kept.
SELECT :domain AS domain, f.value AS header_from, g.auth_set, nullif(g.reason_set, 0) AS reason_set, nullif(g.dkim, -1) AS dkim,
       nullif(g.spf, -1) AS spf, nullif(g.disposition, -1) AS disposition, g.begin_at, g.end_at, g.messages
FROM (
  SELECT d.header_from, d.auth_set, d.reason_set, d.dkim, d.spf, d.disposition, d.begin_at, d.end_at,
         CAST(total(d.messages) AS INTEGER) AS messages
  FROM daily_result d
  WHERE d.day >= (:since - 1) / 86400 - 1 AND d.day <= (:until - 1) / 86400 AND d.end_at >= :since AND d.end_at < :until
    AND d.domain = (SELECT id FROM text WHERE value = :domain)
  GROUP BY d.header_from, d.auth_set, d.reason_set, d.dkim, d.spf, d.disposition, d.begin_at, d.end_at
) g LEFT JOIN text f ON f.id = g.header_from
