-- Refusals for policy, authentication or the sender's address, which are about us: by the address of ours that was
-- refused, where the other server names it, our From domain, and whoever refused.
SELECT s.ip AS source_ip, f.value AS header_from,
       coalesce(p.remote_mta, substr(p.folded, instr(p.folded, '@') + 1)) AS refused_by, p.code AS status,
       count(*) AS bounces, count(DISTINCT p.folded) AS recipients, min(p.at) AS first_at, max(p.at) AS last_at,
       max(p.diagnostic) AS diagnostic
FROM bounce b CROSS JOIN bounce_recipient p ON p.bounce = b.id LEFT JOIN address s ON s.id = p.source
LEFT JOIN text f ON f.id = b.header_from
WHERE b.told_at >= :since AND b.told_at < :until AND p.class IN ('policy', 'sender')
  AND (:domain IS NULL OR f.value = :domain OR substr(f.value, -length(:domain) - 1) = '.' || :domain)
GROUP BY source_ip, header_from, refused_by, status
ORDER BY bounces DESC, source_ip, header_from, refused_by, status
