-- Reports by policy domain and day of a window, with begin_at of the first and end_at of the last period. The domain follows the day in
-- the key, so that these come as they are read. Of the days between the first and the last every period ends in the window.
SELECT d.domain, CAST(total(d.reports) AS INTEGER) AS reports,
       d.day * 86400 + min(d.short - d.early) AS first_at, (d.day + 1) * 86400 - min(d.early) AS last_at
FROM daily_reporter d
WHERE d.day >= period_day(:since) AND d.day <= period_day(:until)
  AND (d.day > period_day(:since) AND d.day < period_day(:until) OR d.end_at >= :since AND d.end_at < :until)
  AND (:verified = 0 OR d.verified)
  AND (:domain IS NULL OR d.domain = (SELECT id FROM text WHERE value = :domain))
GROUP BY d.day, d.domain
