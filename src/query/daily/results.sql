-- What one sending address sent, by domains and results, one row for each period. From one day with mail in the window to
-- the next, and in each straight to the address.
WITH RECURSIVE days (day) AS (
  SELECT min(day) FROM daily_source WHERE day >= :first AND day <= :last
  UNION ALL
  SELECT (SELECT min(n.day) FROM daily_source n WHERE n.day > days.day AND n.day <= :last) FROM days WHERE days.day IS NOT NULL
)
SELECT nullif(d.domain, 0) AS domain, nullif(d.header_from, 0) AS header_from, nullif(d.disposition, -1) AS disposition,
       nullif(d.dkim, -1) AS dkim, nullif(d.spf, -1) AS spf, d.auth_set, nullif(d.reason_set, 0) AS reason_set,
       d.begin_at, d.end_at, d.messages
FROM days CROSS JOIN daily_result d ON d.day = days.day
WHERE d.source = (SELECT id FROM address WHERE ip = :ip) AND d.end_at >= :since AND d.end_at < :until
  AND (:verified = 0 OR d.verified) AND (:domain IS NULL OR d.domain = (SELECT id FROM text WHERE value = :domain))
