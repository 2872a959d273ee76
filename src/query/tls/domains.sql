-- Sessions by policy domain and policy type.
SELECT t.value AS policy_domain, p.policy_type, CAST(total(p.successful_sessions) AS INTEGER) AS successful_sessions,
       CAST(total(p.failed_sessions) AS INTEGER) AS failed_sessions, min(r.begin_at) AS first_at, max(r.end_at) AS last_at
FROM report r CROSS JOIN tls_policy p ON p.report = r.id LEFT JOIN text t ON t.id = p.policy_domain
WHERE r.end_at >= :since AND r.end_at < :until AND r.kind = 'tls' AND r.counted
  AND (:domain IS NULL OR t.value = :domain)
GROUP BY 1, 2
ORDER BY 4 DESC, 3 DESC, 1, 2
