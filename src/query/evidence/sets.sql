-- What a combination of results is made of.
SELECT dkim_set, spf_set FROM auth_set WHERE id = ?1
