-- The SPF results of a combination.
SELECT domain, scope, result FROM spf_result WHERE auth_set = ?1 ORDER BY ordinal
