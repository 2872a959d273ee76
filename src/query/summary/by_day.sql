-- Messages by the UTC day on which their report's period ends; a period that ends at midnight belongs to the day before. Those of
-- periods of more than two days have a row for each period, which the asker spreads over its days. A row is of messages with one
-- result, so that what is spread adds up in every column.
SELECT CASE WHEN r.end_at - r.begin_at > 172801 THEN r.begin_at END AS begin_at,
       CASE WHEN r.end_at - r.begin_at > 172801 THEN r.end_at ELSE (r.end_at - 1) / 86400 * 86400 + 1 END AS end_at,
       c.dkim, c.spf, c.disposition,
       CAST(total(c.messages) AS INTEGER) AS messages, min(r.begin_at) AS first_at, max(r.end_at) AS last_at
FROM report r CROSS JOIN record c ON c.report = r.id
WHERE r.end_at >= :since AND r.end_at < :until AND r.kind = 'aggregate' AND r.counted AND (:verified = 0 OR r.verification = 'verified')
  AND (:domain IS NULL OR r.domain = (SELECT id FROM text WHERE value = :domain))
GROUP BY 1, 2, 3, 4, 5
