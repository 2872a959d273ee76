-- Messages by the UTC day on which their report's period ends; a period that ends at midnight belongs to the day before. Those of
-- periods of more than two days have a row for each period, which the asker spreads over its days. A row is of messages with one
-- result, so that what is spread adds up in every column.
SELECT CASE WHEN d.end_at - d.begin_at > 172801 THEN d.begin_at END AS begin_at,
       CASE WHEN d.end_at - d.begin_at > 172801 THEN d.end_at ELSE (d.end_at - 1) / 86400 * 86400 + 1 END AS end_at,
       nullif(d.dkim, -1) AS dkim, nullif(d.spf, -1) AS spf, nullif(d.disposition, -1) AS disposition,
       CAST(total(d.messages) AS INTEGER) AS messages, min(d.begin_at) AS first_at, max(d.end_at) AS last_at
FROM daily_result d
WHERE d.day >= (:since - 1) / 86400 - 1 AND d.day <= (:until - 1) / 86400 AND d.end_at >= :since AND d.end_at < :until AND (:verified = 0 OR d.verified)
  AND (:domain IS NULL OR d.domain = (SELECT id FROM text WHERE value = :domain))
GROUP BY 1, 2, 3, 4, 5
