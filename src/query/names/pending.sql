-- Sending addresses of a window that were never looked up, or too long ago: those of the most messages and complaints first.
SELECT s.ip AS source_ip, CAST(total(u.messages) AS INTEGER) AS messages
FROM (SELECT d.source, d.messages FROM daily_source d
      WHERE d.day >= period_day(:since) AND d.day <= period_day(:until) AND d.end_at >= :since AND d.end_at < :until
      UNION ALL
      SELECT k.source, k.incidents FROM complaint k
      WHERE k.arrived_at >= :since AND k.arrived_at < :until AND k.source IS NOT NULL) u
JOIN address s ON s.id = u.source
LEFT JOIN source_name n ON n.source = u.source
WHERE n.source IS NULL OR n.expires_at <= :expired
GROUP BY u.source
ORDER BY messages DESC, s.ip
LIMIT :limit
