-- Addresses that sent mail as a domain, or one below it, in a window and passed DMARC, those of the most messages first, with a
-- name that each said in EHLO (the domain of SPF results of scope `helo`).
SELECT s.ip AS source_ip, g.messages,
       (SELECT max(t.value) FROM json_each(g.spf_sets) j
        CROSS JOIN spf_result p ON p.spf_set = j.value JOIN text t ON t.id = p.domain WHERE p.scope = 'helo') AS helo
FROM (
  SELECT d.source, CAST(total(d.messages) AS INTEGER) AS messages, json_group_array(DISTINCT d.spf_set) AS spf_sets
  FROM daily_result d JOIN text f ON f.id = d.header_from
  WHERE d.day >= (:since - 1) / 86400 - 1 AND d.day <= (:until - 1) / 86400 AND d.end_at >= :since AND d.end_at < :until
    AND (d.dkim = 1 OR d.spf = 1) AND (f.value = :domain OR substr(f.value, -length(:domain) - 1) = '.' || :domain)
  GROUP BY d.source
) g JOIN address s ON s.id = g.source
ORDER BY g.messages DESC, s.ip
LIMIT :limit
