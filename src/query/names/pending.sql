-- Sending addresses of a window that were never looked up, or too long ago: those of the most messages and complaints first.
SELECT s.ip AS source_ip, CAST(total(u.messages) AS INTEGER) AS messages
FROM (SELECT c.source, c.messages FROM report r CROSS JOIN record c ON c.report = r.id
      WHERE r.end_at >= :since AND r.end_at < :until AND r.kind = 'aggregate' AND r.counted
      UNION ALL
      SELECT k.source, k.incidents FROM complaint k
      WHERE k.arrived_at >= :since AND k.arrived_at < :until AND k.source IS NOT NULL) u
JOIN address s ON s.id = u.source
LEFT JOIN source_name n ON n.source = u.source
WHERE n.source IS NULL OR n.expires_at <= :expired
GROUP BY u.source
ORDER BY messages DESC, s.ip
LIMIT :limit
