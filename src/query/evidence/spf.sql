-- A combination of SPF results.
SELECT domain, scope, result FROM spf_result WHERE spf_set = ?1 ORDER BY ordinal
