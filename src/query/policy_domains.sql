-- Domains that aggregate reports named as their policy domain, ever.
SELECT t.value AS domain FROM policy_domain p CROSS JOIN text t ON t.id = p.domain ORDER BY t.value
