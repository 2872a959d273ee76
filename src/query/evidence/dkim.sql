-- The DKIM results of a combination.
SELECT domain, selector, result FROM dkim_result WHERE auth_set = ?1 ORDER BY ordinal
