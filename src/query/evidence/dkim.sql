-- A combination of DKIM results.
SELECT domain, selector, result FROM dkim_result WHERE dkim_set = ?1 ORDER BY ordinal
