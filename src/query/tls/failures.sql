-- Failed sessions by policy domain, kind of failure and receiving MX.
SELECT t.value AS policy_domain, f.result_type, f.receiving_mx_hostname, CAST(total(f.failed_sessions) AS INTEGER) AS failed_sessions,
       min(r.begin_at) AS first_at, max(r.end_at) AS last_at
FROM report r CROSS JOIN tls_policy p ON p.report = r.id CROSS JOIN tls_failure f ON f.report = p.report AND f.policy = p.ordinal
LEFT JOIN text t ON t.id = p.policy_domain
WHERE r.end_at >= :since AND r.end_at < :until AND r.kind = 'tls' AND r.counted
  AND (:domain IS NULL OR t.value = :domain)
GROUP BY 1, 2, 3
ORDER BY 4 DESC, 1, 2, 3
